//! `orchestrator` and `timeout_settings` to the rules of coordination.

use massgen_protocol::{
    AnswerNovelty, Budget, CallTimeouts, FilesSpec, FinalPresentation, OnNewAnswer, Policy,
    SelfVote, TieBreak,
};

use crate::Overrides;
use crate::files::{of_coordination, of_orchestrator};
use crate::known::{BUDGET, COORDINATION, ORCHESTRATOR, TIMEOUTS};
use crate::problem::Place;
use crate::reader::{Least, Reader, SECONDS_MAX};
use crate::section::{Field, Section};
use crate::sensitivity::sensitivity;
use crate::tooling::TeamTools;

/// Most answers an agent, a team, may be allowed: each sends everybody back to work.
const ANSWERS_MAX: u32 = 1_000;
const TOTAL_ANSWERS_MAX: u32 = 100_000;
/// Most attempts a review may order.
const RESTARTS_MAX: u32 = 100;
/// Most tries of what counts tries: failures, broken rules.
const TRIES_MAX: u32 = 1_000;
/// Most model calls in one round.
const TURNS_MAX: u32 = 10_000;
/// Largest budget in money, a billion dollars.
const COST_USD_MAX: f64 = 1e9;
/// Part of an attempt that is kept for wrapping up where nothing is said, in percent.
const WRAP_UP_LEAD_PERCENT: u64 = 10;

const ON_NEW_ANSWER: &[(&str, OnNewAnswer)] = &[
    ("graceful", OnNewAnswer::Graceful),
    ("interrupt", OnNewAnswer::Interrupt),
    ("wait", OnNewAnswer::Wait),
];
const TIE_BREAK: &[(&str, TieBreak)] =
    &[("roster", TieBreak::Roster), ("earliest", TieBreak::Earliest), ("seeded", TieBreak::Seeded)];
const SELF_VOTE: &[(&str, SelfVote)] =
    &[("allow", SelfVote::Allow), ("discount", SelfVote::Discount), ("forbid", SelfVote::Forbid)];
