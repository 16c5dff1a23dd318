//! What a tenant uploads to one provider, at the others.

use stoa_client::gateway::connect;
use stoa_client::proto::gateway::v1::gateway_client::GatewayClient;
use stoa_client::proto::gateway::v1::{BlobChunk, BlobStatusRequest, SubmitManifestRequest};
use stoa_client::proto::types::v1::DeploymentId;
use stoa_client::tls::tenant as tenant_certificate;
use stoa_swarm::PIECE;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::*;
use crate::chain::ChainReads as _;
use crate::tests_support::hashes_of;

impl Market {
    /// The tenant's connection to a provider of its deployment.
    async fn tenant_at(&self, site: &Site) -> GatewayClient<Channel> {
        let certificate = tenant_certificate(&tenant(), 30).unwrap();
        self.chain.change(|state| {
            state.certificates.push((tenant(), certificate.certificate().to_vec()));
            state.leases.insert(site.lease.name.clone(), site.lease.lease.clone());
            state.deployments.insert(self.deployment(), site.lease.deployment.clone());
            let mut matched = order(1);
            matched.spec = Some(site.lease.spec.clone());
            state.orders.insert(matched.id.clone().unwrap().text(), matched);
        });
        let record = self.chain.other_provider(&site.address).await.unwrap();
        connect(&record, Some(&certificate)).await.unwrap()
    }
}

impl Site {
    /// Waits until so many bytes of the blob are here.
    async fn has(&self, market: &Market, bytes: u64) {
        let mut changes = self.board.transfers().changes();
        let enough = async {
            loop {
                let payloads = self.board.transfers().payloads(&market.deployment());
                if payloads.iter().any(|p| p.kind == "blob" && p.have >= bytes) {
                    return;
                }
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(LONG, enough).await.unwrap_or_else(|_| {
            let deployment = market.deployment();
            panic!("{:?} {:?}", self.swarm.progress(&deployment), self.swarm.peers(&deployment))
        });
    }
}

#[tokio::test]
async fn what_is_uploaded_to_one_provider_is_at_the_others_while_the_upload_goes_on() {
    let market = Market::open();
    let (a, b, c) = (market.site(51).await, market.site(52).await, market.site(53).await);
    let mut client = market.tenant_at(&a).await;
    let deployment = Some(DeploymentId { owner: tenant(), dseq: 1 });
    let manifest = market.manifest.canonical_json();
    let request = SubmitManifestRequest { deployment: deployment.clone(), manifest };
    client.submit_manifest(request).await.unwrap();

    let (sender, chunks) = mpsc::channel(1);
    let upload = tokio::spawn(async move { client.upload_blob(ReceiverStream::new(chunks)).await });
    let blob = market.blob.root.to_hex().to_string();
    let named = Some(BlobStatusRequest { deployment, blob });
    sender.send(BlobChunk { blob: named, ..BlobChunk::default() }).await.unwrap();
    let hashes = hashes_of(&market.image);
    sender.send(BlobChunk { hashes, ..BlobChunk::default() }).await.unwrap();
    let mut offset = 0;
    for part in market.image.chunks(8 * PIECE as usize) {
        let chunk = BlobChunk { offset, data: part.to_vec(), ..BlobChunk::default() };
        sender.send(chunk).await.unwrap();
        offset += part.len() as u64;
        // Each part is everywhere before the next leaves the tenant.
        b.has(&market, offset).await;
        c.has(&market, offset).await;
    }
    drop(sender);
    assert!(upload.await.unwrap().unwrap().into_inner().complete);
    for site in [&a, &b, &c] {
        site.complete(&market).await;
    }
    // One copy of everything came from the tenant, and to one provider.
    let of_tenant = |site: &Site| {
        let payloads = site.board.transfers().payloads(&market.deployment());
        let blob = payloads.into_iter().find(|payload| payload.kind == "blob").unwrap();
        let from = blob.sources.iter().find(|source| source.peer == tenant());
        from.map_or(0, |source| source.bytes)
    };
    assert_eq!([&a, &b, &c].map(of_tenant), [market.blob.bytes, 0, 0]);
    let sent = a.swarm.counters().bytes_sent() + b.swarm.counters().bytes_sent();
    assert!(sent >= market.blob.bytes);
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_finished_by_peers_that_have_the_rest() {
    let market = Market::open();
    let (a, b) = (market.blind_site(61).await, market.site(62).await);
    // B has everything, as the provider before A had.
    market.give(&b);
    let mut begun = a.blobs.begin(&market.blob, &market.deployment()).unwrap().unwrap();
    begun.hashes(0, &hashes_of(&market.image)).unwrap();
    begun.push(0, &market.image[..8 * PIECE as usize]).unwrap();
    drop(begun);
    a.see(true);
    a.complete(&market).await;
    let received = a.swarm.counters().bytes_received();
    let manifest = market.manifest.canonical_json().len() as u64;
    assert_eq!(received, market.blob.bytes - 8 * PIECE + manifest, "nothing came twice");
}
