//! One call of one tool.

use std::collections::BTreeMap;
use std::time::Duration;

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CancelledNotification, CancelledNotificationParam,
    ClientNotification, ClientRequest, InputRequest, InputRequiredResult, InputResponses,
    RequestId, ServerResult,
};
use rmcp::service::{Peer, PeerRequestOptions, RoleClient, ServiceError};
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connection::Connection;
use super::failure::CallFailure;
use super::limits::{ASK_ROUNDS_MAX, BACKOFF_MIN, CANCEL, PROGRESS_FACTOR};
use crate::Reports;

impl Connection {
    /// Calls a tool and returns its result as it came. Dropped, it tells the server.
    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        reports: &Reports,
        bound: Duration,
    ) -> Result<Value, CallFailure> {
        let mut params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let last = Instant::now() + bound.saturating_mul(PROGRESS_FACTOR);
        for round in 0..ASK_ROUNDS_MAX {
            let result = self.ask(params.clone(), reports, bound, last).await?;
            let asked = match result {
                ServerResult::InputRequiredResult(asked) => asked,
                ServerResult::CreateTaskResult(_) => {
                    return Err(CallFailure::Asks { what: "to be asked again later" });
                }
                // The protocol's type for nothing at all has the looks of others.
                ServerResult::EmptyResult(_) | ServerResult::TaskAckResult(_) => {
                    return Ok(json!({}));
                }
                ServerResult::CustomResult(result) => return Ok(result.0),
                other => return Ok(serde_json::to_value(other).unwrap_or_default()),
            };
            let had_questions =
                asked.input_requests.as_ref().is_some_and(|asked| !asked.is_empty());
            params.request_state = asked.request_state.clone();
            params.input_responses = self.decline(asked)?;
            if !had_questions {
                // It only asks for time.
                sleep(BACKOFF_MIN * (round as u32 + 1)).await;
            }
        }
        Err(CallFailure::Asks { what: "an answer" })
    }

    async fn ask(
        &self,
        params: CallToolRequestParams,
        reports: &Reports,
        bound: Duration,
        last: Instant,
    ) -> Result<ServerResult, CallFailure> {
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let timed_out = CallFailure::TimedOut { after: bound };
        let sent = self.peer.send_cancellable_request(request, PeerRequestOptions::no_options());
        let handle = match timeout(bound, sent).await {
            Ok(sent) => sent.map_err(|error| CallFailure::of(&error))?,
            Err(_) => return Err(timed_out),
        };
        let mut call_off = CallOff { peer: &self.peer, id: Some(handle.id.clone()) };
        let stay = self.reception.enter(handle.progress_token.clone(), reports.clone());
        let mut answer = handle.rx;
        let mut deadline = Instant::now() + bound;
        let answered = loop {
            tokio::select! {
                biased;
                answered = &mut answer => break answered,
                () = stay.progressed.notified() => deadline = Instant::now() + bound,
                () = sleep_until(deadline.min(last)) => return Err(timed_out),
            }
        };
        call_off.id = None;
        answered.unwrap_or(Err(ServiceError::TransportClosed)).map_err(|e| CallFailure::of(&e))
    }

    /// Answers what a server asks back: nobody is there to fill in a form, and no model is lent.
    fn decline(&self, asked: InputRequiredResult) -> Result<Option<InputResponses>, CallFailure> {
        let mut answers = BTreeMap::new();
        for (key, question) in asked.input_requests.unwrap_or_default() {
            let answer = match question {
                InputRequest::ListRoots(_) => {
                    serde_json::to_value(self.reception.roots()).unwrap_or_default()
                }
                InputRequest::CreateMessage(_) => {
                    return Err(CallFailure::Asks { what: "an answer of a model" });
                }
                // A form; the kinds are open, and «no» fits all that a person is asked.
                _ => json!({ "action": "decline" }),
            };
            answers.insert(key, answer);
        }
        Ok((!answers.is_empty()).then_some(answers))
    }
}

/// Tells the server that nobody waits any more, unless somebody took the answer.
struct CallOff<'c> {
    peer: &'c Peer<RoleClient>,
    id: Option<RequestId>,
}

impl Drop for CallOff<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        // Without a runtime there is no connection either.
        let Ok(runtime) = Handle::try_current() else { return };
        let peer = self.peer.clone();
        let reason = Some("the call was given up".to_owned());
        let params = CancelledNotificationParam::new(Some(id), reason);
        let notification =
            ClientNotification::CancelledNotification(CancelledNotification::new(params));
        runtime.spawn(async move {
            let _ = timeout(CANCEL, peer.send_notification(notification)).await;
        });
    }
}
