//! Signing attributes of a provider, and taking them back.

use std::collections::BTreeMap;

use stoa_proto::audit::v1 as pb;

use super::{attributes, keys, Error};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::event;
use crate::modules::provider;
use crate::tx::Message;
use crate::types::{bounded, Address, Attribute};

/// Attributes that one message signs, or keys that it takes back.
const MAX_ATTRIBUTES: usize = 256;

/// Adds attributes to the auditor's record, in place of those of equal key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignAttributes {
    auditor: Address,
    provider: Address,
    attributes: Vec<Attribute>,
}

impl TryFrom<pb::MsgSignProviderAttributes> for SignAttributes {
    type Error = Failure;

    fn try_from(msg: pb::MsgSignProviderAttributes) -> Result<Self, Failure> {
        if msg.attributes.is_empty() {
            return Err(Error::NoAttributes.into());
        }
        Ok(Self {
            auditor: msg.auditor.parse()?,
            provider: msg.provider.parse()?,
            attributes: Attribute::list_from_proto(msg.attributes, MAX_ATTRIBUTES, false)?,
        })
    }
}

impl Message for SignAttributes {
    type Proto = pb::MsgSignProviderAttributes;
    type Response = pb::MsgSignProviderAttributesResponse;

    fn signer(&self) -> Address {
        self.auditor
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { auditor, provider, attributes: added } = self;
        if !provider::is_registered(ctx, &provider) {
            return Err(Error::UnknownProvider(provider).into());
        }
        let before = attributes(ctx, &auditor, &provider).unwrap_or_default();
        let merged = merge(before, added);
        let (count, max) = (merged.len(), provider::params(ctx).max_attributes);
        if u32::try_from(count).map_or(true, |count| count > max) {
            return Err(Error::TooManyAttributes { count, max }.into());
        }
        ctx.put(keys::record(&provider, &auditor), &merged);
        ctx.emit(event!(pb::EventAttributesSigned { auditor: auditor, provider: provider }));
        Ok(pb::MsgSignProviderAttributesResponse {})
    }
}

/// Both by key, the second's where both have one.
fn merge(before: Vec<Attribute>, added: Vec<Attribute>) -> Vec<Attribute> {
    let pairs = before.into_iter().chain(added).map(|attribute| (attribute.key, attribute.value));
    let by_key: BTreeMap<String, String> = pairs.collect();
    by_key.into_iter().map(|(key, value)| Attribute { key, value }).collect()
}

/// Takes back attributes, or the whole record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteAttributes {
    auditor: Address,
    provider: Address,
    /// Empty: all.
    keys: Vec<String>,
}

impl TryFrom<pb::MsgDeleteProviderAttributes> for DeleteAttributes {
    type Error = Failure;

    fn try_from(msg: pb::MsgDeleteProviderAttributes) -> Result<Self, Failure> {
        if msg.keys.len() > MAX_ATTRIBUTES {
            return Err(SdkError::InvalidRequest(format!(
                "{} keys; at most {MAX_ATTRIBUTES} are allowed",
                msg.keys.len()
            ))
            .into());
        }
        let key = |key| bounded("an attribute's key", key, Attribute::MAX_BYTES);
        Ok(Self {
            auditor: msg.auditor.parse()?,
            provider: msg.provider.parse()?,
            keys: msg.keys.into_iter().map(key).collect::<Result<_, _>>()?,
        })
    }
}

impl Message for DeleteAttributes {
    type Proto = pb::MsgDeleteProviderAttributes;
    type Response = pb::MsgDeleteProviderAttributesResponse;

    fn signer(&self) -> Address {
        self.auditor
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { auditor, provider, keys: unwanted } = self;
        let signed = attributes(ctx, &auditor, &provider);
        let mut left = signed.ok_or(Error::NoRecord { auditor, provider })?;
        if unwanted.is_empty() {
            left.clear();
        }
        for key in unwanted {
            let index = left.iter().position(|attribute| attribute.key == key);
            left.remove(index.ok_or(Error::UnknownKey(key))?);
        }
        let record = keys::record(&provider, &auditor);
        if left.is_empty() {
            ctx.remove(record);
        } else {
            ctx.put(record, &left);
        }
        ctx.emit(event!(pb::EventAttributesDeleted { auditor: auditor, provider: provider }));
        Ok(pb::MsgDeleteProviderAttributesResponse {})
    }
}
