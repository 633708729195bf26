//! Asks somebody, and waits no longer than it may.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use massgen_protocol::{
    Approval, ApprovalBy, AskDefault, PermissionAnswer, RoundId, ToolCallId, ToolReport,
};
use tokio::sync::oneshot;

use super::handshake::{Question, answer_in};
use super::risk::Risk;
use crate::Invocation;

/// How long somebody may take where the config does not say: a person reads it, thinks, and
/// may have been away for a coffee. A round ends before that if it has to.
const WAIT_MS_DEFAULT: u64 = 600_000;

/// Most answers that are remembered for good; beyond them somebody is asked again.
const REMEMBERED_MAX: usize = 10_000;

/// Questions and answers of one agent.
pub(super) struct Approvals {
    policy: Approval,
    is_attended: bool,
    waiting: Mutex<BTreeMap<Key, oneshot::Sender<PermissionAnswer>>>,
    /// What was answered for good, by the likeness of the call.
    remembered: Mutex<BTreeMap<String, PermissionAnswer>>,
}

type Key = (RoundId, ToolCallId);

/// A question.
pub(super) struct Asked<'a> {
    pub what: &'a str,
    pub reason: &'a str,
    pub risk: Risk,
    pub likeness: String,
}

/// Takes the question back when nobody waits for its answer any more.
struct Waiting<'a> {
    approvals: &'a Approvals,
    key: Key,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        locked(&self.approvals.waiting).remove(&self.key);
    }
}

impl Approvals {
    pub fn new(policy: Approval, is_attended: bool) -> Approvals {
        Approvals {
            policy,
            is_attended,
            waiting: Mutex::new(BTreeMap::new()),
            remembered: Mutex::new(BTreeMap::new()),
        }
    }

    /// Asks, and returns an answer in any case.
    pub async fn ask(&self, invocation: &Invocation, asked: Asked<'_>) -> PermissionAnswer {
        if let Some(answer) = locked(&self.remembered).get(&asked.likeness) {
            return answer.clone();
        }
        let dir = match self.policy.by {
            ApprovalBy::Policy => None,
            ApprovalBy::User if !self.is_attended => None,
            ApprovalBy::User => Some(None),
            ApprovalBy::File => Some(self.policy.dir.as_deref()),
        };
        let Some(dir) = dir else { return self.by_policy(asked.risk, "") };
        let key = (invocation.round, invocation.id.clone());
        let (sender, answer) = oneshot::channel();
        {
            let mut waiting = locked(&self.waiting);
            if waiting.contains_key(&key) {
                return denied("policy", "the same call is being asked about already");
            }
            waiting.insert(key.clone(), sender);
        }
        let _waiting = Waiting { approvals: self, key };
        invocation.reports.say(ToolReport::PermissionAsked {
            what: asked.what.to_owned(),
            reason: asked.reason.to_owned(),
        });
        let wait = Duration::from_millis(self.policy.wait_ms.unwrap_or(WAIT_MS_DEFAULT));
        let heard = tokio::time::timeout(wait, async {
            match dir {
                Some(dir) => {
                    let question = Question::of(invocation, &asked, wait);
                    tokio::select! {
                        answer = answer => answer.ok(),
                        answer = answer_in(dir, &question, &invocation.reports) => answer,
                    }
                }
                None => answer.await.ok(),
            }
        });
        match heard.await {
            Ok(Some(answer)) => {
                if answer.always {
                    self.remember(asked.likeness, &answer);
                }
                answer
            }
            Ok(None) => self.by_policy(asked.risk, "nobody could be asked"),
            Err(_) => self.by_policy(asked.risk, "nobody answered in time"),
        }
    }

    /// Hands in an answer; `false` if nobody waits for it.
    pub fn permit(&self, round: RoundId, id: &ToolCallId, answer: PermissionAnswer) -> bool {
        let sender = locked(&self.waiting).remove(&(round, id.clone()));
        sender.is_some_and(|sender| sender.send(answer).is_ok())
    }

    fn remember(&self, likeness: String, answer: &PermissionAnswer) {
        let mut remembered = locked(&self.remembered);
        if remembered.len() < REMEMBERED_MAX {
            remembered.insert(likeness, answer.clone());
        }
    }

    fn by_policy(&self, risk: Risk, because: &str) -> PermissionAnswer {
        let allowed = match self.policy.otherwise {
            AskDefault::AllowAll => true,
            AskDefault::DenyAll => false,
            AskDefault::RiskBased => risk <= Risk::Undoable,
        };
        let why = if allowed { "" } else { risk.reason() };
        let parts: Vec<&str> = [because, why].into_iter().filter(|part| !part.is_empty()).collect();
        let reason = parts.join(", and ");
        PermissionAnswer { allowed, always: false, by: "policy".to_owned(), reason }
    }
}

pub(super) fn denied(by: &str, reason: &str) -> PermissionAnswer {
    PermissionAnswer { allowed: false, always: false, by: by.to_owned(), reason: reason.to_owned() }
}

/// What is behind these locks is whole after every statement.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
