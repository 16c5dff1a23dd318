//! Attributes: facts about providers, and requirements on them.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use stoa_proto::types::v1 as pb;

use super::bounded;
use crate::error::SdkError;

/// A key and its value.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Not empty.
    pub key: String,
    /// May be empty.
    pub value: String,
}

impl Attribute {
    /// Most bytes of a key or a value, whatever the parameters say.
    pub const MAX_BYTES: usize = 128;

    /// Whether `fact` meets this requirement: equal in key and value, where
    /// `*` as a last byte stands for any rest.
    pub fn is_met_by(&self, fact: &Self) -> bool {
        matches(&self.key, &fact.key) && matches(&self.value, &fact.value)
    }

    /// A list from protobuf: bounded, keys distinct and not empty, sorted by
    /// key. `*` may stand only as the last byte, and only in requirements.
    pub fn list_from_proto(
        attributes: Vec<pb::Attribute>,
        max: usize,
        requirement: bool,
    ) -> Result<Vec<Self>, SdkError> {
        if attributes.len() > max {
            return Err(SdkError::InvalidRequest(format!(
                "{} attributes; at most {max} are allowed",
                attributes.len()
            )));
        }
        let parse = |attribute| Self::from_proto(attribute, requirement);
        let mut all = attributes.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        all.sort();
        for pair in all.windows(2) {
            if let [a, b] = pair {
                if a.key == b.key {
                    let text = format!("attribute {:?} is given twice", a.key);
                    return Err(SdkError::InvalidRequest(text));
                }
            }
        }
        Ok(all)
    }

    fn from_proto(attribute: pb::Attribute, requirement: bool) -> Result<Self, SdkError> {
        let key = bounded("an attribute's key", attribute.key, Self::MAX_BYTES)?;
        let value = bounded("an attribute's value", attribute.value, Self::MAX_BYTES)?;
        if key.is_empty() {
            return Err(SdkError::InvalidRequest("an attribute's key is empty".to_owned()));
        }
        for text in [&key, &value] {
            let inner = text.strip_suffix('*').filter(|_| requirement).unwrap_or(text);
            if inner.contains('*') {
                return Err(SdkError::InvalidRequest(format!(
                    "attribute {text:?}: `*` may stand only as the last byte of a required key \
                     or value"
                )));
            }
        }
        Ok(Self { key, value })
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => pattern == text,
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

impl From<Attribute> for pb::Attribute {
    fn from(attribute: Attribute) -> Self {
        Self { key: attribute.key, value: attribute.value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(key: &str, value: &str) -> Attribute {
        Attribute { key: key.to_owned(), value: value.to_owned() }
    }

    fn list(pairs: &[(&str, &str)], requirement: bool) -> Result<Vec<Attribute>, SdkError> {
        let proto = pairs.iter().map(|(k, v)| attribute(k, v).into()).collect();
        Attribute::list_from_proto(proto, 4, requirement)
    }

    #[test]
    fn a_star_at_the_end_stands_for_any_rest() {
        let required = attribute("gpu/*", "nvidia*");
        assert!(required.is_met_by(&attribute("gpu/0", "nvidia-a100")));
        assert!(!required.is_met_by(&attribute("gpu", "nvidia")));
        assert!(attribute("region", "eu").is_met_by(&attribute("region", "eu")));
        assert!(!attribute("region", "eu").is_met_by(&attribute("region", "eu-west")));
    }

    #[test]
    fn lists_are_bounded_sorted_and_distinct() {
        assert!(list(&[("a", "1"), ("a", "2")], true).is_err());
        assert!(list(&[("", "1")], true).is_err());
        assert!(list(&[("a*b", "1")], true).is_err());
        assert!(list(&[("a*", "1")], false).is_err());
        assert!(list(&[("a", ""), ("b", ""), ("c", ""), ("d", ""), ("e", "")], true).is_err());
        let sorted = list(&[("b", "1"), ("a*", "*")], true).unwrap();
        assert_eq!(sorted, [attribute("a*", "*"), attribute("b", "1")]);
    }
}
