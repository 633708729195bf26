//! The items of a reply: which event belongs to which, and what they come to.
//!
//! The format says: by `output_index`. Some servers count that wrongly, some never send
//! an item's beginning, and some end with a list that lacks what they have sent. So an
//! item is kept as last told, and the final list only adds to it.

use serde_json::Value;

use super::event::text;

/// Items of one reply; a server that sends more is stuck.
const ITEMS_MAX: usize = 1_024;
/// Slots of an item: its parts, summaries, texts of thought.
const SLOT_BITS: u32 = 16;
/// Set in slots of thought that is told as it is, not as a summary.
const PLAIN_THOUGHT: u64 = 1 << (SLOT_BITS - 1);

#[derive(Debug, Default)]
pub(super) struct Items {
    items: Vec<Item>,
}

#[derive(Debug)]
pub(super) struct Item {
    /// As the server counts; `None` if it does not.
    output_index: Option<u64>,
    id: Option<String>,
    /// As last told; `None` while only pieces of it have come.
    pub(super) whole: Option<Value>,
    /// The server has said that nothing is missing.
    is_done: bool,
    /// Of a tool that runs at the provider.
    pub(super) remote: Remote,
    /// Number of the last summary that had a piece, and of the last text of thought.
    pub(super) summaries: u64,
    pub(super) thoughts: u64,
}

/// How far such a tool has come.
#[derive(Debug, Default)]
pub(super) struct Remote {
    pub(super) name: String,
    /// Pieces of what it is asked.
    pub(super) input: String,
    pub(super) is_started: bool,
    pub(super) is_finished: bool,
}

impl Items {
    /// Returns the item an event belongs to; `None` when there are too many.
    pub(super) fn at(&mut self, output_index: Option<u64>) -> Option<usize> {
        let found = match output_index {
            Some(_) => self.items.iter().rposition(|item| item.output_index == output_index),
            None => self.items.len().checked_sub(1),
        };
        found.or_else(|| self.push(output_index, None))
    }

    /// Returns the item that begins here.
    pub(super) fn begin(&mut self, output_index: Option<u64>, item: &Value) -> Option<usize> {
        let id = text(item, "id").map(str::to_owned);
        let open = self.open(output_index);
        match open {
            // A piece of it has come before its beginning.
            Some(at) if self.items[at].id.is_none() => {
                self.items[at].id = id;
                Some(at)
            }
            Some(at) if self.items[at].id == id => Some(at),
            Some(_) | None => self.push(output_index, id),
        }
    }

    /// Takes in an item that is complete.
    pub(super) fn end(&mut self, output_index: Option<u64>, item: Value) -> Option<usize> {
        let at = match self.open(output_index) {
            Some(at) => at,
            None => self.push(output_index, None)?,
        };
        self.settle(at, item);
        Some(at)
    }

    /// Takes in one item of the final list, which counts more than what came before.
    /// `place` is its place there.
    pub(super) fn conclude(
        &mut self,
        place: usize,
        item: Value,
        concluded: &mut Vec<usize>,
    ) -> Option<usize> {
        let is_free = |at: &usize| !concluded.contains(at);
        let has_same = |at: &usize, key: &str| {
            let known = self.items[*at].whole.as_ref().and_then(|whole| text(whole, key));
            known.is_some() && known == text(&item, key)
        };
        let is_same_id = |at: &usize| {
            let id = self.items[*at].id.as_deref();
            (id.is_some() && id == text(&item, "id")) || has_same(at, "call_id")
        };
        let is_same_kind = |at: &usize| {
            *at < self.items.len()
                && self.items[*at].whole.as_ref().is_none_or(|whole| whole["type"] == item["type"])
        };
        let all = || (0..self.items.len()).filter(is_free);
        let found = all()
            .find(is_same_id)
            .or_else(|| Some(place).filter(is_free).filter(is_same_kind))
            .or_else(|| all().find(|at| has_same(at, "type") && self.items[*at].id.is_none()));
        let at = match found {
            Some(at) => at,
            None => self.push(None, None)?,
        };
        concluded.push(at);
        self.settle(at, item);
        Some(at)
    }

    fn settle(&mut self, at: usize, item: Value) {
        let settled = &mut self.items[at];
        if let Some(id) = text(&item, "id") {
            settled.id = Some(id.to_owned());
        }
        settled.is_done = true;
        settled.whole = Some(item);
    }

    fn open(&self, output_index: Option<u64>) -> Option<usize> {
        let is_meant = |item: &Item| output_index.is_none() || item.output_index == output_index;
        self.items.iter().rposition(|item| !item.is_done && is_meant(item))
    }

    fn push(&mut self, output_index: Option<u64>, id: Option<String>) -> Option<usize> {
        if self.items.len() == ITEMS_MAX {
            return None;
        }
        self.items.push(Item {
            output_index,
            id,
            whole: None,
            is_done: false,
            remote: Remote::default(),
            summaries: 0,
            thoughts: 0,
        });
        Some(self.items.len() - 1)
    }

    pub(super) fn get(&mut self, at: usize) -> &mut Item {
        &mut self.items[at]
    }

    /// Returns the id of an item, or one of ours.
    pub(super) fn id(&self, at: usize) -> String {
        self.items[at].id.clone().unwrap_or_else(|| format!("item_{at}"))
    }

    /// Returns all items as they are sent back, with the place of each; `None` if one of
    /// them is not known as a whole.
    pub(super) fn into_native(self) -> Option<Vec<Value>> {
        self.items.into_iter().map(|item| item.whole).collect()
    }
}

/// Returns the slot of a part of an item.
pub(super) fn slot(at: usize, part: u64) -> u64 {
    ((at as u64) << SLOT_BITS) | (part & (PLAIN_THOUGHT - 1))
}

/// Returns the slot of thought told as it is.
pub(super) fn thought_slot(at: usize) -> u64 {
    slot(at, 0) | PLAIN_THOUGHT
}

/// Returns the item of a slot.
pub(super) fn item_of(slot: u64) -> usize {
    (slot >> SLOT_BITS) as usize
}
