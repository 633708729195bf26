//! What a server may take of us, and why no more.

use std::time::Duration;

/// Tools of one server. More than any provider takes in a request; a server that lists more is
/// broken, or means another kind of client.
pub(super) const TOOLS_MAX: usize = 1_024;

/// Pages of one tool list, so that a cursor that never ends does not hold a run up.
pub(super) const PAGES_MAX: usize = 64;

/// Bytes of one tool's description. The longest in use are about half of it; a model reads all
/// of them with every request.
pub(super) const DESCRIPTION_MAX: usize = 8 << 10;

/// Bytes of one tool's schema, serialised.
pub(super) const SCHEMA_MAX: usize = 32 << 10;

/// Bytes of a result's text: what a model can still read and go on working.
pub(super) const RESULT_MAX: usize = 64 << 10;

/// Images and sounds of one result.
pub(super) const MEDIA_MAX: usize = 8;

/// Bytes of one image or sound; providers refuse more.
pub(super) const MEDIA_BYTES_MAX: usize = 5 << 20;

/// Bytes of one message of a server. What is longer is dropped unread.
pub(super) const MESSAGE_MAX: usize = 16 << 20;

/// Bytes of a failed reply of a web server that are read at all.
pub(super) const ERROR_BODY_MAX: usize = 4 << 10;

/// Bytes of a failure's text shown to the model: the cause is in the beginning.
pub(super) const FAILURE_MAX: usize = 1_200;

/// Progress and log messages of one call that are passed on, against floods.
pub(super) const REPORTS_MAX: usize = 200;

/// Bytes of one progress or log message.
pub(super) const REPORT_MAX: usize = 500;

/// Progress that came before its call was known, which takes no longer than a task switch.
pub(super) const EARLY_MAX: usize = 32;

/// Lines kept of what a server wrote to its standard error, and bytes of each.
pub(super) const LAST_LINES: usize = 20;
pub(super) const LAST_LINE_MAX: usize = 400;

/// A call that reports progress may take this many times its bound, and then it ends.
pub(super) const PROGRESS_FACTOR: u32 = 10;

/// Times a server may ask back within one call. Nobody is there to answer.
pub(super) const ASK_ROUNDS_MAX: usize = 4;

/// How long a server has to answer the question for its era, before it is taken for an old one
/// that leaves unknown questions unanswered.
pub(super) const PROBE: Duration = Duration::from_secs(8);

/// How long the tools of a server that announces changes have to stay the same before they are
/// taken for all: some add tools once they know what the client can do.
pub(super) const SETTLE: Duration = Duration::from_millis(100);
pub(super) const LISTS_MAX: usize = 4;

/// To tell a server that a call is off.
pub(super) const CANCEL: Duration = Duration::from_secs(5);

/// Failures in a row after which a server is left alone for a while.
pub(super) const FAILURES_MAX: u32 = 5;
pub(super) const BACKOFF_MIN: Duration = Duration::from_millis(250);
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(30);
pub(super) const LEFT_ALONE: Duration = Duration::from_secs(120);

/// A call waits this long for a server that may be started again soon; else it fails at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A server that is let go has this long to end by itself, and as long again once it is told to.
pub(super) const GRACE: Duration = Duration::from_millis(800);

/// All servers of a run have ended after this, or are ended.
pub(super) const SHUTDOWN: Duration = Duration::from_secs(3);

/// Servers that start at the same time: a team of fifty must not start a hundred interpreters
/// at once, or all of them time out.
pub(super) const STARTS_MAX: usize = 16;
