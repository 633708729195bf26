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
//! Beside the keys of MassGen that are read (`known.rs` lists them all), a config
//! may say what MassGen has no word for:
//!
//! | under | key | meaning |
//! |---|---|---|
//! | `orchestrator` | `on_new_answer` | `graceful` (default), `interrupt`, `wait` |
//! | | `tie_break` | `roster` (default), `earliest`, `seeded` |
//! | | `self_vote` | `allow` (default), `discount`, `forbid` |
//! | | `failures_max` | failures in a row before an agent retires |
//! | | `exhausted_rounds_max` | rounds without a valid choice before it retires |
//! | | `violations_max`, `turns_max` | broken rules, model calls in one round before it ends |
//! | | `backoff_seconds`, `backoff_max_seconds` | first and longest pause of a failing agent |
//! | | `salvage_text`, `sole_agent_votes` | see `Policy` |
//! | | `seed` | of every random choice; from the question where absent |
//! | | `sandbox` | `os` (default), `container`, `off`, `require`, or a map; see `docs/reference/tool-keys.md` |
//! | | `prompts_dir` | folder with `NAME.md` in place of our prompt texts |
//! | `orchestrator.budget` | `max_calls`, `max_tokens`, `max_cost_usd`, `max_seconds` | hard bounds of the run |
//! | | `soft_percent` | part of a bound after which agents are told to decide |
//! | `timeout_settings` | `presentation_`, `review_timeout_seconds`, `wrap_up_lead_seconds` | `null` switches a deadline off |
//! | | `connect_`, `first_byte_`, `idle_`, `call_timeout_seconds` | of every model call |
//! | `backend` | `prices` | `input`, `output`, `cache_read`, `cache_write` in US dollars for a million tokens |
//! | | `context_window` | tokens of one conversation |
//! | | `rate_limits` | see `docs/reference/backend-keys.md`, which has all keys of a backend |
//! | | `fallbacks` | models, or whole backends, called where this one cannot be |
//! | | `command`, `args`, `env`, `cwd` | an agent that is a program |
//! | | `sandbox` | of its agent's commands: `mode`, `network` |
//! | | `enable_web_fetch` | a tool that fetches pages |
//! | | `command_line_timeout_seconds` | of a command that names none |
//! | | `tries_max` | tries of one call |
//! | | `script` | file of a `scripted` backend |
//! | top level | `rate_limits` | limits by type and model |
//!
//! Every text may hold `${NAME}` and `${NAME:-default}`; `$${NAME}` is the text itself.
//! Variables that hold secrets can stand in `api_key`, `headers` and `env` only.
//!
//! Not here: finding the file, asking local servers whether they are up, and
//! checking that a key is valid.

mod agents;
mod backend;
mod command_line;
mod environment;
mod expand;
mod files;
mod foreign;
mod host;
mod known;
mod load;
mod media;
mod node;
mod params;
mod parse;
mod policy;
mod problem;
mod quick;
mod rate_limits;
mod reader;
mod report;
mod scalar;
mod section;
mod sensitivity;
mod suggest;
mod tooling;

pub use environment::{Environment, Overrides};
pub use expand::expand_again;
pub use files::{context_in_question, place_paths};
pub use load::{Loaded, QUESTION_BYTES_MAX, Source, decode, load};
pub use media::{MEDIA_BYTES_MAX_DEFAULT, media_endings, media_of_path};
pub use parse::SOURCE_BYTES_MAX;
pub use problem::{PROBLEMS_MAX, Problem, Severity};
pub use quick::{QuickModel, quick_team, team_from_env};
pub use rate_limits::RateTable;
