//! Decides about every call before it is made.
//!
//! One [`Gate`] an agent. [`Gate::before`] runs the hooks that may change a call, holds back
//! what cannot be undone while the team only plans, and asks the rules: first `deny`, then
//! `allow`, then `ask`, then by [`Risk`]. Where somebody has to be asked it says so, and waits
//! for [`Gate::permit`], a file, or its deadline. [`Gate::after`] runs the hooks that see
//! results.
//!
//! What is decided is reported: every refusal, every answer, and what a rule of the user's
//! allows. What nothing speaks about is not: reading a file is no decision.
//!
//! The gate decides who is asked. It reads names and arguments, which a command or a server can
//! make say anything; what holds back is the sandbox and the guard of the files.

mod approval;
mod facts;
mod glob;
mod handshake;
mod hooks;
mod risk;
mod rule;
mod shell;

use std::path::PathBuf;

use massgen_protocol::{
    ApprovalBy, FilesSpec, PermissionAnswer, RoundId, RoundKind, SandboxMode, ToolCallId,
    ToolEffect, ToolOutput, ToolReport, Tooling,
};

pub use risk::Risk;
pub use rule::{RulesError, Verdict};

use crate::{Equipment, Invocation};
use approval::{Approvals, Asked};
use facts::{Facts, Scene};
use hooks::{HookFault, Hooks, Word};
use rule::Rules;

/// What a gate is made with besides the config.
#[derive(Clone, Default)]
pub struct Setting {
    /// Where the agent works, if it has a workspace.
    pub equipment: Option<Equipment>,
    /// Somebody hears [`ToolReport::PermissionAsked`] and answers with [`Gate::permit`].
    pub is_attended: bool,
    /// The user's home folder, `~/` in rules.
    pub home: Option<String>,
}

/// Why there can be no gate. Nothing is let through instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error(
        "the folder of approvals lies in a workspace, where an agent could answer itself: `{0}`"
    )]
    AnswersItself(String),
    #[error("the hook lies in a workspace, where an agent could rewrite it: `{0}`")]
    RewritesItself(String),
    #[error("`{0}` names no function: a hook is `/path/to/file.py:function` or `module.function`")]
    Hook(String),
}

/// Stands in front of one agent's tools.
pub struct Gate {
    rules: Option<Rules>,
    only_plans: bool,
    is_confined: bool,
    workspace: Option<PathBuf>,
    approvals: Approvals,
    hooks: Hooks,
}

impl Gate {
    /// Makes the gate of an agent.
    ///
    /// # Errors
    /// A rule that cannot be read, or a question that the agent could answer itself.
    pub fn new(tooling: &Tooling, files: &FilesSpec, setting: Setting) -> Result<Gate, GateError> {
        let home = setting.home.as_deref();
        let rules = tooling.permissions.as_ref().map(|spec| Rules::of(spec, home)).transpose()?;
        let workspace = setting.equipment.as_ref().map(|equipment| equipment.workspace.clone());
        if let (Some(workspace), Some(dir)) = (&workspace, &files.approval.dir)
            && files.approval.by == ApprovalBy::File
            && std::path::Path::new(dir).starts_with(workspace)
        {
            return Err(GateError::AnswersItself(dir.clone()));
        }
        let own_mode = tooling.commands.as_ref().and_then(|commands| commands.sandbox);
        let is_confined = own_mode.unwrap_or(files.sandbox.mode) != SandboxMode::Off;
        let approvals = Approvals::new(files.approval.clone(), setting.is_attended);
        let hooks = Hooks::of(&tooling.hooks, setting.equipment).map_err(|fault| match fault {
            HookFault::Handler(handler) => GateError::Hook(handler),
            HookFault::InWorkspace(handler) => GateError::RewritesItself(handler),
        })?;
        let only_plans = files.planning_mode;
        Ok(Gate { rules, only_plans, is_confined, workspace, approvals, hooks })
    }

