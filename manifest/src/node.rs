//! A value in the file together with its path: what the sections of the grammar read from.

use std::rc::Rc;

use crate::diagnostics::{Diagnostic, Diags, Pos, Severity};
use crate::suggest;
use crate::units::{shown, whole};
use crate::yaml::{Entry, Kind, Node};

/// A value, the key that it stands under, and its path from the root.
#[derive(Clone)]
pub(crate) struct Field<'a> {
    node: &'a Node,
    name_at: Pos,
    pub path: String,
}

impl<'a> Field<'a> {
    pub fn root(node: &'a Node) -> Self {
        Self { node, name_at: node.at, path: String::new() }
    }

    fn member(&self, entry: &'a Entry) -> Field<'a> {
        Field { node: &entry.value, name_at: entry.at, path: join(&self.path, &entry.key) }
    }

    /// Where the value begins.
    pub fn at(&self) -> Pos {
        self.node.at
    }

    /// Where the key begins that the value stands under.
    pub fn name_at(&self) -> Pos {
        self.name_at
    }

    /// An error about the value.
    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.node.at, &self.path, message)
    }

    /// An error about the key, or about what is missing under it.
    pub fn name_error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.name_at, &self.path, message)
    }

    /// A warning about the key.
    pub fn name_warning(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(self.name_at, &self.path, message)
    }

    /// A warning about the value.
    pub fn warning(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(self.node.at, &self.path, message)
    }

    /// `~`, `null` or nothing at all.
    pub fn is_null(&self) -> bool {
        is_null(self.node)
    }

    /// What kind of value this is, for messages.
    fn kind(&self) -> &'static str {
        match &self.node.kind {
            _ if self.is_null() => "nothing",
            Kind::Scalar { plain: false, .. } => "a quoted text",
            Kind::Scalar { .. } => "a word",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// The text of a word, number or quoted text; empty for null.
    pub fn text(&self, diags: &mut Diags) -> Option<&'a str> {
        match &self.node.kind {
            Kind::Scalar { .. } if self.is_null() => Some(""),
            Kind::Scalar { text, .. } => Some(text),
            _ => {
                let found = self.error(format!("a text is expected here, not {}", self.kind()));
                diags.push(match self.path.contains(".env[") {
                    true => found.help("write `- NAME=value`, with `=` rather than `:`"),
                    false => found,
                });
                None
            }
        }
    }

    /// A whole number without quotes, within `least..=most`.
    pub fn integer(&self, least: u64, most: u64, diags: &mut Diags) -> Option<u64> {
        let found = match &self.node.kind {
            Kind::Scalar { text, plain: true } if !self.is_null() => {
                match whole(text.strip_prefix('+').unwrap_or(text)) {
                    Some(number) if (least..=most).contains(&number) => return Some(number),
                    Some(number) if number < least => self
                        .error(format!("{number} is less than {least}"))
                        .help(format!("write a number from {least}")),
                    Some(number) => self
                        .error(format!("{number} is more than {most}"))
                        .help(format!("write a number from {least} to {most}")),
                    None => self
                        .error(format!("`{}` is not a whole number", shown(text)))
                        .help(format!("write a number from {least} to {most}")),
                }
            }
            Kind::Scalar { text, plain: false } if whole(text).is_some() => self
                .error("a number is expected here, not a quoted text")
                .help(format!("write {text} without quotes")),
            _ => self.error(format!("a number is expected here, not {}", self.kind())),
        };
        diags.push(found);
        None
    }

    /// `true` or `false` without quotes (or YAML 1.1's yes, no, on, off).
    pub fn boolean(&self, diags: &mut Diags) -> Option<bool> {
        if let Kind::Scalar { text, plain: true } = &self.node.kind {
            match text.as_str() {
                "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y"
                | "Y" => return Some(true),
                "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n"
                | "N" => return Some(false),
                _ => {}
            }
        }
        diags.push(
            self.error(format!("true or false is expected here, not {}", self.kind()))
                .help("write true or false, without quotes"),
        );
        None
    }

    /// The items of a list; none for null.
    pub fn list(&self, diags: &mut Diags) -> Option<Vec<Field<'a>>> {
        let list: &'a [Rc<Node>] = match &self.node.kind {
            Kind::List(list) => list,
            Kind::Scalar { .. } if self.is_null() => &[],
            _ => {
                diags.push(
                    self.error(format!("a list is expected here, not {}", self.kind()))
                        .help("put each item on its own line after `- `"),
                );
                return None;
            }
        };
        let item = |(index, node): (usize, &'a Rc<Node>)| Field {
            node: node.as_ref(),
            name_at: node.at,
            path: format!("{}[{index}]", self.path),
        };
        Some(list.iter().enumerate().map(item).collect())
    }

    /// The texts of a list.
    pub fn texts(&self, diags: &mut Diags) -> Option<Vec<String>> {
        let items = self.list(diags)?;
        items.iter().map(|item| item.text(diags).map(str::to_owned)).collect()
    }

    /// Whether this is a list.
    pub fn is_list(&self) -> bool {
        matches!(self.node.kind, Kind::List(_))
    }

    /// A map whose keys are the author's own names, in the order of the file.
    pub fn names(&self, diags: &mut Diags) -> Option<Vec<(&'a str, Field<'a>)>> {
        let entries = self.entries(diags)?;
        Some(entries.iter().map(|entry| (entry.key.as_str(), self.member(entry))).collect())
    }

    /// A map with known keys; any other is a warning (an error at the top level).
    pub fn map(&self, known: &'static [&'static str], diags: &mut Diags) -> Option<Map<'a>> {
        let entries = self.entries(diags)?;
        let severity = match self.path.is_empty() {
            true => Severity::Error,
            false => Severity::Warning,
        };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            diags.push(self.unknown(entry, known, severity));
        }
        Some(Map { field: self.clone(), entries })
    }

    fn unknown(&self, entry: &Entry, known: &[&'static str], severity: Severity) -> Diagnostic {
        let path = join(&self.path, &entry.key);
        let ignored = if severity == Severity::Warning { " and is ignored" } else { "" };
        let message = format!("the key `{}` is not known{ignored}", shown(&entry.key));
        let help = match suggest::nearest(&entry.key, known.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        Diagnostic::new(severity, entry.at, &path, message).help(help)
    }

    fn entries(&self, diags: &mut Diags) -> Option<&'a [Entry]> {
        match &self.node.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Scalar { .. } if self.is_null() => Some(&[]),
            _ => {
                diags.push(
                    self.error(format!("a map is expected here, not {}", self.kind()))
                        .help("write `key: value` on lines of their own, indented"),
                );
                None
            }
        }
    }
}

