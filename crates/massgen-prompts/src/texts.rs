//! The texts by name, ours or the user's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use thiserror::Error;

use crate::template::{fill, placeholders};

/// Longest text that can replace one of ours. Each is said in every round, so a
/// longer one is a mistake (a wrong file) rather than a prompt.
pub const OVERRIDE_CHARS_MAX: usize = 50_000;

/// The words of all prompts. Cheap to share, never changes during a run.
#[derive(Clone, Debug)]
pub struct Prompts {
    // By `TextName as usize`.
    texts: Vec<Cow<'static, str>>,
}

/// Why a text cannot replace ours.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PromptError {
    #[error("no prompt text is called `{name}`; valid names: {}", Prompts::names().join(", "))]
    UnknownName { name: String },
    #[error("prompt text `{name}` has an unknown placeholder `{{{placeholder}}}`; {}", valid_placeholders(.valid))]
    UnknownPlaceholder { name: String, placeholder: String, valid: &'static [&'static str] },
    #[error("prompt text `{name}` is empty")]
    Empty { name: String },
    #[error("prompt text `{name}` is too long: {chars} characters, at most {OVERRIDE_CHARS_MAX}")]
    TooLong { name: String, chars: usize },
}

fn valid_placeholders(valid: &[&str]) -> String {
    if valid.is_empty() {
        return "it takes none".to_owned();
    }
    let names = valid.iter().map(|name| format!("`{{{name}}}`")).collect::<Vec<_>>();
    format!("it takes: {}", names.join(", "))
}

/// Declares each text once: its name, the placeholders that have a value where it is used.
macro_rules! texts {
    ($($name:ident $file:literal [$($placeholder:literal)*])+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum TextName { $($name),+ }

        const NAMES: &[&str] = &[$($file),+];

        const PLACEHOLDERS: &[&[&str]] = &[$(&[$($placeholder),*]),+];

        const OURS: &[&str] = &[$(include_str!(concat!("text/", $file, ".md"))),+];
    };
}

texts! {
    Accepted "accepted" []
    BriefAnswers "brief_answers" []
    BriefFirst "brief_first" []
    BriefUnchanged "brief_unchanged" []
    BriefVoteOnly "brief_vote_only" []
    Counted "counted" []
    EnforceAfterDecision "enforce_after_decision" ["tool"]
    EnforceBadArguments "enforce_bad_arguments" ["tool" "problem"]
    EnforceBothChoices "enforce_both_choices" []
    EnforceCutOff "enforce_cut_off" []
    EnforceLast "enforce_last" []
    EnforceLeft "enforce_left" ["left"]
    EnforceManyChoices "enforce_many_choices" ["n"]
    EnforceNoChoice "enforce_no_choice" []
    EnforceUnknownTool "enforce_unknown_tool" ["name"]
    Insights "insights" []
    Interrupted "interrupted" []
    NotRun "not_run" []
    NoveltyBalanced "novelty_balanced" []
    NoveltyLenient "novelty_lenient" []
    NoveltyStrict "novelty_strict" []
    Present "present" ["winner"]
    PresentFiles "present_files" []
    PreviousAttempt "previous_attempt" []
    RejectedAnswerLimit "rejected_answer_limit" ["used" "allowed"]
    RejectedDuplicate "rejected_duplicate" ["of"]
    RejectedEmpty "rejected_empty" []
    RejectedNoAnswers "rejected_no_answers" []
    RejectedNoReason "rejected_no_reason" []
    RejectedSelfVote "rejected_self_vote" []
    RejectedSnapshotFailed "rejected_snapshot_failed" []
    RejectedStale "rejected_stale" ["seen" "current"]
    RejectedTooSimilar "rejected_too_similar" ["to" "percent" "allowed"]
    RejectedTotalAnswerLimit "rejected_total_answer_limit" ["used" "allowed"]
    RejectedUnknownChoice "rejected_unknown_choice" ["choice" "valid"]
    RejectedVoteOnly "rejected_vote_only" []
    Review "review" ["winner"]
    SensitivityBalanced "sensitivity_balanced" []
    SensitivityLenient "sensitivity_lenient" []
    SensitivityStrict "sensitivity_strict" []
    Snapshots "snapshots" []
    SystemAlone "system_alone" ["alias" "n_agents"]
    SystemContext "system_context" []
    SystemContextCopy "system_context_copy" ["copy"]
    SystemDecide "system_decide" ["alias" "n_agents"]
    SystemDecideAlone "system_decide_alone" ["alias" "n_agents"]
    SystemFiles "system_files" ["workspace" "temp"]
    SystemMissing "system_missing" []
    SystemTeam "system_team" ["alias" "n_agents"]
    SystemTools "system_tools" ["alias" "n_agents"]
    SystemWork "system_work" ["alias" "n_agents"]
    ToolNewAnswer "tool_new_answer" []
    ToolRestart "tool_restart_orchestration" []
    ToolSubmit "tool_submit" []
    ToolVote "tool_vote" []
    UpdateAnswers "update_answers" []
    UpdateUnchanged "update_unchanged" []
    UpdateVoteOnly "update_vote_only" []
    WrapUpAnswer "wrap_up_answer" []
    WrapUpBudget "wrap_up_budget" []
    WrapUpChoose "wrap_up_choose" []
    WrapUpDeadline "wrap_up_deadline" []
    WrapUpInterrupted "wrap_up_interrupted" []
    WrapUpRoundDeadline "wrap_up_round_deadline" []
}

