//! Validator sets as the engine has them.

use bytes::Bytes;
use cosmos_sdk_proto::{
    cosmos::{
        base::{
            query::v1beta1::{PageRequest, PageResponse},
            tendermint::v1beta1::{
                GetLatestValidatorSetRequest, GetLatestValidatorSetResponse,
                GetValidatorSetByHeightRequest, GetValidatorSetByHeightResponse, Validator,
            },
        },
        crypto::ed25519,
    },
    Any,
};
use prost::Message;
use tendermint::block::Height;
use tonic::Status;

use super::{blocks::consensus_address, decode, rpc_status, to_height, to_page, Engine};
use crate::comet::ValidatorEntry;

impl Engine {
    pub(super) async fn latest_validators(
        &self,
        request: &Bytes,
    ) -> Result<GetLatestValidatorSetResponse, Status> {
        let request: GetLatestValidatorSetRequest = decode(request)?;
        let found = self.validator_page(None, request.pagination).await?;
        Ok(GetLatestValidatorSetResponse {
            block_height: found.block_height,
            validators: found.validators,
            pagination: found.pagination,
        })
    }

    pub(super) async fn validators(
        &self,
        request: &Bytes,
    ) -> Result<GetValidatorSetByHeightResponse, Status> {
        let request: GetValidatorSetByHeightRequest = decode(request)?;
        self.validator_page(Some(to_height(request.height)?), request.pagination).await
    }

    async fn validator_page(
        &self,
        height: Option<Height>,
        page: Option<PageRequest>,
    ) -> Result<GetValidatorSetByHeightResponse, Status> {
        let (page, per_page) = to_page(page)?;
        let found = self.rpc.validators(height, page, per_page).await;
        let found = found.map_err(|error| rpc_status(&error))?;
        Ok(GetValidatorSetByHeightResponse {
            block_height: found.block_height,
            validators: found.validators.into_iter().map(to_validator).collect(),
            pagination: Some(PageResponse { next_key: Vec::new(), total: found.total }),
        })
    }
}

fn to_validator(entry: ValidatorEntry) -> Validator {
    // The chain's consensus keys are all ed25519.
    let key = ed25519::PubKey { key: entry.public_key };
    Validator {
        address: consensus_address(&entry.address),
        pub_key: Some(Any {
            type_url: "/cosmos.crypto.ed25519.PubKey".to_owned(),
            value: key.encode_to_vec(),
        }),
        voting_power: entry.voting_power,
        proposer_priority: entry.proposer_priority,
    }
}
