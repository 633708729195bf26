//! What is shown of a run: a fold over its events.
//!
//! ```
//! use massgen_protocol::{Event, EventBody, Millis, Question};
//! use massgen_view::RunView;
//!
//! let mut view = RunView::default();
//! let question = Question { text: "6 × 7?".to_owned() };
//! view.apply(&Event { seq: 0, at: Millis(0), body: EventBody::QuestionAsked { question } });
//! assert_eq!(view.question.as_deref(), Some("6 × 7?"));
//! ```
//!
//! Every surface folds the same events with the same code, whether they come
//! from a running session or from its log, so that all show the same. What is
//! kept is bounded: a transcript forgets its oldest cells and says how many.
//!
//! This crate knows no terminal, no HTML and no file, and no order of events
//! makes it panic.

mod agent_view;
mod cost;
mod cut_short;
mod fold;
mod ledger;
mod names;
mod remedy;
mod run_view;
mod status;
mod timeline;
mod transcript;
mod vote_view;
pub mod words;

pub use agent_view::{AgentStatus, AgentView, RoundView};
pub use cost::CostView;
pub use cut_short::CutShort;
pub use ledger::{Ledger, RoundCost, ToolCost};
pub use names::Names;
pub use remedy::{Called, remedy};
pub use run_view::{Level, Notice, Phase, RunView, Selection};
pub use status::{StatusContext, status_json};
pub use timeline::{Row, RowKind, Timeline, coordination_table, coordination_table_within};
pub use transcript::{Cell, CellBody, ToolState, Transcript};
pub use vote_view::{AnswerView, VoidBallot, VoteView};
