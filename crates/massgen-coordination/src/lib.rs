//! Decides between agents.
//!
//! Two machines, both plain functions from an input to what follows from it:
//! [`Coordinator`] decides between agents, [`Round`] decides within one agent's
//! round. Neither waits, reads a clock, draws a random number or fails; time
//! comes in as deadlines, chance as a seed.
//!
//! ```text
//!                Begin
//!                  │                      ┌───────── any answer is accepted ────────┐
//!                  ▼    round opens       ▼                                         │
//! agent:         Idle ──────────────▶ Working{told} ── vote, told = newest ──────▶ Voted
//!                  ▲                   │ │ │   ▲ └─── vote, told < newest ─┐
//!                  │                   │ │ │   └──── update, asked again ──┘
//!                  │   new answer      │ │ │
//!                  ├──── Freezing ◀────┘ │ └── no choice, n-th time ──▶ Retired: its answers
//!                  │    │ snapshot taken:│                              ▲        stand
//!                  │    │ accepted       └── call fails, time is over   │
//!                  │    └─ failed ─────────────────────┐                │
//!                  └──────── pause is over ── BackingOff ── n-th time ──┘
//!
//! attempt: Coordinating ─── all have voted or retired ───▶ Presenting ─▶ Reviewing ─▶ Finished
//!            │    ▲ restart ordered by the review ◀───────────────────────┘             ▲
//!            ├─ time to coordinate is over, interrupt ─▶ Draining ─▶ Presenting ────────┤
//!            └─ end of the attempt or the budget ──────▶ Draining ──────────────────────┘
//! ```
//!
//! While it is `Draining`, snapshots in flight are waited for, and nothing else. To
//! coordinate without an answer goes on until there is one, and then ends so.
//!
//! The rules in short:
//! - Every accepted answer opens an [`Epoch`](massgen_protocol::Epoch) and voids all
//!   ballots. A vote counts only if its voter had that epoch in view; a stale one is
//!   answered with what is new. Answers are accepted whatever their author had seen.
//! - An answer is in view of others once its workspace is copied. While any copy is in
//!   flight no round opens and nobody is called back, so answers that come together
//!   disturb the team once.
//! - Whoever fails pauses and tries again, a bounded number of times; whoever makes no
//!   choice is asked again, a bounded number of times. Then the agent retires: it takes
//!   no more part, its answers stay eligible.
//! - Coordination ends when all who are left have voted, without help from a deadline.
//!   Deadlines, budgets and the user's interrupt end it early, with the best answer
//!   there is; a run fails only if there is none.
//! - Coordination ends a while before its attempt, so that the winner can present; an
//!   interrupt leaves it the time as well. Either waits for a first answer if there is none
//!   yet. The end of the attempt or the budget waits for nothing: whoever presents then is
//!   cut off, and the stored answer stands.
//! - What a call may cost at most is reserved before it starts, so no bound of the budget
//!   is passed by what is granted. A call that fits only once others are settled waits for
//!   them, first come, first served; one that does not fit even then is refused, and its
//!   agent retires.
//! - The team is told to decide when a share of a bound is *spent*, or when a first call is
//!   refused. Waiting alone is no sign of the end: estimates are the most a call may cost,
//!   and most cost a fraction of it.
//!
//! What this crate does not do: find words (`massgen-prompts`), call models, copy
//! files, keep the log, or know what time it is (`massgen-runtime`).
//!
//! ```
//! use massgen_coordination::{Command, Coordinator, Input};
//! use massgen_protocol::{AgentIndex, Epoch, Millis, Policy, RoundId, Submission};
//!
//! let mut coordinator = Coordinator::new(2, Policy::default(), 0);
//! let begun = coordinator.step(Millis(0), Input::Begin);
//! let opens = |command: &&Command| matches!(command, Command::OpenRound { .. });
//! assert_eq!(begun.commands.iter().filter(opens).count(), 2);
//!
//! let round = RoundId { agent: AgentIndex(0), n: 1 };
//! let submission = Submission::NewAnswer { text: "4".into() };
//! let input = Input::Submitted { round, seen: Epoch(0), submission };
//! let answered = coordinator.step(Millis(5), input);
//! assert!(matches!(answered.commands[..], [Command::TakeSnapshot { .. }]));
//! ```

#[cfg(test)]
extern crate self as massgen_coordination;

mod agent;
mod answer_rules;
mod ballot;
mod budget;
mod calls;
mod check;
mod coordinator;
mod deadline;
mod effects;
mod enforcement;
#[cfg(test)]
#[path = "../tests/explorer/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests, which need other parts")]
mod explorer;
mod fingerprint;
mod input;
#[cfg(test)]
mod mutants;
mod presentation;
mod roster;
mod round;
mod sabotage;
mod settle;
mod submission;

pub use coordinator::{Coordinator, RestartNotes};
pub use fingerprint::View;
pub use input::{Command, Effects, Input};
pub use roster::{Choice, Roster};
pub use round::{Append, ResultBody, Round, RoundAsk, RoundInput, RoundRules, RoundStep};
