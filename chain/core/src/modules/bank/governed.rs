//! What governance says of sending.

use cosmos_sdk_proto::cosmos::bank::v1beta1 as pb;

use super::params::MAX_SEND_ENABLED;
use super::{params, set_params, SendEnabled};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::modules::gov;
use crate::tx::Message;
use crate::types::{Address, Denom};

/// Says whether denoms that are not listed can be sent. The list stays: it is
/// [`SetSendEnabled`]'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateParams {
    authority: Address,
    default_send_enabled: bool,
}

impl TryFrom<pb::MsgUpdateParams> for UpdateParams {
    type Error = Failure;

    #[allow(deprecated, reason = "what is set must be seen to be refused")]
    fn try_from(msg: pb::MsgUpdateParams) -> Result<Self, Failure> {
        let wrong = |text: &str| Failure::from(SdkError::InvalidRequest(text.to_owned()));
        let params = msg.params.ok_or_else(|| wrong("the params are missing"))?;
        if !params.send_enabled.is_empty() {
            return Err(wrong("send_enabled is left out; MsgSetSendEnabled sets it"));
        }
        Ok(Self {
            authority: msg.authority.parse()?,
            default_send_enabled: params.default_send_enabled,
        })
    }
}

impl Message for UpdateParams {
    type Proto = pb::MsgUpdateParams;
    type Response = pb::MsgUpdateParamsResponse;

    fn signer(&self) -> Address {
        self.authority
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        gov::check_authority(&self.authority)?;
        let default_send_enabled = self.default_send_enabled;
        let params = super::Params { default_send_enabled, ..params(ctx) };
        set_params(ctx, &params);
        Ok(pb::MsgUpdateParamsResponse {})
    }
}

/// Lists denoms that can or cannot be sent, or leaves them to the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetSendEnabled {
    authority: Address,
    listed: Vec<SendEnabled>,
    default: Vec<Denom>,
}

impl TryFrom<pb::MsgSetSendEnabled> for SetSendEnabled {
    type Error = Failure;

    fn try_from(msg: pb::MsgSetSendEnabled) -> Result<Self, Failure> {
        let named = msg.send_enabled.len().max(msg.use_default_for.len());
        if named > MAX_SEND_ENABLED {
            let text = format!("{named} denoms; at most {MAX_SEND_ENABLED} are listed");
            return Err(SdkError::InvalidRequest(text).into());
        }
        let listed = |one: pb::SendEnabled| -> Result<SendEnabled, SdkError> {
            Ok(SendEnabled { denom: one.denom.try_into()?, enabled: one.enabled })
        };
        let default = msg.use_default_for.into_iter().map(Denom::try_from);
        Ok(Self {
            authority: msg.authority.parse()?,
            listed: msg.send_enabled.into_iter().map(listed).collect::<Result<_, _>>()?,
            default: default.collect::<Result<_, _>>()?,
        })
    }
}

impl Message for SetSendEnabled {
    type Proto = pb::MsgSetSendEnabled;
    type Response = pb::MsgSetSendEnabledResponse;

    fn signer(&self) -> Address {
        self.authority
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        gov::check_authority(&self.authority)?;
        let mut params = params(ctx);
        for SendEnabled { denom, enabled } in self.listed {
            params.set_send_enabled(denom, Some(enabled));
        }
        for denom in self.default {
            params.set_send_enabled(denom, None);
        }
        params.validate().map_err(SdkError::InvalidRequest)?;
        set_params(ctx, &params);
        Ok(pb::MsgSetSendEnabledResponse {})
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MultiSend, Send};
    use super::*;
    use crate::testing::{address, assert_export_is_whole, coin, ctx_with, refusal, send};

    fn sends() -> pb::MsgSend {
        pb::MsgSend {
            from_address: address(1).to_string(),
            to_address: address(2).to_string(),
            amount: vec![coin(5).into()],
        }
    }

    fn set(default_send_enabled: bool) -> pb::MsgUpdateParams {
        pb::MsgUpdateParams {
            authority: gov::authority().to_string(),
            params: Some(pb::Params { default_send_enabled, ..Default::default() }),
        }
    }

    fn list(enabled: Option<bool>) -> pb::MsgSetSendEnabled {
        let denom = "ustoa".to_owned();
        let listed = enabled.map(|enabled| pb::SendEnabled { denom: denom.clone(), enabled });
        pb::MsgSetSendEnabled {
            authority: gov::authority().to_string(),
            use_default_for: if enabled.is_none() { vec![denom] } else { Vec::new() },
            send_enabled: listed.into_iter().collect(),
        }
    }

    #[test]
    fn governance_turns_sending_off_and_on_again() {
        let mut ctx = ctx_with(&[(address(1), 100)]);
        send::<UpdateParams>(&mut ctx, set(false)).unwrap();
        assert_eq!(refusal::<Send>(&mut ctx, sends(), "bank"), 5);
        let many = pb::MsgMultiSend {
            inputs: vec![pb::Input { address: address(1).to_string(), coins: sends().amount }],
            outputs: vec![pb::Output { address: address(2).to_string(), coins: sends().amount }],
        };
        assert_eq!(refusal::<MultiSend>(&mut ctx, many, "bank"), 5);
        send::<SetSendEnabled>(&mut ctx, list(Some(true))).unwrap();
        send::<Send>(&mut ctx, sends()).unwrap();
        send::<SetSendEnabled>(&mut ctx, list(None)).unwrap();
        assert_eq!(refusal::<Send>(&mut ctx, sends(), "bank"), 5);
        send::<UpdateParams>(&mut ctx, set(true)).unwrap();
        send::<Send>(&mut ctx, sends()).unwrap();
        send::<SetSendEnabled>(&mut ctx, list(Some(false))).unwrap();
        assert_eq!(refusal::<Send>(&mut ctx, sends(), "bank"), 5);
        assert_export_is_whole(ctx);
    }

    #[test]
    fn parameters_that_are_missing_or_too_many_and_strangers_are_refused() {
        let mut ctx = ctx_with(&[]);
        let missing = pb::MsgUpdateParams { params: None, ..set(true) };
        assert_eq!(refusal::<UpdateParams>(&mut ctx, missing, "sdk"), 18);
        let mut old = set(true);
        let denom = pb::SendEnabled { denom: "ustoa".to_owned(), enabled: true };
        #[allow(deprecated)]
        old.params.as_mut().unwrap().send_enabled.push(denom);
        assert_eq!(refusal::<UpdateParams>(&mut ctx, old, "sdk"), 18);
        let mut many = list(None);
        many.use_default_for = (0..65).map(|number| format!("denom{number}")).collect();
        assert_eq!(refusal::<SetSendEnabled>(&mut ctx, many, "sdk"), 18);
        // One more than there is room for.
        let denoms = |from: usize, to: usize| pb::MsgSetSendEnabled {
            send_enabled: (from..to)
                .map(|number| pb::SendEnabled { denom: format!("denom{number}"), enabled: true })
                .collect(),
            ..list(None)
        };
        send::<SetSendEnabled>(&mut ctx, denoms(0, 64)).unwrap();
        assert_eq!(refusal::<SetSendEnabled>(&mut ctx, denoms(64, 65), "sdk"), 18);
        let authority = address(1).to_string();
        let stranger = pb::MsgUpdateParams { authority: authority.clone(), ..set(false) };
        assert_eq!(refusal::<UpdateParams>(&mut ctx, stranger, "sdk"), 4);
        let stranger = pb::MsgSetSendEnabled { authority, ..list(None) };
        assert_eq!(refusal::<SetSendEnabled>(&mut ctx, stranger, "sdk"), 4);
    }
}
