//! Every event as one line of JSON on stdout, as it is in the log; where a call ends, with
//! how the sums stand.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use massgen_protocol::{Event, Millis};
use massgen_view::Ledger;

use super::{Ending, Output};
use crate::error::CliError;

/// The event stream, for programs.
pub struct Json<W: Write> {
    out: BufWriter<W>,
    ledger: Ledger,
}

impl<W: Write> Json<W> {
    pub fn new(out: W) -> Json<W> {
        Json { out: BufWriter::new(out), ledger: Ledger::default() }
    }
}

impl<W: Write> Output for Json<W> {
    fn event(&mut self, event: &Arc<Event>) -> Result<(), CliError> {
        self.ledger.apply(event);
        let written = match self.ledger.totals_after(event) {
            None => serde_json::to_writer(&mut self.out, event.as_ref()),
            Some(totals) => serde_json::to_value(event.as_ref()).and_then(|mut line| {
                line["totals"] = totals;
                serde_json::to_writer(&mut self.out, &line)
            }),
        };
        written.map_err(|error| CliError::output(error.into()))?;
        self.out.write_all(b"\n").map_err(CliError::output)?;
        // Streamed text may wait for the next tick; a decision is what a reader waits for.
        if event.body.is_decision() { self.out.flush().map_err(CliError::output) } else { Ok(()) }
    }

    fn tick(&mut self, _now: Millis) -> Result<(), CliError> {
        self.out.flush().map_err(CliError::output)
    }

    fn end(&mut self, _ending: &Ending) -> Result<(), CliError> {
        self.out.flush().map_err(CliError::output)
    }
}

#[cfg(test)]
mod tests {
    use massgen_protocol::{AttemptIndex, EventBody};

    use super::*;

    #[test]
    fn an_event_is_one_line_that_reads_back() {
        let mut json = Json::new(Vec::new());
        let attempt = AttemptIndex(1);
        let event = Event { seq: 7, at: Millis(3), body: EventBody::AttemptStarted { attempt } };
        assert!(json.event(&Arc::new(event.clone())).is_ok());
        let written = json.out.get_ref();
        assert!(written.ends_with(b"\n"), "a decision is not held back");
        assert_eq!(serde_json::from_slice::<Event>(written).ok(), Some(event));
    }
}
