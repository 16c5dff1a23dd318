//! JSON, or the text of a URL, to messages.

use base64::{
    alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    Engine as _,
};
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde_json::{Map, Value as Json};

use super::{decimal, time, Schema, MAX_ANY_DEPTH};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// What is not of a message's form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}")]
pub struct ReadError {
    /// The field.
    pub field: String,
    /// What would be right.
    pub expected: String,
}

impl ReadError {
    fn new(field: &str, expected: &str) -> Self {
        Self { field: field.to_owned(), expected: expected.to_owned() }
    }
}

/// Reads messages.
pub struct Reader<'a> {
    schema: &'a Schema,
    any_depth: u32,
}

impl<'a> Reader<'a> {
    pub const fn new(schema: &'a Schema) -> Self {
        Self { schema, any_depth: 0 }
    }

    /// A message from its JSON; fields that it does not know are refused.
    pub fn message(
        &mut self,
        of: &MessageDescriptor,
        json: &Json,
    ) -> Result<DynamicMessage, ReadError> {
        let special = match of.full_name() {
            "google.protobuf.Any" => return self.any(of, json),
            "google.protobuf.Timestamp" => Some((
                json.as_str().and_then(time::read_timestamp),
                "a time as 2026-01-31T12:00:00Z",
            )),
            "google.protobuf.Duration" => {
                Some((json.as_str().and_then(time::read_duration), "a span of seconds as 1.5s"))
            }
            _ => None,
        };
        if let Some((read, expected)) = special {
            let (seconds, nanos) = read.ok_or_else(|| ReadError::new(of.full_name(), expected))?;
            let mut message = DynamicMessage::new(of.clone());
            message.set_field_by_name("seconds", Value::I64(seconds));
            message.set_field_by_name("nanos", Value::I32(nanos));
            return Ok(message);
        }
        match json {
            Json::Object(fields) => self.fields(of, fields),
            _ => Err(ReadError::new(of.full_name(), "an object")),
        }
    }

    fn fields(
        &mut self,
        of: &MessageDescriptor,
        fields: &Map<String, Json>,
    ) -> Result<DynamicMessage, ReadError> {
        let mut message = DynamicMessage::new(of.clone());
        for (name, json) in fields.iter().filter(|(name, _)| *name != "@type") {
            let field = find(of, name)
                .ok_or_else(|| ReadError::new(name, &format!("a field of {}", of.full_name())))?;
            let empty = json.as_array().is_some_and(Vec::is_empty) && field.is_list();
            if empty || json.is_null() {
                continue;
            }
            let value = match json {
                Json::Array(values) if field.is_list() => {
                    let values = values.iter().map(|json| self.one(&field, json, false));
                    Value::List(values.collect::<Result<_, _>>()?)
                }
                _ if field.is_list() => return Err(ReadError::new(name, "a list")),
                json => self.one(&field, json, false)?,
            };
            message.set_field(&field, value);
        }
        Ok(message)
    }

    fn any(&mut self, of: &MessageDescriptor, json: &Json) -> Result<DynamicMessage, ReadError> {
        let wrong = |expected: &str| ReadError::new("@type", expected);
        let fields = json.as_object().ok_or_else(|| wrong("an object with @type"))?;
        let type_url = fields.get("@type").and_then(Json::as_str);
        let type_url = type_url.ok_or_else(|| wrong("an object with @type"))?;
        let inner = self.schema.named(type_url).ok_or_else(|| wrong("a message of this chain"))?;
        if self.any_depth >= MAX_ANY_DEPTH {
            return Err(wrong("less nesting"));
        }
        self.any_depth += 1;
        let inner = match fields.get("value") {
            Some(value) if inner.package_name() == "google.protobuf" => self.message(&inner, value),
            _ => self.fields(&inner, fields),
        };
        self.any_depth -= 1;
        let mut message = DynamicMessage::new(of.clone());
        message.set_field_by_name("type_url", Value::String(type_url.to_owned()));
        message.set_field_by_name("value", Value::Bytes(inner?.encode_to_vec().into()));
        Ok(message)
    }

    /// One value of a field, of a list's fields one item. In a URL (`lenient`) everything is
    /// text.
    pub fn one(
        &mut self,
        field: &FieldDescriptor,
        json: &Json,
        lenient: bool,
    ) -> Result<Value, ReadError> {
        let wrong = |expected: &str| ReadError::new(field.name(), expected);
        let text = json.as_str();
        Ok(match field.kind() {
            Kind::Message(of) => Value::Message(self.message(&of, json)?),
            Kind::Enum(of) => {
                let by_name = text.and_then(|name| of.get_value_by_name(name));
                let number = by_name.map(|value| value.number()).or_else(|| number(json));
                Value::EnumNumber(number.ok_or_else(|| {
                    let names: Vec<_> = of.values().map(|v| v.name().to_owned()).collect();
                    wrong(&format!("one of {}", names.join(", ")))
                })?)
            }
            Kind::Bool => match (json, text) {
                (Json::Bool(value), _) => Value::Bool(*value),
                (_, Some("true" | "1")) if lenient => Value::Bool(true),
                (_, Some("false" | "0")) if lenient => Value::Bool(false),
                _ => return Err(wrong("true or false")),
            },
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                Value::I32(number(json).ok_or_else(|| wrong("a number"))?)
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                Value::I64(number(json).ok_or_else(|| wrong("a number"))?)
            }
            Kind::Uint32 | Kind::Fixed32 => {
                Value::U32(number(json).ok_or_else(|| wrong("a number of at least 0"))?)
            }
            Kind::Uint64 | Kind::Fixed64 => {
                Value::U64(number(json).ok_or_else(|| wrong("a number of at least 0"))?)
            }
            Kind::Float | Kind::Double => return Err(wrong("no such field: none is served")),
            Kind::String | Kind::Bytes if self.schema.is_decimal(field) => {
                let units = text.and_then(decimal::to_units);
                let units = units.ok_or_else(|| wrong("a number with at most 18 decimals"))?;
                match field.kind() {
                    Kind::Bytes => Value::Bytes(units.into_bytes().into()),
                    _ => Value::String(units),
                }
            }
            Kind::String => Value::String(text.ok_or_else(|| wrong("a text"))?.to_owned()),
            Kind::Bytes => {
                let bytes = text.and_then(read_base64).ok_or_else(|| wrong("base64"))?;
                Value::Bytes(bytes.into())
            }
        })
    }
}

/// A field by its name, or by its name in camel case, which some clients send.
pub fn find(of: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    of.get_field_by_name(name).or_else(|| of.get_field_by_json_name(name))
}

/// Numbers of 64 bits are text, others may be.
fn number<T: std::str::FromStr>(json: &Json) -> Option<T> {
    match json {
        Json::String(text) => text.parse().ok(),
        Json::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// Both alphabets, padded or not. A `+` that a URL made a space is one again.
fn read_base64(text: &str) -> Option<Vec<u8>> {
    let standard: String = text
        .chars()
        .map(|c| match c {
            '-' | ' ' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    BASE64.decode(standard).ok()
}
