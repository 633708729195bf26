//! A config as written to what a run needs, with all problems at once.
//!
//! ```
//! use massgen_config::{Environment, Overrides, Source, load};
//!
//! let text = "agents:\n  - backend: {type: opnai, model: gpt-5.4}\n";
//! let overrides = Overrides { question: Some("Why?".into()), ..Overrides::default() };
//! let loaded = load(&Source { name: "team.yaml", text }, &Environment::default(), &overrides);
//! let problems = loaded.spec.unwrap_err();
//! assert_eq!(
//!     problems[0].to_string(),
//!     "error: unknown backend type `opnai`\n  at team.yaml:2:21 (agents[0].backend.type)\n  \
//!      hint: did you mean `openai`?"
//! );
//! ```
//!
//! The text and the environment are passed in; nothing is read from a disk, a
//! clock or the process. Every problem has its place in the file and never shows a
//! key or the value of a variable. Keys that MassGen knows and this version does
//! nothing with are accepted with a notice, and so are keys that nobody knows.
//!
//! Not here: finding the file, asking local servers whether they are up, and
//! checking that a key is valid.

mod agents;
mod backend;
mod environment;
mod expand;
mod host;
mod known;
mod load;
mod node;
mod params;
mod parse;
mod policy;
mod problem;
mod quick;
mod reader;
mod report;
mod scalar;
mod section;
mod sensitivity;
mod suggest;

pub use environment::{Environment, Overrides};
pub use load::{Loaded, QUESTION_BYTES_MAX, Source, decode, load};
pub use parse::SOURCE_BYTES_MAX;
pub use problem::{PROBLEMS_MAX, Problem, Severity};
pub use quick::{QuickModel, quick_team, team_from_env};
