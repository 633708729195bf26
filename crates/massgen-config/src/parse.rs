//! YAML or JSON text to a tree of located values.
//!
//! The scanner's events are taken as they come, so that every key and value keeps
//! its place and nothing is decided before the config is understood. Sizes are
//! bounded before anything is built: a file of ten megabytes, a thousand brackets
//! or a handful of aliases that multiply are refused at once.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_saphyr::granit_parser::{self, Event, Marker, Parser, ScalarStyle, Tag};

use crate::node::{Entry, Kind, Node};
use crate::problem::{PROBLEMS_MAX, Place, shown};

/// Largest config: a thousand agents with a page of instructions each fit in.
pub const SOURCE_BYTES_MAX: usize = 2 << 20;

/// Deepest nesting. Real configs stay below 12.
pub(crate) const DEPTH_MAX: usize = 64;

/// Values and bytes after aliases were put in. Only aliases can reach it.
pub(crate) const EXPANDED_MAX: usize = 2 * SOURCE_BYTES_MAX;

/// Something found in the text itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub at: Place,
    pub message: String,
    pub hint: Option<String>,
}

/// A document, and what is odd about it.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub root: Node,
    pub notices: Vec<Fault>,
}

/// Reads one YAML document.
pub(crate) fn parse(text: &str) -> Result<Parsed, Fault> {
    if text.len() > SOURCE_BYTES_MAX {
        let message = format!(
            "the config is too large: {} bytes, at most {SOURCE_BYTES_MAX} are read",
            text.len()
        );
        return Err(Fault::new(Place::default(), message));
    }
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(scan_fault)?;
        builder.take(event, place(&span.start))?;
    }
    match builder.root {
        Some(root) => Ok(Parsed { root, notices: builder.notices }),
        None => Err(Fault::new(Place { line: 1, column: 1 }, "the config is empty")),
    }
}

impl Fault {
    fn new(at: Place, message: impl Into<String>) -> Fault {
        Fault { at, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }
}

#[derive(Default)]
struct Builder {
    open: Vec<Frame>,
    anchors: BTreeMap<usize, Node>,
    root: Option<Node>,
    notices: Vec<Fault>,
    n_documents: usize,
    /// What aliases and merges have put in so far.
    expanded: usize,
}

/// A collection whose end has not come yet.
struct Frame {
    at: Place,
    /// 0 where it has none.
    anchor: usize,
    body: Body,
}

enum Body {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, merges: Vec<Node>, key: Option<Key> },
}

