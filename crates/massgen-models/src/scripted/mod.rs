//! Models that follow a script: for demos, tests, and measuring all the rest.

mod pick;
mod play;
mod script;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use massgen_protocol::{CallFailure, FailureKind, ModelCall};

use crate::backend::{Backend, Beats};
use play::play;
use script::Role;

pub use script::{Script, ScriptError};

/// A team that follows a script.
pub struct Scripted {
    script: Arc<Script>,
}

impl Scripted {
    /// Prepares a script for playing, with `values` for its `{{name}}`s.
    ///
    /// # Errors
    ///
    /// If the script names a value that is not given.
    pub fn new(
        mut script: Script,
        values: &BTreeMap<String, String>,
    ) -> Result<Scripted, ScriptError> {
        script.fill(values)?;
        Ok(Scripted { script: Arc::new(script) })
    }

    /// Returns the names of the agents that have a part.
    pub fn agents(&self) -> impl Iterator<Item = &str> {
        self.script.agents.keys().map(String::as_str)
    }

    /// Returns the model of one agent.
    ///
    /// # Errors
    ///
    /// If it has no part.
    pub fn agent(&self, name: &str) -> Result<Arc<dyn Backend>, ScriptError> {
        let role = self.script.agents.get(name).ok_or_else(|| ScriptError::NoAgent {
            agent: name.to_owned(),
            known: self.agents().map(str::to_owned).collect(),
        })?;
        Ok(Arc::new(Actor {
            name: format!("scripted {name}"),
            role: role.clone(),
            tries: Mutex::default(),
        }))
    }
}

struct Actor {
    name: String,
    role: Role,
    /// By the call's label. Only faults that pass are counted: a resumed run
    /// meets them again, and they pass again.
    tries: Mutex<BTreeMap<String, u32>>,
}

impl Backend for Actor {
    fn name(&self) -> &str {
        &self.name
    }

    fn call(&self, call: ModelCall) -> Beats {
        let Some(reply) = pick::pick(&self.role, &call) else {
            let failure = CallFailure {
                kind: FailureKind::BadRequest,
                message: "the script has no reply for this situation".to_owned(),
                status: None,
                retry_after_ms: None,
            };
            return Box::pin(futures::stream::iter([Err(failure)]));
        };
        let mut reply = reply.clone();
        if let Some(bound) = reply.fault.as_ref().and_then(|fault| fault.tries) {
            let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
            let tries = tries.entry(call.label.clone()).or_default();
            *tries += 1;
            if *tries > bound {
                reply.fault = None;
            }
        }
        play(&reply, self.role.chunk_ms, &call)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
