//! Uploads of blobs, as a tenant makes them.

use std::ops::Range;

use stoa_client::proto::gateway::v1::{BlobChunk, BlobStatusResponse};
use stoa_swarm::bits::Bits;
use stoa_swarm::{Shape, PIECE};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::config::Size;
use crate::tests_support::{hashes_of, manifest, one_service_sdl};

const STEP: usize = PIECE as usize;
/// Pieces in one message.
const AT_ONCE: usize = 4;

impl Stage {
    /// What begins an upload.
    pub(super) fn named(&self) -> BlobChunk {
        BlobChunk { blob: Some(self.blob_request()), ..BlobChunk::default() }
    }

    fn hashes(&self) -> BlobChunk {
        BlobChunk { hashes: hashes_of(&self.image), ..BlobChunk::default() }
    }

    /// Some of the image's pieces.
    fn pieces(&self, pieces: Range<usize>) -> Vec<BlobChunk> {
        let end = self.image.len().min(pieces.end * STEP);
        let parts = self.image[pieces.start * STEP..end].chunks(AT_ONCE * STEP);
        let offset = |number: usize| ((pieces.start + number * AT_ONCE) * STEP) as u64;
        parts
            .enumerate()
            .map(|(number, data)| BlobChunk {
                offset: offset(number),
                data: data.to_vec(),
                ..BlobChunk::default()
            })
            .collect()
    }

    fn all(&self) -> usize {
        self.image.len().div_ceil(STEP)
    }

    async fn ready(&self) -> Client {
        let mut client = self.client().await;
        self.submit(&mut client, self.manifest.canonical_json()).await.unwrap();
        client
    }

