//! Whether the user cut a run short.

use massgen_protocol::{Event, EventBody};

/// Follows the wishes to wrap up. One that came when the run was at its end
/// anyway is ignored by the rules, and cut nothing short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutShort {
    is_cut: bool,
    /// The newest wish: its event, and what was true before it.
    newest: Option<(u64, bool)>,
}

impl CutShort {
    /// Takes the next event in.
    pub fn apply(&mut self, event: &Event) {
        if event.body == EventBody::InterruptRequested {
            self.newest = Some((event.seq, self.is_cut));
            self.is_cut = true;
        } else if let (EventBody::InputIgnored { .. }, Some((asked, before))) =
            (&event.body, self.newest)
            && asked.checked_add(1) == Some(event.seq)
        {
            // A decision follows its input directly.
            self.is_cut = before;
        }
    }

    pub fn is_cut(self) -> bool {
        self.is_cut
    }
}
