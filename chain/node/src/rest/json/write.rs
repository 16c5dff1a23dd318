//! Messages to JSON.

use std::io::Write as _;

use base64::{engine::general_purpose::STANDARD, Engine as _};
use prost_reflect::{
    Cardinality, DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value,
};

use super::{decimal, time, Schema, MAX_ANY_DEPTH};

/// Writes one message.
pub struct Writer<'a> {
    schema: &'a Schema,
    out: Vec<u8>,
    any_depth: u32,
}

impl<'a> Writer<'a> {
    pub const fn new(schema: &'a Schema) -> Self {
        Self { schema, out: Vec::new(), any_depth: 0 }
    }

    /// The message's JSON.
    pub fn write(mut self, message: &DynamicMessage) -> Vec<u8> {
        self.message(message);
        self.out
    }

    fn message(&mut self, message: &DynamicMessage) {
        match message.descriptor().full_name() {
            "google.protobuf.Any" => self.any(message),
            "google.protobuf.Timestamp" => {
                let (seconds, nanos) = seconds_and_nanos(message);
                match time::write_timestamp(seconds, nanos) {
                    Some(text) => self.text(&text),
                    None => self.raw("null"),
                }
            }
            "google.protobuf.Duration" => {
                let (seconds, nanos) = seconds_and_nanos(message);
                self.text(&time::write_duration(seconds, nanos));
            }
            _ => {
                self.raw("{");
                self.fields(message, true);
                self.raw("}");
            }
        }
    }

    /// The fields, without braces; `first` where none stands before them.
    fn fields(&mut self, message: &DynamicMessage, mut first: bool) {
        for field in message.descriptor().fields() {
            // Of a oneof only what is set is written.
            if field.containing_oneof().is_some() && !message.has_field(&field) {
                continue;
            }
            if !std::mem::take(&mut first) {
                self.raw(",");
            }
            self.text(field.name());
            self.raw(":");
            if field.supports_presence() && !message.has_field(&field) {
                self.raw("null");
            } else {
                self.value(&field, &message.get_field(&field));
            }
        }
    }

    fn value(&mut self, field: &FieldDescriptor, value: &Value) {
        match value {
            Value::List(values) => {
                self.raw("[");
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        self.raw(",");
                    }
                    self.one(field, value);
                }
                self.raw("]");
            }
            Value::Map(entries) => {
                self.raw("{");
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        self.raw(",");
                    }
                    self.text(&key_text(key));
                    self.raw(":");
                    self.one(field, value);
                }
                self.raw("}");
            }
            Value::Bytes(bytes)
                if bytes.is_empty() && field.cardinality() != Cardinality::Repeated =>
            {
                self.raw("null");
            }
            value => self.one(field, value),
        }
    }

    fn one(&mut self, field: &FieldDescriptor, value: &Value) {
        match value {
            Value::Bool(value) => self.raw(if *value { "true" } else { "false" }),
            Value::I32(value) => self.display(value),
            Value::U32(value) => self.display(value),
            Value::I64(value) => self.text(&value.to_string()),
            Value::U64(value) => self.text(&value.to_string()),
            Value::F32(value) => self.display(value),
            Value::F64(value) => self.display(value),
            Value::String(text) if self.schema.is_decimal(field) => self.decimal(text),
            Value::Bytes(bytes) if self.schema.is_decimal(field) => {
                self.decimal(&String::from_utf8_lossy(bytes));
            }
            Value::String(text) => self.text(text),
            Value::Bytes(bytes) => self.text(&STANDARD.encode(bytes)),
            Value::EnumNumber(number) => self.enumeration(field, *number),
            Value::Message(message) => self.message(message),
            // Neither stands in a list or a map.
            Value::List(_) | Value::Map(_) => self.raw("null"),
        }
    }

    /// A decimal that was left out is null, as a `LegacyDec` without a value is.
    fn decimal(&mut self, units: &str) {
        match decimal::to_number(units) {
            Some(number) => self.text(&number),
            None if units.is_empty() => self.raw("null"),
            None => self.text(units),
        }
    }

    fn enumeration(&mut self, field: &FieldDescriptor, number: i32) {
        let name = match field.kind() {
            Kind::Enum(of) => of.get_value(number).map(|value| value.name().to_owned()),
            _ => None,
        };
        match name {
            Some(name) => self.text(&name),
            None => self.display(&number),
        }
    }

    /// `{"@type": …}` with the fields of what it holds; its bytes where that is not known.
    fn any(&mut self, any: &DynamicMessage) {
        let type_url = any.get_field_by_name("type_url").map(|v| v.into_owned());
        let type_url = type_url.as_ref().and_then(Value::as_str).unwrap_or_default();
        let bytes = any.get_field_by_name("value").map(|v| v.into_owned());
        let bytes = bytes.as_ref().and_then(Value::as_bytes).cloned().unwrap_or_default();
        self.raw("{\"@type\":");
        self.text(type_url);
        let known = (self.any_depth < MAX_ANY_DEPTH)
            .then(|| self.schema.named(type_url))
            .flatten()
            .and_then(|of| DynamicMessage::decode(of, bytes.clone()).ok());
        match known {
            Some(inner) if is_special(&inner) => {
                self.raw(",\"value\":");
                self.any_depth += 1;
                self.message(&inner);
                self.any_depth -= 1;
            }
            Some(inner) => {
                self.any_depth += 1;
                self.fields(&inner, false);
                self.any_depth -= 1;
            }
            None => {
                self.raw(",\"value\":");
                self.text(&STANDARD.encode(&bytes));
            }
        }
        self.raw("}");
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn display(&mut self, number: &dyn std::fmt::Display) {
        // Writing into memory does not fail.
        let _ = write!(self.out, "{number}");
    }

    fn text(&mut self, text: &str) {
        let _ = serde_json::to_writer(&mut self.out, text);
    }
}

/// Whether a message's JSON is no object of its fields.
fn is_special(message: &DynamicMessage) -> bool {
    message.descriptor().package_name() == "google.protobuf"
}

fn seconds_and_nanos(message: &DynamicMessage) -> (i64, i32) {
    let field = |name: &str| message.get_field_by_name(name).map(|value| value.into_owned());
    let seconds = field("seconds").and_then(|value| value.as_i64()).unwrap_or_default();
    let nanos = field("nanos").and_then(|value| value.as_i32()).unwrap_or_default();
    (seconds, nanos)
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}
