//! Around a program that stands in for CometBFT, so that these run without it.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{
    Binary, CometError, ConsensusPace, FileSettings, Launch, LogTarget, NodeKey, P2pSettings,
    Supervisor, ValidatorKey,
};
use crate::abci::Address;

/// Writes a script that can be run at once. A process that another test forks at this moment holds
/// the file open for writing until it becomes its own program, and no such file is run.
pub fn write_script(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    loop {
        match Command::new(path).arg("version").output() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => thread::yield_now(),
            ran => return drop(ran.unwrap()),
        }
    }
}

/// A script that answers `version` and runs `body` for `start`.
fn program(dir: &Path, version: &str, body: &str) -> PathBuf {
    let path = dir.join("cometbft");
    let script = format!("#!/bin/sh\nif [ $1 = version ]; then echo {version}; exit; fi\n{body}\n");
    write_script(&path, &script);
    path
}

fn launch(dir: &Path, body: &str) -> Launch {
    Launch {
        binary: Binary::find(Some(&program(dir, "0.38.25", body))).unwrap(),
        home: dir.to_owned(),
        proxy_app: Address::Unix(dir.join("abci.sock")),
        p2p: P2pSettings { rpc_laddr: Some("tcp://127.0.0.1:9".to_owned()), ..Default::default() },
        state_sync: None,
        log_level: None,
        log: LogTarget::File(dir.join("comet.log")),
    }
}

#[test]
fn only_the_line_that_is_spoken_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let found = Binary::find(Some(&program(dir.path(), "v0.38.2", ""))).unwrap();
    assert_eq!(found.version(), "v0.38.2");
    let error = Binary::find(Some(&program(dir.path(), "0.37.9", ""))).unwrap_err();
    assert!(matches!(error, CometError::Version { .. }));
    let error = Binary::find(Some(&dir.path().join("none"))).unwrap_err();
    assert!(error.to_string().contains("--cometbft"), "{error}");
}

#[test]
fn the_end_of_the_process_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (tell, told) = mpsc::channel();
    let launch = launch(dir.path(), "echo \"$@\"; exit 7");
    let _watch =
        Supervisor::start(&launch, move |status| tell.send(status).unwrap_or_default()).unwrap();
    let status = told.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(status.code(), Some(7));
    let log = fs::read_to_string(dir.path().join("comet.log")).unwrap();
    assert!(log.contains("start --home") && log.contains("--rpc.laddr tcp://127.0.0.1:9"), "{log}");
}

#[test]
fn a_stop_is_asked_for_before_it_is_forced() {
    let dir = tempfile::tempdir().unwrap();
    let (tell, told) = mpsc::channel();
    let body = "trap 'echo asked; exit 0' TERM\necho up\nwhile :; do sleep 0.05; done";
    let launch = launch(dir.path(), body);
    let watch =
        Supervisor::start(&launch, move |status| tell.send(status).unwrap_or_default()).unwrap();
    let log = dir.path().join("comet.log");
    while !fs::read_to_string(&log).unwrap().contains("up") {
        thread::sleep(Duration::from_millis(10));
    }
    watch.stop();
    assert!(told.try_recv().unwrap().success());
    assert!(fs::read_to_string(&log).unwrap().contains("asked"));
}

const CONFIG: &str = "\
# The name of the node
moniker = \"old\" # kept
[rpc]
# Where to listen
laddr = \"tcp://127.0.0.1:26657\"
[p2p]
laddr = \"tcp://0.0.0.0:26656\"
[consensus]
timeout_commit = \"1s\"
";

#[test]
fn edits_keep_comments_and_everything_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, CONFIG).unwrap();
    let mut settings = FileSettings::read(&path).unwrap();
    settings.set_moniker("new \"name\"");
    settings.set_pace(ConsensusPace { block_ms: 200 });
    let rpc = Some("tcp://127.0.0.1:1".to_owned());
    settings.set_p2p(&P2pSettings { rpc_laddr: rpc, ..Default::default() });
    settings.write(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    for kept in ["# The name of the node\n", "# kept", "# Where to listen", "0.0.0.0:26656"] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
    assert!(text.contains("timeout_commit = \"200ms\""), "{text}");
    assert_eq!(FileSettings::read(&path).unwrap().rpc_laddr(), Some("tcp://127.0.0.1:1"));
}

#[test]
fn keys_are_read_as_cometbft_shows_them() {
    // Made by `cometbft init`, and the id and address that it reports for them.
    let dir = tempfile::tempdir().unwrap();
    let validator = dir.path().join("validator.json");
    fs::write(
        &validator,
        r#"{"address": "6610F706CF0BFA4D0EBF402E1207B88D56122A17", "pub_key": {
        "type": "tendermint/PubKeyEd25519",
        "value": "c2jj6WNclllcJZ09MFOcQTj7h1/ztuwHUuws/ldd9f8="}}"#,
    )
    .unwrap();
    let key = ValidatorKey::read(&validator).unwrap();
    assert_eq!(key.address(), "6610F706CF0BFA4D0EBF402E1207B88D56122A17");
    assert_eq!(key.base64(), "c2jj6WNclllcJZ09MFOcQTj7h1/ztuwHUuws/ldd9f8=");

    let node = dir.path().join("node.json");
    fs::write(&node, r#"{"priv_key":{"type":"tendermint/PrivKeyEd25519","value":"c2VjcmV0"}}"#)
        .unwrap();
    let error = NodeKey::read(&node).unwrap_err().to_string();
    assert!(error.contains("64 bytes") && !error.contains("c2VjcmV0"), "{error}");
}
