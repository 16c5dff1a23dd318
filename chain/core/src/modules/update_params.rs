//! What all modules' `MsgUpdateParams` have in common.

/// Makes the message by which governance replaces a module's parameters, all
/// of them: of the protobuf module `$pb`, written under the key `$key`. The
/// parameters' `TryFrom` says what is wrong with them.
macro_rules! update_params {
    ($(#[$doc:meta])* $pb:ident, $params:ty, $key:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct UpdateParams {
            authority: crate::types::Address,
            params: $params,
        }

        impl TryFrom<$pb::MsgUpdateParams> for UpdateParams {
            type Error = crate::error::Failure;

            fn try_from(msg: $pb::MsgUpdateParams) -> Result<Self, Self::Error> {
                let wrong = crate::error::SdkError::InvalidRequest;
                let params = msg.params.ok_or_else(|| wrong("the params are missing".to_owned()))?;
                Ok(Self {
                    authority: msg.authority.parse()?,
                    params: <$params>::try_from(params).map_err(wrong)?,
                })
            }
        }

        impl crate::tx::Message for UpdateParams {
            type Proto = $pb::MsgUpdateParams;
            type Response = $pb::MsgUpdateParamsResponse;

            fn signer(&self) -> crate::types::Address {
                self.authority
            }

            fn execute(
                self,
                ctx: &mut crate::ctx::Ctx<'_>,
            ) -> Result<Self::Response, crate::error::Failure> {
                crate::modules::gov::check_authority(&self.authority)?;
                ctx.put($key(), &self.params);
                Ok($pb::MsgUpdateParamsResponse {})
            }
        }
    };
}

pub(crate) use update_params;
