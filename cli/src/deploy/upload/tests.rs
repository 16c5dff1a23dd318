use std::{path::PathBuf, sync::atomic::Ordering};

use stoa_swarm::{Holding, PIECE};

use super::*;
use crate::deploy::mock::{Break, Mock};

/// 40 pieces, the last of them short.
const SIZE: usize = 39 * PIECE as usize + 1234;

fn content() -> Vec<u8> {
    let mut bytes = vec![0; SIZE];
    blake3::Hasher::new().update(b"image").finalize_xof().fill(&mut bytes);
    bytes
}

struct Files {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

fn file(bytes: &[u8]) -> Files {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image.tar");
    std::fs::write(&path, bytes).unwrap();
    Files { path, _dir: dir }
}

async fn upload(mock: &Mock, path: &Path) -> Result<Progress, Error> {
    let root = mock.taker.holding.root().to_hex().to_string();
    let deployment = DeploymentId { owner: "stoa1tenant".into(), dseq: 1 };
    let last = Mutex::new(Progress::default());
    let told = |progress| *last.lock().unwrap() = progress;
    let size = mock.taker.holding.shape().size();
    blob(&mock.client().await, &deployment, &root, size, path, told).await?;
    Ok(last.into_inner().unwrap())
}

#[tokio::test]
async fn hashes_go_first_and_nothing_is_sent_that_is_there() {
    let bytes = content();
    let (mock, file) = (Mock::of(&bytes, Break::Never).await, file(&bytes));
    // From other providers: a hole is between them.
    let source = Holding::of_bytes(bytes.clone()).unwrap();
    for piece in [0, 3, 4, 39] {
        mock.taker.holding.accept(piece, &source.encode(piece).unwrap()).unwrap();
    }
    let done = upload(&mock, &file.path).await.unwrap();
    assert_eq!(done, Progress { there: SIZE as u64, sent: SIZE as u64 });
    assert!(mock.taker.holding.to_bytes().unwrap() == bytes);
    assert_eq!(mock.taker.came(), 36 * PIECE);
    let hashes = mock.taker.hashes.load(Ordering::SeqCst);
    assert_eq!(hashes, source.shape().outboard_bytes());
    // It is there: nothing goes.
    upload(&mock, &file.path).await.unwrap();
    assert_eq!(mock.taker.came(), 36 * PIECE);
}

#[tokio::test]
async fn a_call_that_ends_early_is_followed_by_one_with_the_rest() {
    let bytes = content();
    let (mock, file) = (Mock::of(&bytes, Break::After(8 * PIECE)).await, file(&bytes));
    upload(&mock, &file.path).await.unwrap();
    assert!(mock.taker.holding.to_bytes().unwrap() == bytes);
    let hashes = mock.taker.hashes.load(Ordering::SeqCst);
    assert_eq!(hashes, mock.taker.holding.shape().outboard_bytes());
    assert_eq!(mock.taker.came(), SIZE as u64);
}

#[tokio::test]
async fn a_file_that_was_changed_is_found_out_before_anything_is_sent() {
    let bytes = content();
    let mock = Mock::of(&bytes, Break::Never).await;
    let mut changed = bytes.clone();
    changed[SIZE / 2] ^= 1;
    for (other, words) in [
        (&changed[..], "is not the image that was deployed: its BLAKE3 hash is"),
        (&bytes[1..], "put the old file back"),
    ] {
        let error = upload(&mock, &file(other).path).await.unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains(words)), "{error}");
    }
    assert_eq!((mock.taker.came(), mock.taker.hashes.load(Ordering::SeqCst)), (0, 0));
}

#[test]
fn what_comes_from_others_meanwhile_is_left_out() {
    let shape = Shape::new(SIZE as u64).unwrap();
    let status = |pieces: &[u32]| {
        let mut here = Bits::none(shape.pieces());
        for piece in pieces {
            here.set(*piece);
        }
        let have = pieces.len() as u64 * PIECE;
        BlobStatusResponse { pieces: here.to_bytes(), have, ..BlobStatusResponse::default() }
    };
    let shared = Shared::new(shape, &status(&[1]));
    assert_eq!(shared.next(0, 4), Some((0, 1)));
    assert_eq!(shared.next(1, 4), Some((2, 4)));
    shared.learn(&status(&[0, 1, 7, 9]));
    assert_eq!(shared.next(6, 4), Some((6, 1)));
    assert_eq!(shared.next(7, 4), Some((8, 1)));
    assert_eq!(shared.progress(), Progress { there: 4 * PIECE, sent: 10 * PIECE });
    shared.learn(&BlobStatusResponse { complete: true, ..status(&[]) });
    assert_eq!(shared.next(9, 4), None);
    assert_eq!(shared.progress().sent, SIZE as u64);
}
