//! A message by its descriptor.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use base64::{engine::general_purpose::STANDARD as BASE64, Engine as _};
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor,
    MessageDescriptor, ReflectMessage, Value,
};

use super::json::Json;
use super::{time, AminoError};
use crate::Any;

/// How deep messages may lie in one another as `Any`.
const MAX_DEPTH: u32 = 8;

/// A transaction's message, or what else is an `Any`: its name and its value.
pub fn of_any(any: &Any) -> Result<Json, AminoError> {
    any_json(&any.type_url, &any.value, 0)
}

/// The descriptors of all messages, and the options that say how they are
/// written.
struct Types {
    pool: DescriptorPool,
    name: ExtensionDescriptor,
    message_encoding: ExtensionDescriptor,
    keep_empty: ExtensionDescriptor,
    dec: ExtensionDescriptor,
    field_name: ExtensionDescriptor,
    field_encoding: ExtensionDescriptor,
    oneof_name: ExtensionDescriptor,
}

/// None where the descriptors that are built in do not decode, which a test
/// excludes.
fn types() -> Result<&'static Types, AminoError> {
    static TYPES: OnceLock<Option<Types>> = OnceLock::new();
    let types = TYPES.get_or_init(|| {
        let pool = DescriptorPool::decode(crate::FILE_DESCRIPTOR_SET).ok()?;
        let option = |name: &str| pool.get_extension_by_name(&format!("stoa.options.v1.{name}"));
        Some(Types {
            name: option("amino_name")?,
            message_encoding: option("amino_message_encoding")?,
            keep_empty: option("amino_keep_empty")?,
            dec: option("dec")?,
            field_name: option("amino_field_name")?,
            field_encoding: option("amino_encoding")?,
            oneof_name: option("amino_oneof_name")?,
            pool,
        })
    });
    types.as_ref().ok_or_else(|| unsupported("a chain without descriptors"))
}

fn unsupported(what: &str) -> AminoError {
    AminoError::Unsupported(format!("{what} in SIGN_MODE_LEGACY_AMINO_JSON; use SIGN_MODE_DIRECT"))
}

/// A text option; empty where it is not set.
fn text(options: &DynamicMessage, option: &ExtensionDescriptor) -> String {
    options.get_extension(option).as_str().unwrap_or_default().to_owned()
}

fn is_set(options: &DynamicMessage, option: &ExtensionDescriptor) -> bool {
    options.get_extension(option).as_bool().unwrap_or_default()
}

/// The name under which a message of this type is shown, where it has one of
/// its own.
pub fn name_of(type_url: &str) -> Option<String> {
    let types = types().ok()?;
    let descriptor = types.pool.get_message_by_name(type_url.strip_prefix('/')?)?;
    Some(text(&descriptor.options(), &types.name)).filter(|name| !name.is_empty())
}

fn any_json(type_url: &str, value: &[u8], depth: u32) -> Result<Json, AminoError> {
    let types = types()?;
    if depth > MAX_DEPTH {
        return Err(unsupported("messages that deep in one another"));
    }
    let shown = || type_url.chars().take(100).collect::<String>();
    let name = type_url.strip_prefix('/').unwrap_or(type_url);
    let descriptor = types.pool.get_message_by_name(name).ok_or_else(|| unsupported(&shown()))?;
    let message = DynamicMessage::decode(descriptor, value)
        .map_err(|error| AminoError::Malformed(format!("{}: {error}", shown())))?;
    let amino_name = name_of(type_url).unwrap_or_else(|| type_url.to_owned());
    let value = message_json(types, &message, depth)?;
    Ok(Json::object([("type", Json::Text(amino_name)), ("value", value)]))
}

fn message_json(types: &Types, message: &DynamicMessage, depth: u32) -> Result<Json, AminoError> {
    let descriptor = message.descriptor();
    // What no descriptor names would not be signed.
    if message.unknown_fields().next().is_some() {
        return Err(unsupported(&format!("an unknown field of {}", descriptor.full_name())));
    }
    if let Some(json) = well_known(message, &descriptor, depth)? {
        return Ok(json);
    }
    match text(&descriptor.options(), &types.message_encoding).as_str() {
        "key_field" => return key_field(message),
        "threshold_string" => return threshold_key(types, message, depth),
        _ => {}
    }
    let mut fields = BTreeMap::new();
    for field in descriptor.fields() {
        if let Some((name, json)) = field_json(types, message, &field, depth)? {
            fields.insert(name, json);
        }
    }
    Ok(Json::Object(fields))
}

/// Messages that stand for a value.
fn well_known(
    message: &DynamicMessage,
    descriptor: &MessageDescriptor,
    depth: u32,
) -> Result<Option<Json>, AminoError> {
    let moment = |write: fn(i64, i32) -> Option<String>| {
        let seconds = integer(message, "seconds").unwrap_or_default();
        let nanos = integer(message, "nanos").unwrap_or_default();
        let written = i32::try_from(nanos).ok().and_then(|nanos| write(seconds, nanos));
        written.map(|text| Some(Json::Text(text))).ok_or_else(|| unsupported("such a time"))
    };
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => moment(time::rfc3339),
        "google.protobuf.Duration" => moment(|s, n| time::nanoseconds(s, n).map(|n| n.to_string())),
        "google.protobuf.Any" => {
            let type_url = message.get_field_by_name("type_url");
            let value = message.get_field_by_name("value");
            let type_url = type_url.as_deref().and_then(Value::as_str).unwrap_or_default();
            let value = value.as_deref().and_then(Value::as_bytes).cloned().unwrap_or_default();
            any_json(type_url, &value, depth.saturating_add(1)).map(Some)
        }
        _ => Ok(None),
    }
}

