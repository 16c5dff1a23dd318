//! What a Rust type has, found out without its source: what it decodes and
//! encodes, and which fields it has.

use prost::Message;

/// A message type, seen from outside.
pub struct Shape {
    /// Decodes as the type and encodes what came of it.
    pub through: fn(&[u8]) -> Result<Vec<u8>, prost::DecodeError>,
    /// The names of its fields, one for each oneof.
    pub fields: Vec<String>,
}

impl Shape {
    pub fn of<M: Message + Default>() -> Self {
        Self {
            through: |bytes| Ok(M::decode(bytes)?.encode_to_vec()),
            fields: top_level_names(&format!("{:?}", M::default())),
        }
    }
}

/// The names in `Type { a: 0, b: [], c: Inner { d: 1 } }` that stand at the top:
/// a, b, c. An empty message prints its name alone.
fn top_level_names(debug: &str) -> Vec<String> {
    let Some((_, inside)) = debug.split_once(" { ") else { return Vec::new() };
    let mut depth = 0_u32;
    let mut quoted = false;
    let mut names = Vec::new();
    let mut word = String::new();
    for c in inside.chars() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' if depth > 0 => depth -= 1,
            ':' if depth == 0 => {
                names.push(word.trim_start_matches("r#").to_owned());
                word.clear();
            }
            ',' | ' ' if depth == 0 => word.clear(),
            _ if depth == 0 => word.push(c),
            _ => {}
        }
    }
    names
}

#[test]
fn names_are_those_of_the_outer_struct() {
    assert_eq!(
        top_level_names("A { a: 0, b: [], c: Some(B { d: 1 }), e: \"x: y\" }"),
        ["a", "b", "c", "e"]
    );
    assert!(top_level_names("A").is_empty());
}
