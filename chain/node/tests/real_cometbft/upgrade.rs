//! An upgrade, rehearsed: the old program halts at the height, the new one migrates and goes on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{json, Value};
use stoa_chain::types::Address;

use crate::{
    node::{balance, engine_lives, include, Node, CHAIN},
    wallet::Wallet,
};

const PLAN: &str = "rehearsal-2";

/// Exit code of a node that needs another program.
const NEEDS_OTHER: i32 = 3;

/// A chain with a plan for a height.
fn planned(wallet: &Wallet, height: u64) -> Node {
    let node = Node::bare();
    node.init();
    node.begin_chain(wallet, |document| {
        document["app_state"]["upgrade"]["plan"] =
            json!({ "name": PLAN, "height": height, "info": "https://example.org/rehearsal" });
    });
    node
}

fn play_new_program(node: &mut Node) {
    node.env.push(("STOAD_REHEARSED_UPGRADE", PLAN.to_owned()));
}

/// The record that the rehearsed migration leaves: the height at which it ran.
async fn migrated_at(node: &Node) -> Option<u64> {
    let answer = node.call("abci_query?path=\"/store/key\"&data=0x7f72").await;
    let value = answer["result"]["response"]["value"].as_str()?.to_owned();
    use base64::{engine::general_purpose::STANDARD, Engine as _};
    Some(u64::from_le_bytes(STANDARD.decode(value).unwrap().try_into().ok()?))
}

fn halted_at(node: &Node) -> u64 {
    node.status()["state"]["height"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_program_halts_at_the_height_and_the_new_one_goes_on() {
    let mut wallet = Wallet::new(CHAIN, 6);
    let mut node = planned(&wallet, 7);
    // The new program is not the one for the blocks before.
    let old = node.env.clone();
    play_new_program(&mut node);
    assert_eq!(node.run_to_end().code(), Some(NEEDS_OTHER));
    assert!(node.log().contains("has not come"), "{}", node.log());

    node.env.clone_from(&old);
    for _ in 0..2 {
        let status = node.run_to_end();
        assert_eq!(status.code(), Some(NEEDS_OTHER), "{}", node.log());
        assert_eq!(halted_at(&node), 6);
        assert!(!engine_lives(node.home.path()));
    }
    let line = format!("UPGRADE \"{PLAN}\" NEEDED at height 7: https://example.org/rehearsal");
    assert_eq!(node.log().matches(&line).count(), 2, "{}", node.log());
    let info = fs::read(node.home.path().join("data/upgrade-info.json")).unwrap();
    let info: Value = serde_json::from_slice(&info).unwrap();
    assert_eq!((&info["name"], &info["height"]), (&json!(PLAN), &json!(7)));

    play_new_program(&mut node);
    node.start();
    node.wait_for_height(9);
    assert_eq!(migrated_at(&node).await, Some(7));
    let channel = node.channel().await;
    include(&channel, wallet.send(Address::new([9; 20]), 5)).await;
    node.kill();
    node.start();
    node.wait_for_height(11);
    node.stop();

    node.env = old;
    assert_eq!(node.run_to_end().code(), Some(NEEDS_OTHER), "there is no way back");
    assert!(node.log().contains("the state is of version 2"), "{}", node.log());
}

/// A home whose chain has halted before height 9, as the program of state version 1 left it.
fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state-v1.tar.zst")
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_the_older_version_is_migrated_and_goes_on() {
    let mut node = Node::bare();
    let packed = zstd::decode_all(fs::File::open(fixture()).unwrap()).unwrap();
    tar::Archive::new(packed.as_slice()).unpack(node.home.path()).unwrap();
    assert_eq!(halted_at(&node), 8);
    assert_eq!(node.run_to_end().code(), Some(NEEDS_OTHER), "{}", node.log());
    play_new_program(&mut node);
    node.start();
    node.wait_for_height(10);
    assert_eq!(migrated_at(&node).await, Some(9));
    let channel = node.channel().await;
    assert_eq!(balance(&channel, Address::new([9; 20])).await, "12");
    let mut wallet = Wallet::new(CHAIN, 8);
    // Two were sent before the upgrade.
    (0..2).for_each(|_| drop(wallet.send(Address::new([9; 20]), 1)));
    include(&channel, wallet.send(Address::new([9; 20]), 30)).await;
    assert_eq!(balance(&channel, Address::new([9; 20])).await, "42");
    node.stop();
}

/// Makes the fixture anew, with this program as the old one: only where state version 1 itself
/// is not yet in use anywhere.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the fixture"]
async fn make_the_fixture() {
    let mut wallet = Wallet::new(CHAIN, 8);
    let mut node = planned(&wallet, 9);
    // Slow enough for two sends before the height.
    node.configure("config.toml", "timeout_commit = \"200ms\"", "timeout_commit = \"1s\"");
    node.start();
    node.wait_for_height(1);
    let channel = node.channel().await;
    include(&channel, wallet.send(Address::new([9; 20]), 5)).await;
    include(&channel, wallet.send(Address::new([9; 20]), 7)).await;
    assert_eq!(node.wait_for_end().code(), Some(NEEDS_OTHER));
    assert_eq!(halted_at(&node), 8);
    let left =
        ["stoad.log", "comet.log", "data/abci.sock", "data/upgrade-info.json", "data/snapshots"];
    for left in left {
        let path = node.home.path().join(left);
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all(".", node.home.path()).unwrap();
    let packed = zstd::encode_all(archive.into_inner().unwrap().as_slice(), 19).unwrap();
    assert!(packed.len() < 200 << 10, "{} bytes", packed.len());
    fs::create_dir_all(fixture().parent().unwrap()).unwrap();
    fs::write(fixture(), packed).unwrap();
}