    fn have(&self) -> u64 {
        let payloads = self.board.transfers().payloads(&self.deployment().text());
        payloads.iter().find(|payload| payload.kind == "blob").map_or(0, |payload| payload.have)
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path().join("b")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

async fn upload(
    client: &mut Client,
    chunks: impl IntoIterator<Item = BlobChunk>,
) -> Result<BlobStatusResponse, Status> {
    let chunks: Vec<BlobChunk> = chunks.into_iter().collect();
    client.upload_blob(futures::stream::iter(chunks)).await.map(|answer| answer.into_inner())
}

fn here(status: &BlobStatusResponse) -> Vec<u32> {
    let pieces = Shape::new(status.size).unwrap().pieces();
    Bits::from_bytes(pieces, &status.pieces).unwrap().iter().collect()
}

#[tokio::test]
async fn a_blob_is_taken_in_parts_and_only_where_the_manifest_names_it() {
    let stage = Stage::set().await;
    let mut client = stage.client().await;
    let early = client.blob_status(stage.blob_request()).await;
    refused(early, Code::FailedPrecondition, "before its blobs");
    stage.submit(&mut client, stage.manifest.canonical_json()).await.unwrap();
    let unknown = BlobStatusRequest { blob: "ab".repeat(32), ..stage.blob_request() };
    refused(client.blob_status(unknown).await, Code::NotFound, "not in the manifest");
    refused(upload(&mut client, [BlobChunk::default()]).await, Code::InvalidArgument, "must name");

    let first = [stage.named(), stage.hashes()].into_iter().chain(stage.pieces(0..16));
    let first = upload(&mut client, first).await.unwrap();
    assert_eq!((first.have, first.complete, first.has_hashes), (16 * PIECE, false, true));
    assert_eq!(here(&first), (0..16).collect::<Vec<_>>());
    assert_eq!(client.blob_status(stage.blob_request()).await.unwrap().into_inner(), first);
    let rest = [stage.named()].into_iter().chain(stage.pieces(16..stage.all()));
    assert!(upload(&mut client, rest).await.unwrap().complete);
    let done = client.blob_status(stage.blob_request()).await.unwrap().into_inner();
    assert!(done.complete && done.pieces.is_empty() && done.have == done.size, "{done:?}");
    let manifest = stage.manifest.canonical_json();
    assert!(stage.submit(&mut client, manifest).await.unwrap().missing_blobs.is_empty());
    let told = stage.board.transfers().payloads(&stage.deployment().text());
    let kinds: Vec<&str> = told.iter().map(|payload| payload.kind.as_str()).collect();
    assert_eq!(kinds, ["manifest", "blob"]);
    for payload in &told {
        assert!(payload.complete, "{payload:?}");
        let [from] = payload.sources.as_slice() else { panic!("{payload:?}") };
        assert_eq!((from.peer.as_str(), from.bytes), (tenant().as_str(), payload.size));
    }
    // Once more changes nothing.
    let again = [stage.named(), stage.hashes()].into_iter().chain(stage.pieces(0..4));
    assert!(upload(&mut client, again).await.unwrap().complete);
}

#[tokio::test]
async fn what_is_not_the_blob_is_refused_with_its_offset_and_what_was_right_is_kept() {
    let stage = Stage::set().await;
    let mut client = stage.ready().await;
    let early = [stage.named()].into_iter().chain(stage.pieces(0..4));
    refused(upload(&mut client, early).await, Code::FailedPrecondition, "send those first");
    let mut wrong = stage.hashes();
    wrong.hashes[64 * 5] ^= 1;
    let wrong = upload(&mut client, [stage.named(), wrong]).await;
    refused(wrong, Code::DataLoss, "hashes from byte 320 on are not those of blob");
    assert!(!client.blob_status(stage.blob_request()).await.unwrap().into_inner().has_hashes);

    let mut changed = stage.pieces(0..8);
    changed[1].data[2 * STEP] ^= 1;
    let wrong = [stage.named(), stage.hashes()].into_iter().chain(changed);
    let offset = format!("bytes from byte {} on are not those of blob", 6 * PIECE);
    refused(upload(&mut client, wrong).await, Code::DataLoss, &offset);
    let status = client.blob_status(stage.blob_request()).await.unwrap().into_inner();
    assert_eq!(here(&status), (0..6).collect::<Vec<_>>());
    let told = stage.board.transfers().payloads(&stage.deployment().text());
    assert_eq!(told[1].sources[0].bytes, 6 * PIECE);

    let mut shifted = stage.pieces(8..9);
    shifted[0].offset += 1;
    let wrong = [stage.named()].into_iter().chain(shifted);
    refused(upload(&mut client, wrong).await, Code::OutOfRange, "whole pieces of 65536 bytes");
    let both = BlobChunk { data: vec![1], ..stage.hashes() };
    let wrong = upload(&mut client, [stage.named(), both]).await;
    refused(wrong, Code::InvalidArgument, "send them in two");
}

#[tokio::test]
async fn an_upload_that_breaks_off_goes_on_with_what_is_missing() {
    let stage = Stage::set().await;
    let mut client = stage.ready().await;
    let mut changes = stage.board.transfers().changes();
    let (sender, chunks) = mpsc::channel(8);
    let mut breaking = client.clone();
    let call = tokio::spawn(async move { breaking.upload_blob(ReceiverStream::new(chunks)).await });
    let begin = [stage.named(), stage.hashes()].into_iter().chain(stage.pieces(20..24));
    for chunk in begin {
        sender.send(chunk).await.unwrap();
    }
    while stage.have() < 4 * PIECE {
        changes.changed().await.unwrap();
    }
    // The connection is gone: nobody said that it was the end.
    call.abort();
    let status = client.blob_status(stage.blob_request()).await.unwrap().into_inner();
    assert_eq!((here(&status), status.has_hashes), (vec![20, 21, 22, 23], true));
    let missing = stage.pieces(0..20).into_iter().chain(stage.pieces(24..stage.all()));
    let missing = [stage.named()].into_iter().chain(missing);
    assert!(upload(&mut client, missing).await.unwrap().complete);
    let told = stage.board.transfers().payloads(&stage.deployment().text());
    assert_eq!(told[1].sources[0].bytes, stage.image.len() as u64, "nothing came twice");
}

#[tokio::test]
async fn two_uploads_of_one_blob_at_a_time_help_each_other() {
    let stage = Stage::set().await;
    let mut client = stage.ready().await;
    let mut other = client.clone();
    let half = stage.all() / 2;
    let first = [stage.named(), stage.hashes()].into_iter().chain(stage.pieces(0..half));
    let second = [stage.named(), stage.hashes()].into_iter().chain(stage.pieces(half..stage.all()));
    let (first, second) = tokio::join!(upload(&mut client, first), upload(&mut other, second));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first.complete || second.complete);
    assert!(client.blob_status(stage.blob_request()).await.unwrap().into_inner().complete);
}

#[tokio::test]
async fn a_deployment_over_its_quota_is_refused_and_leaves_nothing() {
    let stage =
        Stage::set_whole(|config| config.storage.max_deployment_bytes = Size(1_000_000)).await;
    let mut client = stage.client().await;
    let manifest = stage.manifest.canonical_json();
    let over = stage.submit(&mut client, manifest).await;
    refused(over, Code::ResourceExhausted, "2500000 bytes; this provider takes at most 1000000");
    let named = upload(&mut client, [stage.named()]).await;
    refused(named, Code::FailedPrecondition, "before its blobs");
    assert_eq!(stage.files(), [""; 0]);
    assert_eq!(std::fs::read_dir(stage.dir.path().join("m")).unwrap().count(), 0);
    assert!(stage.board.transfers().payloads(&stage.deployment().text()).is_empty());
}

#[tokio::test]
async fn a_manifest_with_more_connections_than_a_data_plane_carries_is_refused() {
    let stage = Stage::set().await;
    let ports = (0..300).map(|n| format!("- {{port: {}, to: [{{service: web}}]}}", 1_000 + n));
    let ports = ports.collect::<Vec<_>>().join("\n      ");
    let few = one_service_sdl(&stage.manifest.blobs()[0].to_string());
    let wide = manifest(&few.replace("- {port: 8080, to: [{service: web}]}", &ports));
    stage.chain.change(|state| {
        let deployment = state.deployments.values_mut().next().unwrap();
        deployment.version = wide.version().to_vec();
        deployment.manifest_root = wide.root().as_bytes().to_vec();
    });
    let mut client = stage.client().await;
    let refusal = stage.submit(&mut client, wide.canonical_json()).await;
    refused(refusal, Code::FailedPrecondition, "service web of placement here");
    assert_eq!(std::fs::read_dir(stage.dir.path().join("m")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_image_for_another_provider_is_passed_on_only_as_far_as_the_quota_goes() {
    let stage =
        Stage::set_whole(|config| config.storage.max_deployment_bytes = Size(2_600_000)).await;
    let other = vec![7; 200_000];
    let foreign = Blob { root: blake3::hash(&other), bytes: 200_000 };
    let own = Blob { root: blake3::hash(&stage.image), bytes: stage.image.len() as u64 };
    let both = manifest(&two_groups_sdl(&own.to_string(), &foreign.to_string()));
    stage.chain.change(|state| {
        let deployment = state.deployments.values_mut().next().unwrap();
        deployment.version = both.version().to_vec();
        deployment.manifest_root = both.root().as_bytes().to_vec();
    });
    let mut client = stage.client().await;
    let missing = stage.submit(&mut client, both.canonical_json()).await.unwrap().missing_blobs;
    assert_eq!(missing.iter().map(|blob| blob.size).collect::<Vec<_>>(), [2_500_000, 200_000]);
    let blob = foreign.root.to_hex().to_string();
    let named = BlobStatusRequest { blob: blob.clone(), ..stage.blob_request() };
    let named = BlobChunk { blob: Some(named), ..BlobChunk::default() };
    let hashes = BlobChunk { hashes: hashes_of(&other), ..BlobChunk::default() };
    let over = upload(&mut client, [named, hashes]).await;
    refused(over, Code::ResourceExhausted, "send it to the provider whose group uses it");
    assert!(!stage.files().iter().any(|name| name.starts_with(&blob)), "{:?}", stage.files());
    // Its own is taken.
    let own = [stage.named(), stage.hashes()].into_iter().chain(stage.pieces(0..stage.all()));
    assert!(upload(&mut client, own).await.unwrap().complete);
}

#[tokio::test]
async fn a_store_that_is_full_refuses_and_keeps_nothing_of_the_blob() {
    let stage = Stage::set_whole(|config| config.storage.max_blob_bytes = Size(2_000_000)).await;
    let mut client = stage.ready().await;
    let over = [stage.named(), stage.hashes()].into_iter().chain(stage.pieces(0..4));
    let over = upload(&mut client, over).await;
    refused(over, Code::ResourceExhausted, "2500000 bytes are asked for and 2000000 of 2000000");
    assert_eq!(stage.files(), [""; 0]);
}

#[tokio::test]
async fn an_updates_files_are_taken_beside_those_that_run_and_not_beside_still_earlier_ones() {
    let stage =
        Stage::set_whole(|config| config.storage.max_deployment_bytes = Size(2_500_000)).await;
    let mut client = stage.ready().await;
    // A piece is enough to have all of it promised.
    let begun = [stage.named(), stage.hashes()].into_iter().chain(stage.pieces(0..1));
    upload(&mut client, begun).await.unwrap();
    let beside = vec![8; 2_500_000];
    let [named, hashes] = update(&stage, &mut client, &beside).await;
    upload(&mut client, [named, hashes]).await.unwrap();
    let next = vec![9; 200_000];
    let root = blake3::hash(&next).to_hex().to_string();
    let [named, hashes] = update(&stage, &mut client, &next).await;
    let over = upload(&mut client, [named.clone(), hashes.clone()]).await;
    refused(over, Code::ResourceExhausted, "5000000 of other files of its are still here");
    assert!(!stage.files().iter().any(|name| name.starts_with(&root)), "{:?}", stage.files());
    // As it goes when nothing names it any more.
    stage.blobs.remove(&blake3::hash(&stage.image).to_hex()).unwrap();
    upload(&mut client, [named, hashes]).await.unwrap();
}

/// Has the deployment updated to an image; the beginning of its upload.
async fn update(stage: &Stage, client: &mut Client, image: &[u8]) -> [BlobChunk; 2] {
    let blob = Blob { root: blake3::hash(image), bytes: image.len() as u64 };
    let updated = crate::tests_support::one_service_manifest(&blob.to_string());
    stage.chain.change(|state| {
        let deployment = state.deployments.values_mut().next().unwrap();
        deployment.version = updated.version().to_vec();
        deployment.manifest_root = updated.root().as_bytes().to_vec();
    });
    stage.submit(client, updated.canonical_json()).await.unwrap();
    let named = BlobStatusRequest { blob: blob.root.to_hex().to_string(), ..stage.blob_request() };
    let named = BlobChunk { blob: Some(named), ..BlobChunk::default() };
    [named, BlobChunk { hashes: hashes_of(image), ..BlobChunk::default() }]
}

/// The group that is leased here, and another.
fn two_groups_sdl(own: &str, other: &str) -> String {
    format!(
        r#"
version: "2.0"
services:
  web:
    image: "{own}"
    expose:
      - {{port: 8080, to: [{{service: web}}]}}
      - {{port: 80, to: [{{global: true}}]}}
  far:
    image: "{other}"
    expose: [{{port: 80, to: [{{global: true}}]}}]
profiles:
  compute:
    web: {{resources: {{cpu: {{units: 1}}, memory: {{size: 1Gi}}, storage: {{size: 1Gi}}}}}}
    far: {{resources: {{cpu: {{units: 1}}, memory: {{size: 1Gi}}, storage: {{size: 1Gi}}}}}}
  placement:
    here: {{pricing: {{web: {{denom: ustoa, amount: 1}}}}}}
    there: {{pricing: {{far: {{denom: ustoa, amount: 1}}}}}}
deployment:
  web: {{here: {{profile: web, count: 1}}}}
  far: {{there: {{profile: far, count: 1}}}}
"#
    )
}
