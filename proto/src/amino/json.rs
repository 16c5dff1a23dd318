//! JSON in the one form that is signed: compact, keys sorted by bytes, text
//! escaped as Go's `encoding/json` does.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// A JSON value without fractions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer of at most 32 bits; larger ones are text.
    Number(i64),
    /// Text.
    Text(String),
    /// Values in order.
    List(Vec<Json>),
    /// Values by name.
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// An object of these.
    pub fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Json)>) -> Self {
        Self::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(text) => write_text(f, text),
            Self::List(values) => {
                f.write_char('[')?;
                for (index, value) in values.iter().enumerate() {
                    separate(f, index)?;
                    value.fmt(f)?;
                }
                f.write_char(']')
            }
            Self::Object(fields) => {
                f.write_char('{')?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    separate(f, index)?;
                    write_text(f, name)?;
                    f.write_char(':')?;
                    value.fmt(f)?;
                }
                f.write_char('}')
            }
        }
    }
}

fn separate(f: &mut fmt::Formatter<'_>, index: usize) -> fmt::Result {
    if index == 0 {
        return Ok(());
    }
    f.write_char(',')
}

/// Go escapes, beside what JSON asks for, what HTML or JavaScript would read as
/// something else.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for char in text.chars() {
        match char {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(f, "\\u{:04x}", u32::from(char))?;
            }
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_nothing_stands_between() {
        let inner = Json::List(vec![Json::Null, Json::Bool(true), Json::Number(-7)]);
        let json = Json::object([("b", inner), ("a", Json::Text("x".to_owned()))]);
        assert_eq!(json.to_string(), r#"{"a":"x","b":[null,true,-7]}"#);
    }

    #[test]
    fn text_is_escaped_as_go_does() {
        let text = "<a> & \"b\" \\ \n\t\u{1}\u{8}\u{c}\u{7f}\u{2028}ü€😀";
        let wanted = r#""\u003ca\u003e \u0026 \"b\" \\ \n\t\u0001\b\f"#.to_owned()
            + "\u{7f}"
            + r#"\u2028ü€😀""#;
        assert_eq!(Json::Text(text.to_owned()).to_string(), wanted);
    }
}
