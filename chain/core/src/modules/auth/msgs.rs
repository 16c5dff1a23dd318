//! Auth's parameters, by Cosmos' message.

use cosmos_sdk_proto::cosmos::auth::v1beta1::MsgUpdateParamsResponse;
use stoa_proto::auth as pb;

use super::{params, set_params};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::gas;
use crate::modules::gov;
use crate::tx::Message;
use crate::types::Address;

/// Replaces auth's parameters. Costs in gas belong to the program, and are
/// given as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateParams {
    authority: Address,
    max_memo_bytes: u32,
    max_signers: u32,
    /// None: it stays as it is.
    max_unordered_seconds: Option<u32>,
}

impl TryFrom<pb::MsgUpdateParams> for UpdateParams {
    type Error = Failure;

    fn try_from(msg: pb::MsgUpdateParams) -> Result<Self, Failure> {
        let wrong = |text: String| Failure::from(SdkError::InvalidRequest(text));
        let params = msg.params.ok_or_else(|| wrong("the params are missing".to_owned()))?;
        let fixed = [
            ("tx_size_cost_per_byte", params.tx_size_cost_per_byte, gas::TX_BYTE),
            ("sig_verify_cost_ed25519", params.sig_verify_cost_ed25519, gas::VERIFY_ED25519),
            ("sig_verify_cost_secp256k1", params.sig_verify_cost_secp256k1, gas::VERIFY_SECP256K1),
        ];
        for (name, given, cost) in fixed {
            if given != cost {
                let text = format!("{name} is {cost} in this program, and cannot be {given}");
                return Err(wrong(text));
            }
        }
        let small = |name: &str, number: u64| {
            u32::try_from(number).map_err(|_| wrong(format!("{name}: {number} is too much")))
        };
        Ok(Self {
            authority: msg.authority.parse()?,
            max_memo_bytes: small("max_memo_characters", params.max_memo_characters)?,
            max_signers: small("tx_sig_limit", params.tx_sig_limit)?,
            max_unordered_seconds: Some(params.max_unordered_seconds).filter(|most| *most > 0),
        })
    }
}

impl Message for UpdateParams {
    type Proto = pb::MsgUpdateParams;
    type Response = MsgUpdateParamsResponse;

    fn signer(&self) -> Address {
        self.authority
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        gov::check_authority(&self.authority)?;
        let Self { max_memo_bytes, max_signers, .. } = self;
        let max_unordered_seconds =
            self.max_unordered_seconds.unwrap_or_else(|| params(ctx).max_unordered_seconds);
        let params = super::Params { max_memo_bytes, max_signers, max_unordered_seconds };
        params.validate().map_err(SdkError::InvalidRequest)?;
        set_params(ctx, &params);
        Ok(MsgUpdateParamsResponse {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosmos_sdk_proto::cosmos::auth::v1beta1::QueryParamsRequest;

    use crate::testing::{address, ask, ctx_with, refusal, send};

    fn message(ctx: &Ctx<'_>, change: impl FnOnce(&mut pb::Params)) -> pb::MsgUpdateParams {
        let path = "/cosmos.auth.v1beta1.Query/Params";
        let told: pb::QueryParamsResponse = ask(ctx, path, &QueryParamsRequest {}).unwrap();
        let mut params = told.params.unwrap();
        change(&mut params);
        pb::MsgUpdateParams { authority: gov::authority().to_string(), params: Some(params) }
    }

    #[test]
    fn governance_sets_memos_signers_and_how_long_unordered_ones_may_wait() {
        let mut ctx = ctx_with(&[]);
        let msg = message(&ctx, |params| {
            params.max_memo_characters = 512;
            params.tx_sig_limit = 3;
            params.max_unordered_seconds = 90;
        });
        send::<UpdateParams>(&mut ctx, msg).unwrap();
        let wanted =
            super::super::Params { max_memo_bytes: 512, max_signers: 3, max_unordered_seconds: 90 };
        assert_eq!(params(&ctx), wanted);
        // A wallet that knows Cosmos' fields alone.
        let msg = message(&ctx, |params| params.max_unordered_seconds = 0);
        send::<UpdateParams>(&mut ctx, msg).unwrap();
        assert_eq!(params(&ctx), wanted);
    }

    #[test]
    fn bounds_in_which_nothing_fits_and_other_costs_are_refused() {
        let mut ctx = ctx_with(&[]);
        let cases: [fn(&mut pb::Params); 7] = [
            |params| params.tx_sig_limit = 0,
            |params| params.tx_sig_limit = 257,
            |params| params.tx_sig_limit = u64::MAX,
            |params| params.max_memo_characters = 65_537,
            |params| params.max_unordered_seconds = 86_401,
            |params| params.tx_size_cost_per_byte = 0,
            |params| params.sig_verify_cost_secp256k1 += 1,
        ];
        for change in cases {
            let msg = message(&ctx, change);
            assert_eq!(refusal::<UpdateParams>(&mut ctx, msg, "sdk"), 18);
        }
        let missing = pb::MsgUpdateParams { params: None, ..message(&ctx, |_| {}) };
        assert_eq!(refusal::<UpdateParams>(&mut ctx, missing, "sdk"), 18);
        let authority = address(1).to_string();
        let stranger = pb::MsgUpdateParams { authority, ..message(&ctx, |_| {}) };
        assert_eq!(refusal::<UpdateParams>(&mut ctx, stranger, "sdk"), 4);
    }
}
