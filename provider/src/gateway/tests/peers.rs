//! What other providers call, over real TLS.

use std::net::SocketAddr;

use async_trait::async_trait;
use stoa_client::proto::peer::v1::tunnels_client::TunnelsClient;
use stoa_client::proto::peer::v1::EndpointsRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::chain::ChainReads as _;
use crate::gateway::{Place, ProviderCaller, RawService};
use crate::peers::Peers;

const ECHO: &[u8] = b"stoa-echo/1";

/// Sends back who calls and what is sent.
pub(super) struct Echo;

#[async_trait]
impl RawService for Echo {
    fn alpn(&self) -> &'static [u8] {
        ECHO
    }

    async fn serve(
        &self,
        mut stream: TlsStream<TcpStream>,
        caller: ProviderCaller,
        _: SocketAddr,
        _: Place,
    ) {
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text).await;
        let _ = stream.write_all(format!("{} says {text}", caller.address).as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

/// Another provider with a lease of the same deployment, as its daemon has it.
pub(super) struct Other {
    pub(super) address: String,
    pub(super) peers: Peers,
    pub(super) root: Identity,
}

impl Other {
    pub(super) fn joins(stage: &Stage) -> Self {
        let address = Address::from([8; 20]).to_string();
        let root = provider_root(&address, 30).unwrap();
        let record = Provider {
            owner: address.clone(),
            host_uri: "https://127.0.0.1:1".into(),
            root_certificate: root.certificate().to_vec(),
            ..Provider::default()
        };
        let mut lease = lease_view(&order(1)).lease;
        lease.id.as_mut().unwrap().provider.clone_from(&address);
        stage.chain.change(|state| {
            state.other_leases.push(lease);
            state.other_providers.insert(address.clone(), record);
            state.other_providers.insert(me(), stage.record.clone());
        });
        let peers = Peers::new(stage.chain.clone(), &address, root.clone());
        Self { address, peers, root }
    }

    async fn endpoints(&self, stage: &Stage) -> Result<Vec<String>, Status> {
        let channel = self.peers.channel(&me()).await.unwrap();
        let request = EndpointsRequest { deployment: Some(stage.deployment()) };
        let answer = TunnelsClient::new(channel).endpoints(request).await?;
        Ok(answer.into_inner().endpoints)
    }

    async fn echo(&self) -> String {
        let mut stream = self.peers.stream(&me(), ECHO).await.unwrap();
        let mut text = String::new();
        // A refusal may come before, between or after these.
        let _ = stream.write_all(b"hello").await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_string(&mut text).await;
        text
    }
}

#[tokio::test]
async fn providers_of_one_deployment_know_each_other_by_their_roots_on_chain() {
    let stage = Stage::set().await;
    let other = Other::joins(&stage);
    assert_eq!(other.endpoints(&stage).await.unwrap(), ["provider.example:8444"]);
    assert_eq!(other.echo().await, format!("{} says hello", other.address));
    let id = stage.deployment();
    let known = other.peers.of_deployment(&id).await.unwrap();
    assert_eq!(known.iter().map(|peer| peer.provider()).collect::<Vec<_>>(), [me()]);

    // Its lease is over.
    stage.chain.change(|state| state.other_leases.clear());
    let refusal = other.endpoints(&stage).await;
    refused(refusal, Code::PermissionDenied, "do not both have a live lease");
}

#[tokio::test]
async fn a_provider_with_another_root_than_the_chains_gets_nothing() {
    let stage = Stage::set().await;
    let other = Other::joins(&stage);
    stage.chain.change(|state| {
        let stranger = provider_root(&other.address, 30).unwrap();
        let record = state.other_providers.get_mut(&other.address).unwrap();
        record.root_certificate = stranger.certificate().to_vec();
    });
    refused(other.endpoints(&stage).await, Code::Unauthenticated, "another root");
    assert_eq!(other.echo().await, "");

    // A tenant is no provider.
    let channel = stoa_client::gateway::channel(&stage.record, Some(&stage.tenant)).await.unwrap();
    let request = EndpointsRequest { deployment: Some(stage.deployment()) };
    let answer = TunnelsClient::new(channel).endpoints(request).await;
    refused(answer, Code::Unauthenticated, "for providers");

    // And one that was known before does not stay so.
    let record = stage.chain.other_provider(&other.address).await.unwrap();
    stage.chain.change(|state| {
        let mut moved = record.clone();
        moved.earlier_root = moved.root_certificate.clone();
        moved.earlier_root_until = 1;
        state.other_providers.insert(other.address.clone(), moved);
    });
    refused(other.endpoints(&stage).await, Code::Unauthenticated, "another root");
}
