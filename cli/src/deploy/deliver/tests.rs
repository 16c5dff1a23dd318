use std::{collections::BTreeMap, sync::Arc};

use stoa_proto::types::v1::DeploymentId;
use stoa_swarm::PIECE;

use super::*;
use crate::deploy::mock::{Break, Mock};

#[tokio::test]
async fn where_the_one_that_is_given_dies_half_way_another_is_given_everything() {
    let mut bytes = vec![0; 30 * PIECE as usize + 5];
    blake3::Hasher::new().update(b"given").finalize_xof().fill(&mut bytes);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image.tar");
    std::fs::write(&path, &bytes).unwrap();
    let image = blake3::hash(&bytes).to_hex().to_string();
    let files = BTreeMap::from([(image.clone(), path)]);
    let lacking = [Lacking { image, size: bytes.len() as u64, own: false }];
    let (giving, board) = (Giving::default(), Board::new());
    let id = DeploymentId { owner: "stoa1tenant".into(), dseq: 1 };
    let mut dying = Mock::of(&bytes, Break::DiesAfter(8 * PIECE)).await;
    let living = Mock::of(&bytes, Break::Never).await;
    let send = |provider: &'static str, gateway: Gateway| {
        let gift = Gift {
            id: &id,
            files: &files,
            giving: &giving,
            board: &board,
            group: provider,
            provider,
        };
        let (giving, lacking) = (&giving, &lacking);
        async move {
            let turn = giving.turn().await;
            assert!(matches!(turn, Turn::Mine(_)));
            let sent = gift.send(&turn, &gateway, lacking).await;
            if matches!(sent, Ok(true)) {
                giving.taken_by(provider);
            }
            sent
        }
    };
    let first = send("dying", dying.client().await);
    let second = send("living", living.client().await);
    let taker = Arc::clone(&dying.taker);
    let death = async {
        taker.dying.notified().await;
        assert_eq!(living.taker.came(), 0, "one is given at a time");
        dying.kill();
    };
    let (first, second, ()) = tokio::join!(first, second, death);
    let error = first.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    // Which `Way::go` tries again, whoever is given meanwhile.
    assert!(is_worth_repeating(&error, GRACE * 5));
    assert!(second.unwrap());
    assert_eq!(giving.holder().as_deref(), Some("living"));
    assert!(living.taker.holding.to_bytes().unwrap() == bytes);
}

#[tokio::test]
async fn a_provider_without_an_image_of_the_files_is_told_so() {
    let (giving, board, files) = (Giving::default(), Board::new(), BTreeMap::new());
    let id = DeploymentId { owner: "stoa1tenant".into(), dseq: 1 };
    let mock = Mock::of(b"x", Break::Never).await;
    let gift =
        Gift { id: &id, files: &files, giving: &giving, board: &board, group: "g", provider: "p" };
    let lacking = [Lacking { image: "ab".repeat(32), size: 1, own: true }];
    let error = gift.send_own(&mock.client().await, &lacking).await.unwrap_err();
    assert!(error.to_string().contains("which is not in the file"), "{error}");
}

#[test]
fn a_provider_that_lags_is_asked_again_and_one_that_refuses_is_not() {
    let refusal = |code: tonic::Code| {
        Error::from(stoa_client::Refusal {
            codespace: "gateway".into(),
            code: code as u32,
            message: String::new(),
            hash: None,
            height: None,
        })
    };
    let soon = Duration::from_secs(1);
    assert!(is_worth_repeating(&refusal(tonic::Code::Unauthenticated), soon));
    assert!(!is_worth_repeating(&refusal(tonic::Code::Unauthenticated), GRACE));
    assert!(!is_worth_repeating(&refusal(tonic::Code::InvalidArgument), soon));
    assert!(!is_worth_repeating(&refusal(tonic::Code::DataLoss), soon));
    let gone = Error::Unreachable { what: "x".into(), cause: "y".into() };
    assert!(is_worth_repeating(&gone, GRACE * 5));
}