/// A map with known keys.
pub(crate) struct Map<'a> {
    field: Field<'a>,
    entries: &'a [Entry],
}

impl<'a> Map<'a> {
    /// The value under `key`, unless it is not there or null.
    pub fn get(&self, key: &str) -> Option<Field<'a>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(self.field.member(entry)).filter(|field| !field.is_null())
    }

    /// The value under `key`; that it is missing is an error with this help.
    pub fn required(&self, key: &str, help: &str, diags: &mut Diags) -> Option<Field<'a>> {
        let found = self.get(key);
        if found.is_none() {
            let path = join(&self.field.path, key);
            let at = match self.entries.iter().find(|entry| entry.key == key) {
                Some(entry) => entry.at,
                None => self.field.name_at,
            };
            let missing = Diagnostic::error(at, &path, format!("`{key}` is missing")).help(help);
            diags.push(missing);
        }
        found
    }
}

fn is_null(node: &Node) -> bool {
    match &node.kind {
        Kind::Scalar { text, plain: true } => {
            matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
        }
        _ => false,
    }
}

/// `a.b`, and `a."b.c"` where a key is not one plain word.
pub(crate) fn join(path: &str, key: &str) -> String {
    let word = !key.is_empty()
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/'));
    let key = if word { key.to_owned() } else { format!("\"{}\"", shown(key)) };
    match path.is_empty() {
        true => key,
        false => format!("{path}.{key}"),
    }
}
