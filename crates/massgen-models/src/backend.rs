//! What a provider has to offer.

use futures::stream::BoxStream;
use massgen_protocol::{CallFailure, ModelCall, ModelEvent};

/// One thing a backend reports while a call runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Beat {
    Event(ModelEvent),
    /// The other side is alive and has said nothing: a comment, a ping. Headers are
    /// no sign of life: many servers send them first and then think.
    Alive,
}

/// One try of one call. Dropping it cancels the request.
pub type Beats = BoxStream<'static, Result<Beat, CallFailure>>;

/// A way to reach a model.
///
/// Contract for implementors:
/// - [`Backend::call`] is **one try**. No retries, no time bounds beyond that of
///   opening a connection: the driver has those.
/// - Nothing happens before the stream is first polled, and dropping the stream
///   ends everything the call has started.
/// - The stream ends with exactly one `Ok(Finished)` or one `Err`. A reply that
///   stops without its format's own end is an `Err`, never a success, and so is
///   an error that arrives under a status of success.
/// - Texts arrive as they are produced; the turn in `Finished` is what counts
///   where the two differ (a tool call that leaked into the text).
/// - `Retrying` belongs to the driver.
/// - Failures say nothing secret: no header, no key, no user info of a URL.
pub trait Backend: Send + Sync {
    /// Name for people: type and model.
    fn name(&self) -> &str;

    fn call(&self, call: ModelCall) -> Beats;

    /// What fails together: calls with the same key share a circuit breaker.
    /// `None` if there is nothing outside of this process to fail.
    fn server(&self) -> Option<&str> {
        None
    }

    /// Tokens one conversation may have, where that is known.
    fn context_window(&self) -> Option<u64> {
        None
    }
}