    /// Decides about a call, asking whoever has to be asked. Dropping it withdraws the question.
    ///
    /// # Errors
    /// What the model is told instead of a result.
    pub async fn before(
        &self,
        invocation: &mut Invocation,
        effect: ToolEffect,
    ) -> Result<(), ToolOutput> {
        let word = if self.hooks.is_empty() {
            Word::Nothing
        } else {
            let heard = self.hooks.before(invocation).await;
            heard.map_err(|(by, reason)| refuse(invocation, &by, &reason))?
        };
        let is_asked = matches!(word, Word::Ask { .. });
        if self.rules.is_none() && !self.only_plans(invocation.kind) && !is_asked {
            return Ok(());
        }
        let facts = self.facts(invocation, effect).await;
        let verdict = self.judge(invocation.kind, &facts);
        // A hook may spare the question or put one; what is denied stays denied.
        let verdict = match (verdict, word) {
            (Verdict::Ask { .. }, Word::Allow { by }) => Verdict::Allow { by: Some(by) },
            (Verdict::Allow { .. }, Word::Ask { reason }) => {
                Verdict::Ask { what: facts.what.clone(), reason }
            }
            (verdict, Word::Nothing | Word::Allow { .. } | Word::Ask { .. }) => verdict,
        };
        self.carry_out(invocation, &facts, verdict).await
    }

    /// Says what would become of a call as it is, without hooks and without asking anybody.
    pub async fn decide(&self, invocation: &Invocation, effect: ToolEffect) -> Verdict {
        let facts = self.facts(invocation, effect).await;
        self.judge(invocation.kind, &facts)
    }

    fn judge(&self, kind: RoundKind, facts: &Facts) -> Verdict {
        if self.only_plans(kind) && facts.risk() == Risk::Irreversible {
            return Verdict::Deny { by: "planning mode".to_owned(), reason: planned(facts) };
        }
        match &self.rules {
            Some(rules) => rules.decide(facts),
            None => Verdict::Allow { by: None },
        }
    }

    fn only_plans(&self, kind: RoundKind) -> bool {
        match kind {
            RoundKind::Present => false,
            RoundKind::Coordinate | RoundKind::Review => self.only_plans,
        }
    }

    async fn carry_out(
        &self,
        invocation: &Invocation,
        facts: &Facts,
        verdict: Verdict,
    ) -> Result<(), ToolOutput> {
        match verdict {
            Verdict::Allow { by: None } => Ok(()),
            Verdict::Allow { by: Some(by) } => {
                // What a role lets everybody read is no news.
                if facts.risk() > Risk::Read || !by.starts_with("role ") {
                    report(invocation, true, &by, "");
                }
                Ok(())
            }
            Verdict::Deny { by, reason } => Err(refuse(invocation, &by, &reason)),
            Verdict::Ask { what, reason } => {
                let likeness = facts.likeness();
                let asked = Asked { what: &what, reason: &reason, risk: facts.risk(), likeness };
                let answer = self.approvals.ask(invocation, asked).await;
                if answer.allowed {
                    report(invocation, true, &answer.by, &answer.reason);
                    return Ok(());
                }
                let told = if answer.reason.is_empty() { reason } else { answer.reason };
                let told = format!("{told}: {what}");
                Err(refuse(invocation, &answer.by, &told))
            }
        }
    }

    /// Sees the result of a call that was let through.
    pub async fn after(&self, invocation: &Invocation, output: &mut ToolOutput) {
        self.hooks.after(invocation, output).await;
    }

    /// Answers a question; `false` if nobody waits for it any more.
    pub fn permit(&self, round: RoundId, id: &ToolCallId, answer: PermissionAnswer) -> bool {
        self.approvals.permit(round, id, answer)
    }

    /// Looks at the call; links are followed on the disk, which may be slow.
    async fn facts(&self, invocation: &Invocation, effect: ToolEffect) -> Facts {
        let (name, arguments) = (invocation.name.clone(), invocation.arguments.clone());
        let (workspace, is_confined) = (self.workspace.clone(), self.is_confined);
        let look = move || {
            let scene = Scene { workspace: workspace.as_deref(), is_confined };
            Facts::of(&name, &arguments, effect, scene)
        };
        match tokio::task::spawn_blocking(look).await {
            Ok(facts) => facts,
            // Whoever cannot be looked at is asked about.
            Err(_) => Facts::unknown(&invocation.name),
        }
    }
}

fn planned(facts: &Facts) -> String {
    format!(
        "the team only plans now, and this cannot be undone: {}. Say in your answer that you \
         would do it; whoever presents does it",
        facts.what
    )
}

fn report(invocation: &Invocation, allowed: bool, by: &str, reason: &str) {
    invocation.reports.say(ToolReport::PermissionDecided {
        allowed,
        by: by.to_owned(),
        reason: reason.to_owned(),
    });
}

/// Reports a refusal, and finds the words for the model.
fn refuse(invocation: &Invocation, by: &str, reason: &str) -> ToolOutput {
    report(invocation, false, by, reason);
    ToolOutput::error(format!(
        "Not done, refused by {by}: {reason}. Go on without it, or reach your goal another way; \
         the same call will be refused again."
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
