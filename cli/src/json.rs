//! Protobuf messages as JSON: proto field names, 64-bit integers as strings,
//! defaults written out. Rates and other decimals stay integers × 10^-18.

use prost::Name;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{json, Value};
use std::sync::OnceLock;
use stoa_proto::cosmos::base::v1beta1::Coin;

use crate::exit::Failure;

fn pool() -> Result<&'static DescriptorPool, Failure> {
    static POOL: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    POOL.get_or_init(|| DescriptorPool::decode(stoa_proto::FILE_DESCRIPTOR_SET).ok())
        .as_ref()
        .ok_or_else(|| Failure::new("the built-in message descriptions do not decode"))
}

/// One of our messages.
pub fn of<M: Name>(message: &M) -> Result<Value, Failure> {
    by_name(&M::full_name(), &message.encode_to_vec())
}

/// A list of them.
pub fn list<M: Name>(messages: &[M]) -> Result<Value, Failure> {
    messages.iter().map(of).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

/// A message by its type's full name.
pub fn by_name(name: &str, bytes: &[u8]) -> Result<Value, Failure> {
    let unknown = || Failure::new(format!("no description of {name} is built in"));
    let description = pool()?.get_message_by_name(name).ok_or_else(unknown)?;
    let message = DynamicMessage::decode(description, bytes)
        .map_err(|e| Failure::new(format!("{name} does not decode: {e}")))?;
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .skip_default_fields(false)
        .stringify_64_bit_integers(true);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|e| Failure::new(format!("{name}: {e}")))
}

/// A message from JSON whose `@type` names it.
pub fn to_any(mut value: Value) -> Result<stoa_proto::Any, Failure> {
    let kind = value.as_object_mut().and_then(|map| map.remove("@type"));
    let Some(Value::String(type_url)) = kind else {
        return Err(Failure::new("a message without `@type`"));
    };
    let name = type_url.trim_start_matches('/');
    let unknown = || Failure::new(format!("no description of {name} is built in"));
    let description = pool()?.get_message_by_name(name).ok_or_else(unknown)?;
    let message = DynamicMessage::deserialize(description, value)
        .map_err(|e| Failure::new(format!("{name}: {e}")))?;
    let value = prost::Message::encode_to_vec(&message);
    Ok(stoa_proto::Any { type_url: format!("/{name}"), value })
}

/// Coins, as in the REST interface.
pub fn coins(coins: &[Coin]) -> Value {
    coins.iter().map(|c| json!({ "denom": c.denom, "amount": c.amount })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_integers_and_enums_are_those_of_the_rest_interface() {
        let order = stoa_proto::market::v1::Order {
            state: stoa_proto::market::v1::OrderState::Open.into(),
            closes_at: 1 << 60,
            ..Default::default()
        };
        let json = of(&order).unwrap();
        assert_eq!(json["state"], "ORDER_STATE_OPEN");
        assert_eq!(json["closes_at"], (1_u64 << 60).to_string());
        assert_eq!(json["sealed"], false);
    }

    #[test]
    fn messages_from_json() {
        let order = json!({ "owner": "o", "dseq": "7", "gseq": 1, "oseq": 1 });
        let value =
            json!({ "@type": "/stoa.market.v1.MsgWithdrawBid", "provider": "p", "order": order });
        let any = to_any(value).unwrap();
        assert_eq!(any.type_url, "/stoa.market.v1.MsgWithdrawBid");
        let message: stoa_proto::market::v1::MsgWithdrawBid =
            prost::Message::decode(any.value.as_slice()).unwrap();
        assert_eq!(message.order.unwrap().dseq, 7);
        assert!(to_any(json!({ "@type": "/x.Y" })).is_err());
        assert!(to_any(json!({ "@type": "/stoa.market.v1.MsgWithdrawBid", "typo": 1 })).is_err());
        assert!(to_any(json!({})).is_err());
    }
}
