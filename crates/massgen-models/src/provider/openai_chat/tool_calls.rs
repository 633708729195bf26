//! Which call a piece belongs to.
//!
//! The format says: its `index`. Servers say otherwise: every parallel call has
//! index 0, or none has one, or the id changes with every piece. So both are
//! looked at, and what has been written so far decides where they disagree.

use massgen_protocol::ModelEvent;

use super::chunk::CallDelta;
use crate::provider::arguments;
use crate::provider::decode::{ARGUMENT_BYTES_MAX, CALLS_MAX};

#[derive(Debug, Default)]
pub(crate) struct Calls(Vec<Open>);

#[derive(Debug)]
pub(crate) struct Open {
    index: Option<u64>,
    pub(crate) id: Option<String>,
    /// Empty until its name has come.
    pub(crate) name: String,
    pub(crate) arguments: String,
    pub(crate) too_long: bool,
    /// Its event has been sent, which needs a name.
    announced: bool,
}

impl Calls {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_vec(self) -> Vec<Open> {
        self.0
    }

    /// Adds a piece; `say` gets the events it makes.
    pub(crate) fn push(&mut self, delta: CallDelta, say: &mut impl FnMut(ModelEvent)) {
        let at = match self.place(&delta) {
            Some(at) => at,
            None if self.0.len() < CALLS_MAX => {
                self.0.push(Open {
                    index: delta.index,
                    id: None,
                    name: String::new(),
                    arguments: String::new(),
                    too_long: false,
                    announced: false,
                });
                self.0.len() - 1
            }
            None => return,
        };
        let open = &mut self.0[at];
        if open.id.is_none() {
            open.id = delta.id;
        }
        if let Some(name) = delta.name
            && open.name.is_empty()
        {
            open.name = name;
        }
        if open.arguments.len() + delta.arguments.len() > ARGUMENT_BYTES_MAX {
            open.too_long = true;
        } else {
            open.arguments.push_str(&delta.arguments);
        }
        let mut piece = delta.arguments;
        if !open.announced {
            if open.name.is_empty() {
                return;
            }
            open.announced = true;
            say(ModelEvent::ToolCallStarted { index: at, name: open.name.clone() });
            // Whatever came before the name.
            piece.clone_from(&open.arguments);
        }
        if !piece.is_empty() && !open.too_long {
            say(ModelEvent::ToolArguments { index: at, delta: piece });
        }
    }

    /// Returns the call a piece continues; `None` if it begins a new one.
    fn place(&self, delta: &CallDelta) -> Option<usize> {
        let same_id = |open: &Open| delta.id.is_some() && open.id == delta.id;
        match delta.index {
            Some(index) => {
                let at = self.0.iter().rposition(|open| open.index == Some(index));
                let Some(at) = at else {
                    // A stated index that is new begins a call, whatever its id.
                    return None;
                };
                if same_id(&self.0[at]) {
                    return Some(at);
                }
                // An earlier call of the same index goes on by its id.
                let by_id =
                    self.0.iter().rposition(|open| open.index == Some(index) && same_id(open));
                by_id.or_else(|| (!begins_anew(&self.0[at], delta)).then_some(at))
            }
            None => {
                if let Some(at) = self.0.iter().rposition(same_id) {
                    return Some(at);
                }
                let last = self.0.len().checked_sub(1)?;
                (!begins_anew(&self.0[last], delta)).then_some(last)
            }
        }
    }
}

