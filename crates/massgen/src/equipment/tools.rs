//! The tools of a run as its loop wants them.

use std::sync::Arc;

use futures::future::BoxFuture;
use massgen_protocol::{PermissionAnswer, RoundId, RoundKind, ToolCallId, ToolOutput};
use massgen_runtime::{ToolRequest, Tools};
use massgen_tools::Reports;
use massgen_tools::host::{Host, HostCall};

/// The host behind the seam of the loop.
pub struct Bench {
    pub host: Arc<Host>,
    /// A team of one presents all the time.
    pub is_sole: bool,
}

impl Tools for Bench {
    fn call(&self, request: ToolRequest) -> BoxFuture<'static, ToolOutput> {
        let ToolRequest { agent, round, kind, call, reports } = request;
        let reports = Reports::new(move |report| reports(report));
        let kind = if self.is_sole { RoundKind::Present } else { kind };
        self.host.call(HostCall { agent, round, kind, call, reports })
    }

    fn permit(&self, round: RoundId, id: &ToolCallId, answer: PermissionAnswer) {
        self.host.permit(round, id, answer);
    }
}