struct Key {
    text: Rc<str>,
    at: Place,
    is_merge: bool,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Place) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(..) => {
                self.n_documents += 1;
                if self.n_documents > 1 {
                    let fault = Fault::new(at, "a second document begins here");
                    return Err(fault.hint("a config is one document: remove the `---` line"));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = is_plain(style, tag.as_deref(), at)?;
                self.complete(Node::scalar(at, &text, plain), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "seq", at)?;
                self.open(Frame { at, anchor, body: Body::List(Vec::new()) })
            }
            Event::MappingStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "map", at)?;
                let body = Body::Map { entries: Vec::new(), merges: Vec::new(), key: None };
                self.open(Frame { at, anchor, body })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, at),
            // Everything else carries no value; a new kind of event is passed over as well.
            _ => Ok(()),
        }
    }

    fn open(&mut self, frame: Frame) -> Result<(), Fault> {
        let is_key =
            matches!(self.open.last().map(|frame| &frame.body), Some(Body::Map { key: None, .. }));
        if is_key {
            return Err(Fault::new(frame.at, "a list or a map cannot be a key"));
        }
        if self.open.len() == DEPTH_MAX {
            return Err(too_deep(frame.at));
        }
        self.open.push(frame);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(Frame { at, anchor, body }) = self.open.pop() else {
            // The scanner pairs starts and ends; if it ever does not, this is not our document.
            return Err(Fault::new(Place::default(), "the config cannot be read"));
        };
        let node = match body {
            Body::List(items) => Node::list(at, items),
            Body::Map { entries, merges, key: _ } => {
                let entries = self.unique(entries);
                Node::map(at, self.merged(entries, merges)?)
            }
        };
        if node.depth > DEPTH_MAX {
            return Err(too_deep(at));
        }
        self.complete(node, anchor)
    }

    fn alias(&mut self, anchor: usize, at: Place) -> Result<(), Fault> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Fault::new(at, "an alias refers to a value that contains it"));
        };
        let node = Node { at, ..node.clone() };
        self.expand(node.size, at)?;
        self.complete(node, 0)
    }

    fn expand(&mut self, size: usize, at: Place) -> Result<(), Fault> {
        self.expanded = self.expanded.saturating_add(size);
        if self.expanded > EXPANDED_MAX {
            let fault = Fault::new(at, "aliases make this config too large");
            return Err(fault.hint(format!("at most {EXPANDED_MAX} bytes after expansion")));
        }
        Ok(())
    }

    /// Puts a finished value where it belongs.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut frame.body {
            Body::List(items) => items.push(node),
            Body::Map { entries, merges, key } => match key.take() {
                None => *key = Some(as_key(node)?),
                Some(Key { is_merge: true, .. }) => merges.push(node),
                Some(Key { text, at, .. }) => {
                    entries.push(Entry { key: text, key_at: at, value: node });
                }
            },
        }
        Ok(())
    }

    /// Keeps the last of entries with the same key, as MassGen does, and says so.
    fn unique(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut last: BTreeMap<Rc<str>, usize> = BTreeMap::new();
        for (n, entry) in entries.iter().enumerate() {
            let earlier = last.insert(Rc::clone(&entry.key), n);
            if let Some(earlier) = earlier.filter(|_| self.notices.len() < PROBLEMS_MAX) {
                let line = entries[earlier].key_at.line;
                let message = format!(
                    "`{}` is written twice: the value in line {line} is not used",
                    shown(&entry.key)
                );
                self.notices.push(Fault::new(entry.key_at, message));
            }
        }
        if last.len() == entries.len() {
            return entries;
        }
        let kept = entries.into_iter().enumerate().filter(|(n, entry)| last[&entry.key] == *n);
        kept.map(|(_, entry)| entry).collect()
    }

    /// Adds what `<<` brings in; what is written out wins, and so does what is merged first.
    fn merged(&mut self, mut entries: Vec<Entry>, merges: Vec<Node>) -> Result<Vec<Entry>, Fault> {
        let mut sources = Vec::new();
        for merge in merges {
            match merge.kind {
                Kind::Map(_) => sources.push(merge),
                Kind::List(items) => sources.extend(items.iter().cloned()),
                Kind::Scalar { .. } => sources.push(merge),
            }
        }
        let mut known: BTreeSet<Rc<str>> = entries.iter().map(|e| Rc::clone(&e.key)).collect();
        for source in sources {
            let Kind::Map(from) = &source.kind else {
                let fault = Fault::new(source.at, "`<<` can only take in a map");
                return Err(fault.hint("write `<<: *name` with `&name` before a map"));
            };
            self.expand(source.size, source.at)?;
            for entry in from.iter() {
                if known.insert(Rc::clone(&entry.key)) {
                    entries.push(entry.clone());
                }
            }
        }
        Ok(entries)
    }
}

fn as_key(node: Node) -> Result<Key, Fault> {
    match node.kind {
        Kind::Scalar { text, plain } => {
            Ok(Key { is_merge: plain && &*text == "<<", text, at: node.at })
        }
        Kind::List(_) | Kind::Map(_) => Err(Fault::new(node.at, "a list or a map cannot be a key")),
    }
}

fn is_plain(style: ScalarStyle, tag: Option<&Tag>, at: Place) -> Result<bool, Fault> {
    let Some(tag) = tag else { return Ok(style == ScalarStyle::Plain) };
    match (tag.handle(), tag.suffix()) {
        ("tag:yaml.org,2002:", "str") | ("" | "!", "") => Ok(false),
        ("tag:yaml.org,2002:", "int" | "float" | "bool" | "null") => Ok(true),
        _ => Err(unknown_tag(tag, at)),
    }
}

fn collection_tag(tag: Option<&Tag>, kind: &str, at: Place) -> Result<(), Fault> {
    match tag {
        Some(tag) if (tag.handle(), tag.suffix()) != ("tag:yaml.org,2002:", kind) => {
            Err(unknown_tag(tag, at))
        }
        Some(_) | None => Ok(()),
    }
}

fn unknown_tag(tag: &Tag, at: Place) -> Fault {
    let name = shown(&format!("{}{}", tag.handle(), tag.suffix()));
    Fault::new(at, format!("the tag `{name}` cannot be used here")).hint("remove the tag")
}

fn too_deep(at: Place) -> Fault {
    Fault::new(at, format!("more than {DEPTH_MAX} levels of lists and maps"))
}

fn scan_fault(error: granit_parser::ScanError) -> Fault {
    let at = place(error.marker());
    if *error.kind() == granit_parser::ErrorKind::RecursionLimitExceeded {
        // The scanner looks ahead, and may meet its own limit before we meet ours.
        return too_deep(at);
    }
    let message = format!("not valid YAML: {}", shown_long(&error.info()));
    let fault = Fault::new(at, message);
    match error.kind() {
        granit_parser::ErrorKind::UnknownAnchor => {
            fault.hint("write `&name` before the value that `*name` refers to, or quote the text")
        }
        _ => fault,
    }
}

/// The scanner's own words, on one line.
fn shown_long(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

fn place(marker: &Marker) -> Place {
    let bounded = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { line: bounded(marker.line()), column: bounded(marker.col().saturating_add(1)) }
}
