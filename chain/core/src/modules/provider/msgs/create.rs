//! Registering.

use stoa_proto::provider::v1 as pb;

use crate::ctx::Ctx;
use crate::error::Failure;
use crate::event;
use crate::modules::provider::profile::Profile;
use crate::modules::provider::{is_registered, params, put, root, Error, Provider};
use crate::tx::Message;
use crate::types::{Address, Amount};

/// Registers the signer as a provider. No stake is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    owner: Address,
    profile: Profile,
    root_certificate: Vec<u8>,
}

impl TryFrom<pb::MsgCreateProvider> for Create {
    type Error = Failure;

    fn try_from(msg: pb::MsgCreateProvider) -> Result<Self, Failure> {
        Ok(Self {
            owner: msg.owner.parse()?,
            profile: Profile::from_proto(msg.host_uri, msg.attributes, msg.info)?,
            root_certificate: msg.root_certificate,
        })
    }
}

impl Message for Create {
    type Proto = pb::MsgCreateProvider;
    type Response = pb::MsgCreateProviderResponse;

    fn signer(&self) -> Address {
        self.owner
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { owner, profile, root_certificate } = self;
        if is_registered(ctx, &owner) {
            return Err(Error::AlreadyRegistered(owner).into());
        }
        profile.check(&params(ctx))?;
        root::check(ctx, &owner, &root_certificate)?;
        let provider = Provider {
            owner,
            host_uri: profile.host_uri,
            attributes: profile.attributes,
            email: profile.email,
            website: profile.website,
            root_certificate,
            earlier_root: None,
            jailed: false,
            created_at: ctx.now(),
            stake: Amount::ZERO,
        };
        put(ctx, &provider);
        ctx.emit(event!(pb::EventProviderCreated { provider: owner }));
        Ok(pb::MsgCreateProviderResponse {})
    }
}