const NOVELTY: &[(&str, AnswerNovelty)] = &[
    ("lenient", AnswerNovelty::Lenient),
    ("balanced", AnswerNovelty::Balanced),
    ("strict", AnswerNovelty::Strict),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Strategy {
    Reuse,
    Present,
    Synthesize,
}

const STRATEGY: &[(&str, Strategy)] = &[
    ("winner_reuse", Strategy::Reuse),
    ("winner_present", Strategy::Present),
    ("synthesize", Strategy::Synthesize),
];

/// What the team has in common.
#[derive(Debug, Default)]
pub(crate) struct Team {
    pub policy: Policy,
    pub timeouts: CallTimeouts,
    pub seed: Option<u64>,
    pub prompts_dir: Option<String>,
    pub files: FilesSpec,
    pub tools: TeamTools,
    /// Where the budget in money was written.
    pub cost_at: Option<(Place, String)>,
}

/// Reads both sections; what is not written keeps its default.
pub(crate) fn team(reader: &mut Reader<'_>, top: &mut Section<'_>, overrides: &Overrides) -> Team {
    let mut team = Team::default();
    if let Some(section) = top.section(reader, "orchestrator", &ORCHESTRATOR) {
        orchestrator(reader, section, &mut team);
    }
    let timeouts = top.section(reader, "timeout_settings", &TIMEOUTS);
    timeout_settings(reader, timeouts, overrides.orchestrator_timeout_s, &mut team);
    team.seed = overrides.seed.or(team.seed);
    team.prompts_dir = overrides.prompts_dir.clone().or(team.prompts_dir);
    team
}

fn orchestrator(reader: &mut Reader<'_>, mut section: Section<'_>, team: &mut Team) {
    let (r, s, policy) = (reader, &mut section, &mut team.policy);
    set(&mut policy.voting_sensitivity, sensitivity(r, s.given("voting_sensitivity")));
    set(&mut policy.answer_novelty, r.choice(s.given("answer_novelty_requirement"), NOVELTY));
    set(
        &mut policy.answers_per_agent_max,
        r.count32(s.given("max_new_answers_per_agent"), 1..=ANSWERS_MAX),
    );
    policy.answers_max = r.count32(s.given("max_new_answers_global"), 1..=TOTAL_ANSWERS_MAX);
    set(&mut policy.on_new_answer, r.choice(s.given("on_new_answer"), ON_NEW_ANSWER));
    set(&mut policy.tie_break, r.choice(s.given("tie_break"), TIE_BREAK));
    set(&mut policy.self_vote, r.choice(s.given("self_vote"), SELF_VOTE));
    set(&mut policy.defer_voting, r.flag(s.given("defer_voting_until_all_answered")));
    set(&mut policy.final_presentation, final_presentation(r, s));
    set(&mut policy.failures_max, r.count32(s.given("failures_max"), 1..=TRIES_MAX));
    set(
        &mut policy.exhausted_rounds_max,
        r.count32(s.given("exhausted_rounds_max"), 1..=TRIES_MAX),
    );
    set(&mut policy.violations_max, r.count32(s.given("violations_max"), 1..=TRIES_MAX));
    set(&mut policy.turns_max, r.count32(s.given("turns_max"), 1..=TURNS_MAX));
    set(&mut policy.salvage_text, r.flag(s.given("salvage_text")));
    set(&mut policy.sole_agent_votes, r.flag(s.given("sole_agent_votes")));
    backoff(r, s, &mut policy.backoff_ms, &mut policy.backoff_ms_max);
    if let Some(mut coordination) = s.section(r, "coordination", &COORDINATION) {
        let field = coordination.given("max_orchestration_restarts");
        set(&mut policy.restarts_max, r.count32(field, 0..=RESTARTS_MAX));
        of_coordination(r, &mut coordination, &mut team.files, &mut team.tools);
        coordination.finish(r);
    }
    if let Some(section) = s.section(r, "budget", &BUDGET) {
        policy.budget = budget(r, section, &mut team.cost_at);
    }
    of_orchestrator(r, s, &mut team.files, &mut team.tools);
    team.seed = r.count(s.given("seed"), 0..=u64::MAX);
    team.prompts_dir = r.text(s.given("prompts_dir")).filter(|dir| !dir.trim().is_empty());
    section.finish(r);
}

/// `final_answer_strategy` says more than `skip_final_presentation` and wins over it.
fn final_presentation(r: &mut Reader<'_>, s: &mut Section<'_>) -> Option<FinalPresentation> {
    let skip = r.flag(s.given("skip_final_presentation"));
    let field = s.given("final_answer_strategy");
    let place = field.as_ref().map(|field| (field.node.at, field.path.clone()));
    let strategy = r.choice(field, STRATEGY);
    if let (Some(Strategy::Synthesize), Some((at, path))) = (strategy, place) {
        let message = "`synthesize` is not in this version: `winner_present` is taken, where the \
                       winner writes the final answer with all answers in view";
        r.report.notice(at, &path, message.to_owned(), None);
    }
    match (strategy, skip) {
        (Some(Strategy::Reuse), _) | (None, Some(true)) => Some(FinalPresentation::Reuse),
        (Some(Strategy::Present | Strategy::Synthesize), _) | (None, Some(false)) => {
            Some(FinalPresentation::Present)
        }
        (None, None) => None,
    }
}

/// A first pause above the longest one raises it, unless both are written.
fn backoff(r: &mut Reader<'_>, s: &mut Section<'_>, first_ms: &mut u64, longest_ms: &mut u64) {
    let longest = s.given("backoff_max_seconds");
    let place = longest.as_ref().map(|field| (field.node.at, field.path.clone()));
    set(first_ms, r.seconds(s.given("backoff_seconds"), Least::Zero));
    match (r.seconds(longest, Least::Zero), place) {
        (Some(ms), Some((at, path))) if ms < *first_ms => {
            let message = "`backoff_max_seconds` is below `backoff_seconds`".to_owned();
            r.error(at, &path, message, None);
        }
        (Some(ms), _) => *longest_ms = ms,
        (None, _) => *longest_ms = (*longest_ms).max(*first_ms),
    }
}

fn budget(
    r: &mut Reader<'_>,
    mut section: Section<'_>,
    cost_at: &mut Option<(Place, String)>,
) -> Budget {
    let s = &mut section;
    let cost = s.given("max_cost_usd");
    *cost_at = cost.as_ref().map(|field| (field.node.at, field.path.clone()));
    let mut budget = Budget {
        calls: r.count32(s.given("max_calls"), 1..=u32::MAX),
        tokens: r.count(s.given("max_tokens"), 1..=u64::MAX),
        money_micros: r.dollars(cost, 0.000_001..=COST_USD_MAX),
        time_ms: r.seconds(s.given("max_seconds"), Least::OneMilli),
        ..Budget::default()
    };
    if let Some(percent) = r.count(s.given("soft_percent"), 1..=100) {
        // At most 100, so nothing is cut off.
        budget.soft_percent = percent as u8;
    }
    section.finish(r);
    budget
}

fn timeout_settings(
    r: &mut Reader<'_>,
    mut section: Option<Section<'_>>,
    attempt_override_s: Option<u64>,
    team: &mut Team,
) {
    let (deadlines, calls) = (&mut team.policy.deadlines, &mut team.timeouts);
    let mut lead = None;
    let mut lead_place = None;
    if let Some(s) = &mut section {
        deadline(r, s.take("orchestrator_timeout_seconds"), &mut deadlines.attempt_ms);
        deadline(r, s.take("initial_round_timeout_seconds"), &mut deadlines.first_round_ms);
        deadline(r, s.take("subsequent_round_timeout_seconds"), &mut deadlines.later_round_ms);
        deadline(r, s.take("presentation_timeout_seconds"), &mut deadlines.presentation_ms);
        deadline(r, s.take("review_timeout_seconds"), &mut deadlines.review_ms);
        let grace = r.seconds(s.given("round_timeout_grace_seconds"), Least::Zero);
        set(&mut deadlines.round_grace_ms, grace);
        let field = s.given("wrap_up_lead_seconds");
        lead_place = field.as_ref().map(|field| (field.node.at, field.path.clone()));
        lead = r.seconds(field, Least::Zero);
        let mut call = |key, ms: &mut u64| set(ms, r.seconds(s.given(key), Least::OneMilli));
        call("connect_timeout_seconds", &mut calls.connect_ms);
        call("first_byte_timeout_seconds", &mut calls.first_byte_ms);
        call("idle_timeout_seconds", &mut calls.idle_ms);
        call("call_timeout_seconds", &mut calls.total_ms);
    }
    if let Some(seconds) = attempt_override_s {
        if seconds == 0 || seconds as f64 > SECONDS_MAX {
            let message = format!("expected seconds from 1 to {SECONDS_MAX}, found {seconds}");
            r.error(Place::default(), "orchestrator timeout of the command line", message, None);
        } else {
            deadlines.attempt_ms = Some(seconds.saturating_mul(1_000));
        }
    }
    if let Some(attempt_ms) = deadlines.attempt_ms {
        match (lead, lead_place) {
            (Some(lead), Some((at, path))) if lead >= attempt_ms => {
                let message = format!(
                    "the team would wrap up before it begins: `wrap_up_lead_seconds` has to be \
                     below the {} s of the attempt",
                    attempt_ms as f64 / 1_000.0
                );
                r.error(at, &path, message, None);
            }
            (Some(lead), _) => deadlines.wrap_up_lead_ms = lead,
            (None, _) => {
                let share = attempt_ms / 100 * WRAP_UP_LEAD_PERCENT;
                deadlines.wrap_up_lead_ms = deadlines.wrap_up_lead_ms.min(share);
            }
        }
    } else {
        set(&mut deadlines.wrap_up_lead_ms, lead);
    }
    if let Some(section) = section {
        section.finish(r);
    }
}

/// Nothing written keeps the default; nothing (`null`) as a value switches the deadline off.
fn deadline(r: &mut Reader<'_>, field: Option<Field<'_>>, deadline: &mut Option<u64>) {
    match field {
        Some(field) if field.node.is_null() => *deadline = None,
        Some(field) => {
            if let Some(ms) = r.seconds(Some(field), Least::OneMilli) {
                *deadline = Some(ms);
            }
        }
        None => {}
    }
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}