/// Returns whether a piece that could continue `open` begins another call.
fn begins_anew(open: &Open, delta: &CallDelta) -> bool {
    let Some(name) = &delta.name else { return false };
    if open.name.is_empty() {
        return false;
    }
    let other_id = delta.id.is_some() && open.id.is_some() && delta.id != open.id;
    if arguments::is_whole(&open.arguments) {
        // What is whole is not continued, unless the header is only repeated.
        return other_id || !delta.arguments.is_empty() || *name != open.name;
    }
    if open.arguments.is_empty() {
        // Two headers in a row: a call without arguments, and the next one.
        return other_id || *name != open.name;
    }
    // In the middle of arguments: some servers repeat the header with every piece.
    *name != open.name
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn delta(index: Option<u64>, id: &str, name: &str, arguments: &str) -> CallDelta {
        let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        CallDelta { index, id: said(id), name: said(name), arguments: arguments.to_owned() }
    }

    #[track_caller]
    fn check(deltas: &[(Option<u64>, &str, &str, &str)], expected: &[(&str, &str)]) {
        let mut calls = Calls::default();
        let mut streamed: Vec<(String, String)> = Vec::new();
        for &(index, id, name, arguments) in deltas {
            calls.push(delta(index, id, name, arguments), &mut |event| match event {
                ModelEvent::ToolCallStarted { index, name } => {
                    assert_eq!(index, streamed.len());
                    streamed.push((name, String::new()));
                }
                ModelEvent::ToolArguments { index, delta } => streamed[index].1.push_str(&delta),
                other => panic!("{other:?}"),
            });
        }
        let calls: Vec<_> =
            calls.into_vec().into_iter().map(|open| (open.name, open.arguments)).collect();
        let got: Vec<_> =
            calls.iter().map(|(name, arguments)| (name.as_str(), arguments.as_str())).collect();
        assert_eq!(got, expected);
        assert_eq!(streamed, calls);
    }

    #[test]
    fn pieces_find_their_call() {
        let zero = Some(0);
        // By the book, interleaved.
        check(
            &[
                (zero, "a", "vote", ""),
                (Some(1), "b", "answer", ""),
                (zero, "", "", "{1"),
                (Some(1), "", "", "{2"),
                (zero, "", "", "1}"),
            ],
            &[("vote", "{11}"), ("answer", "{2")],
        );
        // One index, told apart by ids; the second piece of each by its id too.
        check(
            &[
                (zero, "a", "vote", "{\"x\":1}"),
                (zero, "b", "answer", "{\"y\""),
                (zero, "b", "", ":2}"),
            ],
            &[("vote", "{\"x\":1}"), ("answer", "{\"y\":2}")],
        );
        // One index, one name, two ids.
        check(
            &[(zero, "a", "vote", "{}"), (zero, "b", "vote", "{\"x\":1}")],
            &[("vote", "{}"), ("vote", "{\"x\":1}")],
        );
        // The header again with every piece, under new ids.
        check(
            &[(zero, "a", "vote", "{\"x\""), (zero, "b", "vote", ":1"), (zero, "c", "", "}")],
            &[("vote", "{\"x\":1}")],
        );
        // The header again behind whole arguments says nothing new.
        check(
            &[(zero, "a", "vote", "{\"x\":1}"), (zero, "a", "vote", "")],
            &[("vote", "{\"x\":1}")],
        );
        // Nothing but names.
        check(
            &[(None, "", "vote", "{}"), (None, "", "vote", "{\"x\":1}"), (None, "", "submit", "")],
            &[("vote", "{}"), ("vote", "{\"x\":1}"), ("submit", "")],
        );
        // A name that comes late.
        check(
            &[(zero, "a", "", "{\"x\""), (zero, "", "vote", ""), (zero, "", "", ":1}")],
            &[("vote", "{\"x\":1}")],
        );
    }

    #[test]
    fn calls_and_arguments_are_bounded() {
        let mut calls = Calls::default();
        for n in 0..2 * CALLS_MAX as u64 {
            calls.push(delta(Some(n), "", "vote", "{}"), &mut |_| {});
        }
        assert_eq!(calls.into_vec().len(), CALLS_MAX);

        let mut calls = Calls::default();
        let piece = "x".repeat(ARGUMENT_BYTES_MAX / 2 + 1);
        let mut streamed = 0;
        for _ in 0..3 {
            calls.push(delta(Some(0), "a", "vote", &piece), &mut |event| {
                if let ModelEvent::ToolArguments { delta, .. } = event {
                    streamed += delta.len();
                }
            });
        }
        let open = calls.into_vec().remove(0);
        assert!(open.too_long && open.arguments.len() <= ARGUMENT_BYTES_MAX);
        assert_eq!(streamed, open.arguments.len());
    }
}