fn integer(message: &DynamicMessage, field: &str) -> Option<i64> {
    match message.get_field_by_name(field)?.as_ref() {
        Value::I64(number) => Some(*number),
        Value::I32(number) => Some((*number).into()),
        _ => None,
    }
}

/// A public key: the bytes alone.
fn key_field(message: &DynamicMessage) -> Result<Json, AminoError> {
    let key = message.get_field_by_name("key");
    let key = key.as_deref().and_then(Value::as_bytes).cloned().unwrap_or_default();
    Ok(if key.is_empty() { Json::Null } else { Json::Text(BASE64.encode(key)) })
}

/// A threshold key, whose JSON is older than its protobuf.
fn threshold_key(types: &Types, message: &DynamicMessage, depth: u32) -> Result<Json, AminoError> {
    let keys = message.get_field_by_name("public_keys");
    let keys = keys.as_deref().and_then(Value::as_list).unwrap_or_default();
    let keys = keys.iter().map(|key| value_json(types, key, depth)).collect::<Result<_, _>>()?;
    let threshold = message.get_field_by_name("threshold");
    let threshold = threshold.as_deref().and_then(Value::as_u32).unwrap_or_default();
    Ok(Json::object([
        ("pubkeys", Json::List(keys)),
        ("threshold", Json::Text(threshold.to_string())),
    ]))
}

/// A field's name and value; none where it is left out.
fn field_json(
    types: &Types,
    message: &DynamicMessage,
    field: &FieldDescriptor,
    depth: u32,
) -> Result<Option<(String, Json)>, AminoError> {
    let options = field.options();
    let name = text(&options, &types.field_name);
    let name = if name.is_empty() { field.name().to_owned() } else { name };
    let has = message.has_field(field);
    // A field that is `optional` is alone in a oneof that nobody has written.
    let optional = field.field_descriptor_proto().proto3_optional();
    if let Some(oneof) = field.containing_oneof().filter(|_| !optional) {
        let place = first_upper(oneof.name());
        if has {
            let value = value_json(types, &message.get_field(field), depth)?;
            let kind = Json::Text(text(&options, &types.oneof_name));
            let value = Json::object([(name.as_str(), value)]);
            return Ok(Some((place, Json::object([("type", kind), ("value", value)]))));
        }
        let none = !oneof.fields().any(|field| message.has_field(&field));
        return Ok(none.then_some((place, Json::Null)));
    }
    if !has && !is_set(&options, &types.keep_empty) {
        return Ok(None);
    }
    let value = message.get_field(field);
    let json = match value.as_ref() {
        Value::List(list) if list.is_empty() => match text(&options, &types.field_encoding) {
            encoding if encoding == "legacy_coins" => Json::List(Vec::new()),
            _ => Json::Null,
        },
        Value::Message(_) if !has && field.cardinality() != Cardinality::Repeated => {
            let full_name = field.full_name();
            return Err(AminoError::Malformed(format!("{full_name} is missing")));
        }
        value if is_set(&options, &types.dec) => decimal_json(value)?,
        value => value_json(types, value, depth)?,
    };
    Ok(Some((name, json)))
}

fn value_json(types: &Types, value: &Value, depth: u32) -> Result<Json, AminoError> {
    Ok(match value {
        Value::Bool(value) => Json::Bool(*value),
        Value::I32(number) => Json::Number((*number).into()),
        Value::U32(number) => Json::Number((*number).into()),
        Value::EnumNumber(number) => Json::Number((*number).into()),
        Value::I64(number) => Json::Text(number.to_string()),
        Value::U64(number) => Json::Text(number.to_string()),
        Value::String(text) => Json::Text(text.clone()),
        Value::Bytes(bytes) if bytes.is_empty() => Json::Null,
        Value::Bytes(bytes) => Json::Text(BASE64.encode(bytes)),
        Value::Message(message) => message_json(types, message, depth)?,
        Value::List(list) => {
            let values = list.iter().map(|value| value_json(types, value, depth));
            Json::List(values.collect::<Result<_, _>>()?)
        }
        Value::F32(_) | Value::F64(_) | Value::Map(_) => {
            return Err(unsupported("fractions and maps"));
        }
    })
}

/// An integer of 10^-18 units as a decimal number.
fn decimal_json(value: &Value) -> Result<Json, AminoError> {
    let digits = match value {
        Value::String(text) => text.clone(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::List(list) => {
            let values = list.iter().map(decimal_json).collect::<Result<_, _>>()?;
            return Ok(Json::List(values));
        }
        _ => return Err(unsupported("decimals that are no text")),
    };
    if digits.is_empty() {
        return Ok(Json::Text("0".to_owned()));
    }
    let (sign, number) = match digits.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", digits.as_str()),
    };
    if number.is_empty() || number.len() > 80 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        let shown: String = digits.chars().take(100).collect();
        return Err(AminoError::Malformed(format!("{shown:?} is no integer")));
    }
    let padded = format!("{number:0>19}");
    let (whole, fraction) = padded.split_at(padded.len().saturating_sub(18));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Ok(Json::Text(format!("{sign}{whole}.{fraction}")))
}

/// `validators` as `Validators`.
fn first_upper(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}
