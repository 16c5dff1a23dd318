//! Protobuf messages as the JSON of Cosmos REST, and back.
//!
//! It is protobuf's JSON with the differences of the Cosmos SDK: names as in the .proto files,
//! defaults written out, decimals where the option `stoa.options.v1.dec` says so, and absent
//! bytes (a page's `next_key`) as null.

mod decimal;
mod read;
mod time;
mod write;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use anyhow::{Context, Result};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, MessageDescriptor, Value};

pub use read::ReadError;

/// Deepest nesting of a message in an `Any` in a message and so on.
const MAX_ANY_DEPTH: u32 = 16;

/// The descriptors, and what JSON needs of their options.
pub struct Schema {
    pool: DescriptorPool,
    decimals: HashSet<String>,
}

impl Schema {
    /// That of `stoa_proto`.
    pub fn new() -> Result<Self> {
        let pool = DescriptorPool::decode(stoa_proto::FILE_DESCRIPTOR_SET)?;
        let dec = pool.get_extension_by_name("stoa.options.v1.dec").context("no option dec")?;
        let fields = pool.all_messages().flat_map(|message| message.fields().collect::<Vec<_>>());
        let marked = fields.filter(|field| field.options().has_extension(&dec));
        let decimals = marked.map(|field| field.full_name().to_owned()).collect();
        Ok(Self { pool, decimals })
    }

    /// The descriptors.
    pub const fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// Writes a message.
    pub fn write(&self, message: &DynamicMessage) -> Vec<u8> {
        write::Writer::new(self).write(message)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Names the field that is not of the message's form.
    pub fn read(
        &self,
        message: &MessageDescriptor,
        json: &serde_json::Value,
    ) -> Result<DynamicMessage, ReadError> {
        read::Reader::new(self).message(message, json)
    }

    /// Reads one value of a field from plain text, as it stands in a URL.
    ///
    /// # Errors
    /// Names the field and what is expected.
    pub fn read_text(&self, field: &FieldDescriptor, text: &str) -> Result<Value, ReadError> {
        read::Reader::new(self).one(field, &serde_json::Value::String(text.to_owned()), true)
    }

    /// Whether a field holds an integer in units of 10^-18.
    pub fn is_decimal(&self, field: &FieldDescriptor) -> bool {
        self.decimals.contains(field.full_name())
    }

    /// The message that an `Any` names.
    fn named(&self, type_url: &str) -> Option<MessageDescriptor> {
        self.pool.get_message_by_name(type_url.rsplit('/').next()?)
    }
}
