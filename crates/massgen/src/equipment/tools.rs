//! The tools of a run as its loop wants them.

use std::sync::Arc;

use futures::future::BoxFuture;
use massgen_protocol::{PermissionAnswer, RoundId, ToolCallId, ToolOutput};
use massgen_runtime::{ToolRequest, Tools};
use massgen_tools::Reports;
use massgen_tools::host::{Host, HostCall};

/// The host behind the seam of the loop.
pub struct Bench(pub Arc<Host>);

impl Tools for Bench {
    fn call(&self, request: ToolRequest) -> BoxFuture<'static, ToolOutput> {
        let ToolRequest { agent, round, kind, call, reports } = request;
        let reports = Reports::new(move |report| reports(report));
        self.0.call(HostCall { agent, round, kind, call, reports })
    }

    fn permit(&self, round: RoundId, id: &ToolCallId, answer: PermissionAnswer) {
        self.0.permit(round, id, answer);
    }
}
