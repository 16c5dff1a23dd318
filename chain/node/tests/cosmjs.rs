//! A real node, driven by CosmJS. What it does stands in `tests/cosmjs`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{path::Path, process::Command};

/// `scripts/cosmjs.sh` makes ready what this needs and names Node.js in `NODE`. Without it the
/// test says that it is skipped; with `CI=true` it fails.
#[test]
fn cosmjs_reads_signs_and_stakes_unmodified() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cosmjs");
    let Some(node) = std::env::var_os("NODE") else {
        assert!(std::env::var_os("CI").is_none(), "NODE is not set: scripts/cosmjs.sh sets it");
        eprintln!("skipped: NODE is not set; eval \"$(scripts/cosmjs.sh)\" sets it");
        return;
    };
    let output = Command::new(node)
        .arg("--test")
        .arg(scripts.join("test.mjs"))
        .env("STOAD", env!("CARGO_BIN_EXE_stoad"))
        .output()
        .unwrap();
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{errors}");
}
