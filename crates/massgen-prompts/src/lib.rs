//! What agents are told: semantic items become short XML-tagged text.
//!
//! ```
//! use std::collections::BTreeMap;
//! use massgen_prompts::{Prompts, View};
//! use massgen_protocol::{Alias, Brief, Epoch, Item};
//!
//! let prompts = Prompts::new(BTreeMap::new())?;
//! let view = View::new("How far is the quasar?", Alias(1));
//! let brief = Item::Brief(Brief::Coordinate { epoch: Epoch(0), vote_only: false });
//! assert!(prompts.item(&brief, &view).starts_with("<question>\nHow far is the quasar?"));
//! # Ok::<(), massgen_prompts::PromptError>(())
//! ```
//!
//! All prose lives in `src/text/*.md`, one file a name, and each can be replaced
//! by the user. The tags around it, the answers and their order are not prose and
//! cannot be lost by an override. This crate decides nothing: what is said, to
//! whom and when is in the [`Item`](massgen_protocol::Item).
//!
//! What others wrote (answers, reasons, the question) is quoted so that it cannot
//! end its own section; see `quote.rs`.

mod item;
mod quote;
mod section;
mod system;
mod template;
mod texts;
mod view;
mod workflow;

pub use quote::ANSWER_CHARS_MAX;
pub use system::SystemFacts;
pub use texts::{OVERRIDE_CHARS_MAX, PromptError, Prompts};
pub use view::{AnswerView, InsightView, RestartView, View};