impl Prompts {
    /// Returns our texts, with those in `overrides` (name to text) in place of ours.
    pub fn new(overrides: BTreeMap<String, String>) -> Result<Prompts, PromptError> {
        let mut texts: Vec<Cow<'static, str>> =
            OURS.iter().map(|text| Cow::Borrowed(text.trim())).collect();
        for (name, text) in overrides {
            let Some(index) = NAMES.iter().position(|known| *known == name) else {
                return Err(PromptError::UnknownName { name });
            };
            check(&name, &text, PLACEHOLDERS[index])?;
            texts[index] = Cow::Owned(text.trim().to_owned());
        }
        Ok(Prompts { texts })
    }

    /// Returns the names under which texts can be replaced, sorted.
    pub fn names() -> &'static [&'static str] {
        NAMES
    }

    pub(crate) fn text(&self, name: TextName) -> &str {
        &self.texts[name as usize]
    }

    pub(crate) fn fill(&self, name: TextName, values: &[(&str, &str)]) -> String {
        fill(self.text(name), values)
    }
}

/// A system section may be emptied to leave it out; an item without words would
/// be a message without content, which providers refuse.
fn check(name: &str, text: &str, valid: &'static [&'static str]) -> Result<(), PromptError> {
    let may_be_empty =
        ["system_", "sensitivity_", "novelty_", "snapshots", "insights", "present_files"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
    if text.trim().is_empty() && !may_be_empty {
        return Err(PromptError::Empty { name: name.to_owned() });
    }
    let chars = text.chars().count();
    if chars > OVERRIDE_CHARS_MAX {
        return Err(PromptError::TooLong { name: name.to_owned(), chars });
    }
    match placeholders(text).find(|found| !valid.contains(found)) {
        Some(placeholder) => Err(PromptError::UnknownPlaceholder {
            name: name.to_owned(),
            placeholder: placeholder.to_owned(),
            valid,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn our_own_texts_pass_the_check_for_overrides() {
        for (index, name) in NAMES.iter().enumerate() {
            assert_eq!(check(name, OURS[index], PLACEHOLDERS[index]), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_are_sorted_and_unique() {
        assert!(NAMES.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn an_override_takes_the_place_of_ours() {
        let overrides = BTreeMap::from([("counted".to_owned(), " Noted. \n".to_owned())]);
        assert_eq!(Prompts::new(overrides).unwrap().text(TextName::Counted), "Noted.");
    }

    #[track_caller]
    fn refused(name: &str, text: &str) -> String {
        Prompts::new(BTreeMap::from([(name.to_owned(), text.to_owned())])).unwrap_err().to_string()
    }

    #[test]
    fn bad_overrides_are_refused_with_what_would_be_valid() {
        let error = refused("conted", "x");
        assert!(error.starts_with("no prompt text is called `conted`; valid names: accepted, "));
        assert!(error.ends_with(", wrap_up_round_deadline"));
        insta::assert_snapshot!(
            refused("rejected_stale", "seen {seen} of {total}"),
            @"prompt text `rejected_stale` has an unknown placeholder `{total}`; it takes: `{seen}`, `{current}`"
        );
        insta::assert_snapshot!(
            refused("counted", "{left}"),
            @"prompt text `counted` has an unknown placeholder `{left}`; it takes none"
        );
        insta::assert_snapshot!(refused("counted", " \n"), @"prompt text `counted` is empty");
        insta::assert_snapshot!(
            refused("counted", &"é".repeat(OVERRIDE_CHARS_MAX + 1)),
            @"prompt text `counted` is too long: 50001 characters, at most 50000"
        );
    }

    #[test]
    fn a_system_section_can_be_emptied() {
        assert!(Prompts::new(BTreeMap::from([("system_work".to_owned(), String::new())])).is_ok());
    }
}
