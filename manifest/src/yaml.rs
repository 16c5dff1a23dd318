//! YAML text to a tree in which every node knows its place.
//!
//! Bounded: text, depth, nodes and characters after aliases are expanded. A key that is there
//! twice is an error, as is a second document.

use std::collections::BTreeMap;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::diagnostics::{Diagnostic, Pos};
use crate::units::shown;

/// No SDL file is longer, in bytes.
pub const MAX_TEXT_BYTES: usize = 1024 * 1024;
/// No list or map is nested deeper.
const MAX_DEPTH: usize = 32;
/// Nodes plus bytes of text, aliases expanded.
const MAX_WEIGHT: usize = 4 * 1024 * 1024;
/// Nodes, aliases expanded.
const MAX_NODES: usize = 100_000;
/// No key is longer, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// A value and where it begins.
#[derive(Debug)]
pub(crate) struct Node {
    pub at: Pos,
    pub kind: Kind,
    size: Size,
}

/// What a node holds.
#[derive(Debug)]
pub(crate) enum Kind {
    /// `plain` is false for a quoted or block text and for one with a tag.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<Rc<Node>>),
    /// A map in the order of the file, each key once.
    Map(Vec<Entry>),
}

/// A key, where it begins, and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub at: Pos,
    pub value: Rc<Node>,
}

/// What a node weighs with everything in it.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    nodes: usize,
    weight: usize,
    height: usize,
}

impl Size {
    fn add(&mut self, inner: Size) {
        self.nodes = self.nodes.saturating_add(inner.nodes);
        self.weight = self.weight.saturating_add(inner.weight);
        self.height = self.height.max(inner.height + 1);
    }
}

/// Reads one document. `Ok(None)` for a file without one.
pub(crate) fn read(text: &str) -> Result<Option<Rc<Node>>, Diagnostic> {
    if text.len() > MAX_TEXT_BYTES {
        let message =
            format!("the file is {} bytes long; at most {MAX_TEXT_BYTES} are read", text.len());
        return Err(Diagnostic::error(START, "", message));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let at = pos(error.marker());
            Diagnostic::error(at, "", format!("this is not YAML: {}", error.info()))
        })?;
        builder.event(event, pos(&span.start))?;
    }
    Ok(builder.root)
}

const START: Pos = Pos { line: 1, column: 1 };

fn pos(marker: &Marker) -> Pos {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Pos { line: number(marker.line()).max(1), column: number(marker.col()).saturating_add(1) }
}

/// A list or map that is not closed yet.
struct Frame {
    at: Pos,
    anchor: usize,
    size: Size,
    items: Items,
}

enum Items {
    List(Vec<Rc<Node>>),
    Map { entries: Vec<Entry>, key: Option<(String, Pos)>, merges: Vec<(Pos, Rc<Node>)> },
}

#[derive(Default)]
struct Builder {
    open: Vec<Frame>,
    anchors: BTreeMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
    documents: usize,
    total: Size,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, at: Pos) -> Result<(), Diagnostic> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                self.anchors.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let size = Size { nodes: 1, weight: 1 + text.len(), height: 0 };
                let kind = Kind::Scalar { text: text.into_owned(), plain };
                self.finish(Node { at, kind, size }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.open(at, anchor, Items::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                let items = Items::Map { entries: Vec::new(), key: None, merges: Vec::new() };
                self.open(at, anchor, items)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => self.place(node, at),
                None => Err(Diagnostic::error(at, "", "this alias stands within what it names")),
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, at: Pos, anchor: usize, items: Items) -> Result<(), Diagnostic> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        let size = Size { nodes: 1, weight: 1, height: 0 };
        self.open.push(Frame { at, anchor, size, items });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Diagnostic> {
        let Some(frame) = self.open.pop() else { return Ok(()) };
        let Frame { at, anchor, mut size, items } = frame;
        let kind = match items {
            Items::List(list) => Kind::List(list),
            Items::Map { entries, merges, .. } => Kind::Map(merge(entries, &merges, &mut size)?),
        };
        self.finish(Node { at, kind, size }, anchor)
    }

    /// A node that is complete: remember its anchor, put it where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Diagnostic> {
        let at = node.at;
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.place(node, at)
    }

    fn place(&mut self, node: Rc<Node>, at: Pos) -> Result<(), Diagnostic> {
        if self.open.len() + node.size.height > MAX_DEPTH {
            return Err(too_deep(at));
        }
        let Some(frame) = self.open.last_mut() else { return self.place_root(node, at) };
        frame.size.add(node.size);
        // Every frame's size ends up in the one around it; the innermost is enough to stop early,
        // and `total` counts what each placed leaf or alias adds.
        if is_leaf_or_alias(&node, at) {
            self.total.add(node.size);
        }
        if self.total.nodes > MAX_NODES
            || self.total.weight > MAX_WEIGHT
            || frame.size.nodes > MAX_NODES
            || frame.size.weight > MAX_WEIGHT
        {
            let message = format!(
                "the file holds too much, its aliases expanded: at most {MAX_NODES} values and \
                 {MAX_WEIGHT} bytes are read"
            );
            return Err(Diagnostic::error(at, "", message));
        }
        match &mut frame.items {
            Items::List(list) => list.push(node),
            Items::Map { entries, key, merges } => match key.take() {
                None => *key = Some((key_text(&node, at)?, at)),
                Some((name, key_at)) if name == "<<" => merges.push((key_at, node)),
                Some((name, key_at)) => {
                    entries.push(Entry { key: name, at: key_at, value: node });
                }
            },
        }
        Ok(())
    }

    fn place_root(&mut self, node: Rc<Node>, at: Pos) -> Result<(), Diagnostic> {
        let empty = matches!(&node.kind, Kind::Scalar { text, plain: true } if text.is_empty());
        if empty {
            return Ok(());
        }
        if self.root.is_some() || self.documents > 1 {
            let message = "a second document begins here; one file describes one deployment";
            return Err(Diagnostic::error(at, "", message));
        }
        self.root = Some(node);
        Ok(())
    }
}

