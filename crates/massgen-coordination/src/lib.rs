//! Decides between agents.

mod enforcement;
mod input;

pub use input::{Command, Effects, Input};

mod round;

pub use round::{Append, ResultBody, Round, RoundAsk, RoundInput, RoundRules, RoundStep};
