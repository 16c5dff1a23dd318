//! Changing what was registered.

use stoa_proto::provider::v1 as pb;

use crate::ctx::Ctx;
use crate::error::Failure;
use crate::event;
use crate::modules::provider::profile::Profile;
use crate::modules::provider::{existing, params, put, rests, root};
use crate::tx::Message;
use crate::types::Address;

/// Replaces URI, attributes and info; rotates the root where one is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    owner: Address,
    profile: Profile,
    /// None: unchanged.
    root_certificate: Option<Vec<u8>>,
    /// Whether only the present root is valid from now on.
    revoke_earlier: bool,
}

impl TryFrom<pb::MsgUpdateProvider> for Update {
    type Error = Failure;

    fn try_from(msg: pb::MsgUpdateProvider) -> Result<Self, Failure> {
        Ok(Self {
            owner: msg.owner.parse()?,
            profile: Profile::from_proto(msg.host_uri, msg.attributes, msg.info)?,
            root_certificate: Some(msg.root_certificate).filter(|der| !der.is_empty()),
            revoke_earlier: msg.revoke_earlier,
        })
    }
}

impl Message for Update {
    type Proto = pb::MsgUpdateProvider;
    type Response = pb::MsgUpdateProviderResponse;

    fn signer(&self) -> Address {
        self.owner
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let mut provider = existing(ctx, &self.owner)?;
        let profile = self.profile;
        profile.check(&params(ctx))?;
        if profile.attributes != provider.attributes {
            rests::check_attributes(ctx, &self.owner, &profile.attributes)?;
        }
        provider.host_uri = profile.host_uri;
        provider.attributes = profile.attributes;
        provider.email = profile.email;
        provider.website = profile.website;
        let rotated = self.root_certificate.is_some();
        if let Some(new) = self.root_certificate {
            root::rotate(ctx, &mut provider, new)?;
        }
        if self.revoke_earlier {
            provider.earlier_root = None;
        }
        put(ctx, &provider);
        let owner = self.owner;
        ctx.emit(event!(pb::EventProviderUpdated { provider: owner, root_rotated: rotated }));
        Ok(pb::MsgUpdateProviderResponse {})
    }
}