/// True where placing `node` adds nodes that were not counted while it was built.
fn is_leaf_or_alias(node: &Node, at: Pos) -> bool {
    matches!(node.kind, Kind::Scalar { .. }) || node.at != at
}

fn too_deep(at: Pos) -> Diagnostic {
    Diagnostic::error(at, "", format!("lists and maps are nested deeper than {MAX_DEPTH}"))
}

fn key_text(node: &Node, at: Pos) -> Result<String, Diagnostic> {
    match &node.kind {
        Kind::Scalar { text, .. } if text.len() <= MAX_KEY_BYTES => Ok(text.clone()),
        Kind::Scalar { .. } => {
            let message = format!("this key is longer than {MAX_KEY_BYTES} bytes");
            Err(Diagnostic::error(at, "", message))
        }
        _ => Err(Diagnostic::error(at, "", "a key must be a word, not a list or a map")),
    }
}

/// Checks that each key is there once and adds the entries of `<<` maps under keys that are not.
fn merge(
    mut entries: Vec<Entry>,
    merges: &[(Pos, Rc<Node>)],
    size: &mut Size,
) -> Result<Vec<Entry>, Diagnostic> {
    let mut seen: BTreeMap<String, Pos> = BTreeMap::new();
    for entry in &entries {
        if let Some(first) = seen.insert(entry.key.clone(), entry.at) {
            let message = format!("the key `{}` is there twice", shown(&entry.key));
            let help = format!("the first is on line {}; keep one of them", first.line);
            return Err(Diagnostic::error(entry.at, &shown(&entry.key), message).help(help));
        }
    }
    for (at, node) in merges {
        let maps: Vec<&Rc<Node>> = match &node.kind {
            Kind::List(list) => list.iter().collect(),
            _ => vec![node],
        };
        for map in maps {
            let Kind::Map(inherited) = &map.kind else {
                return Err(Diagnostic::error(*at, "", "`<<` takes a map or a list of maps"));
            };
            for entry in inherited {
                if seen.contains_key(&entry.key) {
                    continue;
                }
                seen.insert(entry.key.clone(), entry.at);
                size.add(entry.value.size);
                entries.push(entry.clone());
            }
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        read(text).map(|_| ()).unwrap_err().to_string()
    }

    fn root(text: &str) -> Vec<Entry> {
        match &read(text).unwrap().unwrap().kind {
            Kind::Map(entries) => entries.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_node_knows_its_place() {
        let entries = root("---\na: 1\nbc:\n  - x\n  - {y: é, z: w}\n");
        assert_eq!((entries[0].at.line, entries[0].at.column), (2, 1));
        assert_eq!((entries[0].value.at.line, entries[0].value.at.column), (2, 4));
        let Kind::List(list) = &entries[1].value.kind else { panic!() };
        let Kind::Map(map) = &list[1].kind else { panic!() };
        assert_eq!((map[1].at.line, map[1].at.column), (5, 12));
    }

    #[test]
    fn refuses_a_key_that_is_there_twice() {
        let text = refusal("a: 1\nb: 2\na: 3\n");
        assert!(text.starts_with("3:1: error: a: the key `a` is there twice"), "{text}");
    }

    #[test]
    fn refuses_what_is_too_deep_or_too_large() {
        assert!(refusal(&"[".repeat(100)).contains("deeper"));
        assert!(refusal(&"- ".repeat(100)).contains("deeper"));
        assert!(refusal(&format!("a: {}", "x".repeat(MAX_TEXT_BYTES))).contains("bytes long"));
        assert!(refusal(&format!("{}: 1", "k".repeat(300))).contains("longer than"));
    }

    #[test]
    fn refuses_an_alias_bomb() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let before = level - 1;
            let aliases = vec![format!("*a{before}"); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(refusal(&text).contains("holds too much"), "{}", refusal(&text));
        assert!(refusal("a: &a [*a]").contains("within what it names"));
        let long = format!("a: &a {}\nb: [{}]", "x".repeat(50_000), vec!["*a"; 1000].join(", "));
        assert!(refusal(&long).contains("holds too much"));
    }

    #[test]
    fn merges_maps() {
        let entries = root("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n");
        let Kind::Map(merged) = &entries[1].value.kind else { panic!() };
        let words: Vec<_> = merged.iter().map(|e| e.key.as_str()).collect();
        assert_eq!(words, ["y", "x"]);
        assert!(refusal("a: {<<: 1}").contains("takes a map"));
    }

    #[test]
    fn one_document() {
        assert!(read("").unwrap().is_none());
        assert!(read("# nothing\n---\n").unwrap().is_none());
        assert!(read("\u{feff}a: 1\n...\n").unwrap().is_some());
        assert!(refusal("a: 1\n---\nb: 2\n").contains("second document"));
        assert!(refusal("a: [1\n").contains("not YAML"));
        assert!(refusal("a: *nowhere\n").contains("not YAML"));
    }
}
