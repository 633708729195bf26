//! Whole runs against real HTTP on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod faults;
mod faults_of_python;
mod media;
mod resume;
mod rules;
mod seams;
mod team;
mod tools;
