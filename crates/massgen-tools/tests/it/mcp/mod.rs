//! Servers of the Model Context Protocol: faulty ones of ours, and real ones.

mod bench;
mod calls;
mod confined;
mod conformance;
mod http;
mod real;
mod restarts;
mod starts;
