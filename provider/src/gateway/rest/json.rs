//! Messages as JSON: names as in the .proto files, 64-bit integers as text,
//! defaults written out.

use std::sync::OnceLock;

use prost::Name;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{json, Value};
use stoa_client::proto::gateway::v1::{LeaseEvent, LogLine};
use stoa_client::proto::FILE_DESCRIPTOR_SET;
use tonic::Status;

/// One of our messages.
pub(super) fn of<M: Name>(message: &M) -> Result<Value, Status> {
    static POOL: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).ok());
    let name = M::full_name();
    let failed = || Status::internal(format!("{name} has no description"));
    let description = pool.as_ref().and_then(|pool| pool.get_message_by_name(&name));
    let description = description.ok_or_else(failed)?;
    let message = DynamicMessage::decode(description, message.encode_to_vec().as_slice());
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .skip_default_fields(false)
        .stringify_64_bit_integers(true);
    message
        .map_err(|_| failed())?
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|_| failed())
}

/// A line of a log: text, whatever bytes it has.
pub(super) fn log_line(line: &LogLine) -> Value {
    json!({
        "service": line.service,
        "instance": line.instance,
        "stream": if line.stderr { "stderr" } else { "stdout" },
        "time": line.time,
        "line": String::from_utf8_lossy(&line.line),
    })
}

pub(super) fn event(event: &LeaseEvent) -> Result<Value, Status> {
    of(event)
}
