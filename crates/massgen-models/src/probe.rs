//! One tiny call, to see whether a backend works as it is set up.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use massgen_protocol::{
    AssistantTurn, BackendSpec, CallFailure, CallTimeouts, FailureKind, Message, ModelCall,
    ModelEvent, Role, ToolSpec, Usage,
};
use serde_json::json;
use tokio::time::Instant;

use crate::cost::cost_micros;
use crate::registry::{ConnectError, connect};

/// A server that loads a model first may take most of this.
const PROBE_MS: u64 = 60_000;

/// Enough for a word or a call without arguments; OpenAI takes no smaller bound.
const OUTPUT_TOKENS: u64 = 16;

/// What came of a call that succeeded.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// From the first try to the last byte.
    pub latency_ms: u64,
    /// Model that answered, where its server tells.
    pub model: Option<String>,
    pub usage: Usage,
    /// `None` where neither the server nor the config tells a price.
    pub cost_micros: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nothing was sent.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{}", .0.message)]
    Call(CallFailure),
}

/// Makes one call with a tool on offer, as every call of a run has: a server that
/// takes no tools is of no use to a team. Fallbacks are left out, so that a backend
/// speaks for itself; a reply that is cut off at the few tokens it may have is a
/// success.
///
/// # Errors
/// Why the backend cannot be called, or what its one try came to.
pub async fn probe(spec: &BackendSpec) -> Result<Probe, ProbeError> {
    let mut spec = BackendSpec { fallbacks: Vec::new(), tries_max: 1, ..spec.clone() };
    // A budget of thought would be larger than the whole reply may be.
    spec.reasoning.budget_tokens = None;
    let CallTimeouts { connect_ms, .. } = spec.timeouts;
    spec.timeouts = CallTimeouts {
        connect_ms: connect_ms.min(PROBE_MS),
        first_byte_ms: PROBE_MS,
        idle_ms: PROBE_MS,
        total_ms: PROBE_MS,
    };
    let driver = connect(&spec)?;
    let began = Instant::now();
    let mut events = driver.call(tiny_call());
    let turn = tokio::time::timeout(Duration::from_millis(PROBE_MS), async {
        while let Some(event) = events.next().await {
            if let ModelEvent::Finished(turn) = event? {
                return Ok(turn);
            }
        }
        Err(failure(FailureKind::Truncated, "the reply ended without an end"))
    });
    let timed_out = |_| Err(failure(FailureKind::TimedOut, "no reply within a minute"));
    let turn: Box<AssistantTurn> =
        turn.await.unwrap_or_else(timed_out).map_err(ProbeError::Call)?;
    let has_price = spec.prices != Default::default() || turn.usage.cost_micros.is_some();
    Ok(Probe {
        latency_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        cost_micros: has_price.then(|| cost_micros(&turn.usage, &spec.prices)),
        model: turn.model,
        usage: turn.usage,
    })
}

fn tiny_call() -> ModelCall {
    let question = Message::text(Role::User, "Say the word ok.");
    let tool = ToolSpec {
        name: "ok".to_owned(),
        description: "Says that all is well.".to_owned(),
        parameters: json!({ "type": "object", "properties": {}, "additionalProperties": false }),
    };
    ModelCall {
        messages: Arc::new(vec![Arc::new(question)]),
        tools: Arc::new(vec![tool]),
        max_output_tokens: Some(OUTPUT_TOKENS),
        label: "doctor/agent1#1.1".to_owned(),
        seed: 0,
    }
}

fn failure(kind: FailureKind, message: &str) -> CallFailure {
    CallFailure { kind, message: message.to_owned(), status: None, retry_after_ms: None }
}
