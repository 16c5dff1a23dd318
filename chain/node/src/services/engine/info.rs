//! The engine's own facts.

use cosmos_sdk_proto::{
    cosmos::base::tendermint::v1beta1::{GetNodeInfoResponse, GetSyncingResponse, VersionInfo},
    tendermint::p2p::{DefaultNodeInfo, DefaultNodeInfoOther, ProtocolVersion},
};
use tonic::Status;

use super::{rpc_status, Engine};

/// The Cosmos line whose interfaces are served; explorers choose their behaviour by it.
const COSMOS_SDK_VERSION: &str = "v0.50.13";

impl Engine {
    pub(super) async fn node_info(&self) -> Result<GetNodeInfoResponse, Status> {
        let node = self.rpc.status().await.map_err(|error| rpc_status(&error))?.node_info;
        let info = DefaultNodeInfo {
            protocol_version: Some(ProtocolVersion {
                p2p: node.protocol_version.p2p,
                block: node.protocol_version.block,
                app: node.protocol_version.app,
            }),
            default_node_id: node.id.to_string(),
            listen_addr: node.listen_addr.to_string(),
            network: node.network.to_string(),
            version: node.version.to_string(),
            moniker: node.moniker.to_string(),
            other: Some(DefaultNodeInfoOther {
                tx_index: if node.other.tx_index == tendermint::node::info::TxIndexStatus::On {
                    "on".to_owned()
                } else {
                    "off".to_owned()
                },
                rpc_address: node.other.rpc_address,
            }),
            ..Default::default()
        };
        let version = VersionInfo {
            name: "stoa".to_owned(),
            app_name: "stoad".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cosmos_sdk_version: COSMOS_SDK_VERSION.to_owned(),
            ..Default::default()
        };
        Ok(GetNodeInfoResponse {
            default_node_info: Some(info),
            application_version: Some(version),
        })
    }

    pub(super) async fn syncing(&self) -> Result<GetSyncingResponse, Status> {
        let status = self.rpc.status().await.map_err(|error| rpc_status(&error))?;
        Ok(GetSyncingResponse { syncing: status.sync_info.catching_up })
    }
}
