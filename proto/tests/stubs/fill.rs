//! Fills a message of any descriptor.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

const DEPTH: u32 = 4;

/// Every field set to something that is not its default; of each oneof the
/// field number `choice`, counted round.
pub fn filled(message: &MessageDescriptor, choice: usize) -> DynamicMessage {
    fill(message, choice, DEPTH)
}

fn fill(message: &MessageDescriptor, choice: usize, depth: u32) -> DynamicMessage {
    let mut filled = DynamicMessage::new(message.clone());
    for field in message.fields() {
        let chosen = field.containing_oneof().is_none_or(|oneof| {
            let of = oneof.fields().len();
            oneof.fields().nth(choice % of).is_some_and(|f| f == field)
        });
        if !chosen || newer_than_the_rust_type(&field) {
            continue;
        }
        if let Some(value) = value(&field, choice, depth) {
            filled.set_field(&field, value);
        }
    }
    filled
}

/// The body's two last fields, for which `stoa.tx.v1.TxBodyTail` stands, and the one of auth's
/// parameters that is ours: auth decodes it a second time.
pub fn newer_than_the_rust_type(field: &FieldDescriptor) -> bool {
    let newer: &[&str] = match field.parent_message().full_name() {
        "cosmos.tx.v1beta1.TxBody" => &["unordered", "timeout_timestamp"],
        "cosmos.auth.v1beta1.Params" => &["max_unordered_seconds"],
        _ => &[],
    };
    newer.contains(&field.name())
}

fn value(field: &FieldDescriptor, choice: usize, depth: u32) -> Option<Value> {
    assert!(!field.is_map(), "{}: no map is declared so far", field.full_name());
    let one = match field.kind() {
        Kind::Message(inner) => {
            Value::Message(fill(&inner, choice, depth.checked_sub(1).filter(|d| *d > 0)?))
        }
        Kind::Enum(values) => {
            Value::EnumNumber(values.values().map(|v| v.number()).max().unwrap_or(0))
        }
        Kind::Bool => Value::Bool(true),
        Kind::String => Value::String(field.name().to_owned()),
        Kind::Bytes => Value::Bytes(field.name().as_bytes().to_vec().into()),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(i32::MIN),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(i64::MAX),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(u32::MAX),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(u64::MAX),
        Kind::Float | Kind::Double => panic!("{}: no float is declared", field.full_name()),
    };
    Some(if field.is_list() { Value::List(vec![one.clone(), one]) } else { one })
}

/// Whether any message in it, at any depth, has a field that its descriptor
/// lacks.
pub fn has_unknown(message: &DynamicMessage) -> bool {
    message.unknown_fields().next().is_some()
        || message.fields().any(|(_, value)| match value {
            Value::Message(inner) => has_unknown(inner),
            Value::List(list) => list.iter().any(|v| v.as_message().is_some_and(has_unknown)),
            _ => false,
        })
}

/// How many choices show every field of every oneof in the message itself.
pub fn choices(message: &MessageDescriptor) -> usize {
    message.oneofs().map(|o| o.fields().len()).max().unwrap_or(1)
}
