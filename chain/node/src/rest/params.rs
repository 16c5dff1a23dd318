//! The request of a GET: what its path and its query say, by the names of fields.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use super::{
    json::{ReadError, Schema},
    routes::decode_percent,
};

/// Most parameters of one query.
const MAX_PARAMETERS: usize = 256;

/// Builds a request. A name such as `pagination.limit` reaches into a field; one that comes
/// several times fills a list; one that the request does not have is passed over, as clients
/// add some of their own.
///
/// # Errors
/// Names the field whose value is not of its kind.
pub fn request(
    schema: &Schema,
    of: &MessageDescriptor,
    path: &[(&str, String)],
    query: &str,
) -> Result<DynamicMessage, ReadError> {
    let mut request = DynamicMessage::new(of.clone());
    for (name, text) in pairs(query) {
        if !path.iter().any(|(field, _)| *field == name) {
            set(schema, &mut request, &name, &text)?;
        }
    }
    for (name, text) in path {
        set(schema, &mut request, name, text)?;
    }
    Ok(request)
}

/// `a=1&b=2`, decoded.
fn pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let parts = query.split('&').filter(|part| !part.is_empty()).take(MAX_PARAMETERS);
    parts.map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let plain = |text: &str| decode_percent(&text.replace('+', " "));
        (plain(name), plain(value))
    })
}

fn set(
    schema: &Schema,
    message: &mut DynamicMessage,
    name: &str,
    text: &str,
) -> Result<(), ReadError> {
    let (first, rest) = match name.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (name, None),
    };
    let Some(field) = find(message, first) else { return Ok(()) };
    if let Some(rest) = rest {
        if field.is_list() || !matches!(field.kind(), Kind::Message(_)) {
            return Ok(());
        }
        return match message.get_field_mut(&field) {
            Value::Message(inner) => set(schema, inner, rest, text),
            _ => Ok(()),
        };
    }
    // `limit=` says nothing, but an empty text is one.
    if text.is_empty() && !matches!(field.kind(), Kind::String) {
        return Ok(());
    }
    let value = schema.read_text(&field, text)?;
    if field.is_list() {
        if let Value::List(values) = message.get_field_mut(&field) {
            values.push(value);
        }
    } else {
        message.set_field(&field, value);
    }
    Ok(())
}

fn find(message: &DynamicMessage, name: &str) -> Option<FieldDescriptor> {
    use prost_reflect::ReflectMessage;
    let of = message.descriptor();
    of.get_field_by_name(name).or_else(|| of.get_field_by_json_name(name))
}
