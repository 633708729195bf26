//! What servers may say and ask on their own account.

// Roots and log messages are on their way out of the protocol; servers of today use them.
#![expect(deprecated, reason = "older servers still speak of roots and log messages")]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use massgen_protocol::ToolReport;
use rmcp::ClientHandler;
use rmcp::model::{
    ClientCapabilities, ClientConfig, Implementation, ListRootsResult,
    LoggingMessageNotificationParam, ProgressNotificationParam, ProgressToken, Root,
};
use rmcp::service::{NotificationContext, RequestContext, RoleClient};
use tokio::sync::Notify;

use super::limits::{EARLY_MAX, REPORT_MAX, REPORTS_MAX};
use super::text;
use crate::Reports;

/// Answers a server. It gets to know the agent's workspace; models and people are not asked on
/// a server's behalf.
pub(super) struct Handler {
    pub reception: Arc<Reception>,
}

impl ClientHandler for Handler {
    async fn list_roots(
        &self,
        _context: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, rmcp::ErrorData> {
        Ok(self.reception.roots())
    }

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.reception.progress(progress);
    }

    async fn on_logging_message(
        &self,
        message: LoggingMessageNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.reception.message(&message);
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.reception.tools_changed();
    }

    fn get_info(&self) -> ClientConfig {
        let mut capabilities = ClientCapabilities::default();
        if !self.reception.roots.is_empty() {
            capabilities.roots = Some(rmcp::model::RootsCapabilities::default());
        }
        ClientConfig::new(
            capabilities,
            Implementation::new("massgen", env!("CARGO_PKG_VERSION")).with_title("MassGen"),
        )
    }
}

/// Knows which calls of a connection are under way, and passes on what is said about them.
pub(super) struct Reception {
    desk: Mutex<Desk>,
    changed: AtomicBool,
    news: Notify,
    /// `file://` addresses.
    roots: Vec<String>,
}

#[derive(Default)]
struct Desk {
    calls: Vec<InFlight>,
    /// A call's token is known only once it is sent, and an answer may be faster.
    early: VecDeque<(ProgressToken, String)>,
}

struct InFlight {
    token: ProgressToken,
    reports: Reports,
    left: usize,
    progressed: Arc<Notify>,
}

impl Reception {
    pub(super) fn new(roots: Vec<String>) -> Arc<Reception> {
        let (changed, news) = (AtomicBool::new(false), Notify::new());
        Arc::new(Reception { desk: Mutex::default(), changed, news, roots })
    }

    /// Passes on what is said about a call, from now until the stay is dropped.
    pub(super) fn enter(self: &Arc<Self>, token: ProgressToken, reports: Reports) -> Stay {
        let progressed = Arc::new(Notify::new());
        let mut said = Vec::new();
        {
            let mut desk = self.desk();
            desk.early.retain(|(other, text)| {
                let is_its = *other == token;
                if is_its {
                    said.push(text.clone());
                }
                !is_its
            });
            desk.calls.push(InFlight {
                token: token.clone(),
                reports: reports.clone(),
                left: REPORTS_MAX,
                progressed: progressed.clone(),
            });
        }
        for text in said {
            progressed.notify_one();
            reports.say(ToolReport::Output { text });
        }
        Stay { reception: self.clone(), token, progressed }
    }

    pub(super) fn tools_changed(&self) {
        self.changed.store(true, Ordering::Relaxed);
        self.news.notify_one();
    }

    /// Waits for the news that there are other tools.
    pub(super) async fn changes(&self) {
        self.news.notified().await;
    }

    /// Returns once, after the server said so, that its tools are others now.
    pub(super) fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }

    pub(super) fn roots(&self) -> ListRootsResult {
        ListRootsResult::new(self.roots.iter().cloned().map(Root::new).collect())
    }

    fn progress(&self, progress: ProgressNotificationParam) {
        let total = progress.total.map(|total| format!("/{total}")).unwrap_or_default();
        let message = progress.message.map(|said| text::line(&said, REPORT_MAX));
        let message = message.map(|said| format!(" {said}")).unwrap_or_default();
        let said = format!("{}{total}{message}\n", progress.progress);
        let mut desk = self.desk();
        let Some(call) = desk.calls.iter_mut().find(|call| call.token == progress.progress_token)
        else {
            desk.early.push_back((progress.progress_token, said));
            if desk.early.len() > EARLY_MAX {
                desk.early.pop_front();
            }
            return;
        };
        call.progressed.notify_one();
        let reports = call.take_turn();
        drop(desk);
        if let Some(reports) = reports {
            reports.say(ToolReport::Output { text: said });
        }
    }

    /// Log messages name no call: the oldest one under way gets them.
    fn message(&self, message: &LoggingMessageNotificationParam) {
        let said = match &message.data {
            serde_json::Value::String(text) => text::line(text, REPORT_MAX),
            data => text::line(&data.to_string(), REPORT_MAX),
        };
        let reports = self.desk().calls.first_mut().and_then(InFlight::take_turn);
        if let Some(reports) = reports {
            reports.say(ToolReport::Notice { what: said });
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InFlight {
    fn take_turn(&mut self) -> Option<Reports> {
        self.left = self.left.checked_sub(1)?;
        Some(self.reports.clone())
    }
}

/// A call that is under way.
pub(super) struct Stay {
    reception: Arc<Reception>,
    token: ProgressToken,
    /// Told with each sign of life.
    pub progressed: Arc<Notify>,
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.reception.desk().calls.retain(|call| call.token != self.token);
    }
}
