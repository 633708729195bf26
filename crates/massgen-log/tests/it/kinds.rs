//! Holds the samples to the enum.

use massgen_protocol::EventBody;

/// Returns the sample an event is of. A new kind of event does not compile until
/// it has its sample.
pub fn kind_of(body: &EventBody) -> usize {
    match body {
        EventBody::RunStarted { .. } => 0,
        EventBody::RunResumed { .. } => 1,
        EventBody::QuestionAsked { .. } => 2,
        EventBody::AttemptStarted { .. } => 3,
        EventBody::RoundOpened { .. } => 4,
        EventBody::CallRequested { .. } => 5,
        EventBody::CallGranted { .. } => 6,
        EventBody::CallRefused { .. } => 7,
        EventBody::TextStreamed { .. } => 8,
        EventBody::ToolCallStreaming { .. } => 9,
        EventBody::CallRetried { .. } => 10,
        EventBody::CallFinished { .. } => 11,
        EventBody::CallFailed { .. } => 12,
        EventBody::CallCancelled { .. } => 13,
        EventBody::ToolStarted { .. } => 14,
        EventBody::ToolFinished { .. } => 15,
        EventBody::AnswerSubmitted { .. } => 16,
        EventBody::VoteSubmitted { .. } => 17,
        EventBody::RoundEnded { .. } => 18,
        EventBody::SnapshotTaken { .. } => 19,
        EventBody::SnapshotFailed { .. } => 20,
        EventBody::DeadlineReached { .. } => 21,
        EventBody::Presented { .. } => 22,
        EventBody::AttemptReviewed { .. } => 23,
        EventBody::InterruptRequested => 24,
        EventBody::StopRequested => 25,
        EventBody::AnswerProposed { .. } => 26,
        EventBody::AnswerAccepted { .. } => 27,
        EventBody::SubmissionRejected { .. } => 28,
        EventBody::VoteCast { .. } => 29,
        EventBody::VotesVoided { .. } => 30,
        EventBody::UpdateSent { .. } => 31,
        EventBody::UpdateSeen { .. } => 32,
        EventBody::RuleEnforced { .. } => 33,
        EventBody::RoundClosed { .. } => 34,
        EventBody::AgentFailed { .. } => 35,
        EventBody::AgentRetired { .. } => 36,
        EventBody::WrapUpStarted { .. } => 37,
        EventBody::WinnerSelected { .. } => 38,
        EventBody::AttemptRestarted { .. } => 39,
        EventBody::TurnFinished { .. } => 40,
        EventBody::RemoteToolStarted { .. } => 42,
        EventBody::RemoteToolFinished { .. } => 43,
        EventBody::CallThrottled { .. } => 44,
        EventBody::CallFellBack { .. } => 45,
        EventBody::ToolOutputStreamed { .. } => 46,
        EventBody::ToolNotice { .. } => 47,
        EventBody::PermissionAsked { .. } => 48,
        EventBody::PermissionDecided { .. } => 49,
        EventBody::InsightShared { .. } => 50,
        EventBody::SandboxChosen { .. } => 51,
        EventBody::InputIgnored { .. }
        | EventBody::RecordingFailed { .. }
        | EventBody::ProviderNotice { .. } => 41,
    }
}
