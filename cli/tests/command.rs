//! The command as a user runs it: what stdout carries, and how it ends.

// Helpers of tests may fail as loudly as tests.
#![allow(clippy::unwrap_used)]

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1";

fn run_with(home: &Path, args: &[&str], stdin: &str, env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stoa"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STOA_")) {
        command.env_remove(name);
    }
    command.args(args).env("STOA_HOME", home).env("STOA_RPC", NOBODY).env("STOA_GRPC", NOBODY);
    command.envs(env.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn run(home: &Path, args: &[&str]) -> Output {
    run_with(home, args, "", &[("STOA_KEYRING_BACKEND", "test")])
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    assert_eq!(code(output), 0, "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

const FILE: &str = r#"version: "2.0"
services:
  web:
    image: ./web.tar
    expose: [{port: 80, to: [{global: true}]}]
profiles:
  compute:
    web: {resources: {cpu: {units: 100m}, memory: {size: 64Mi}, storage: {size: 128Mi}}}
  placement:
    here: {pricing: {web: {denom: ustoa, amount: 2}}}
deployment:
  web: {here: {profile: web, count: 1}}
"#;

#[test]
fn keys_from_mnemonic_to_deletion() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let added = json(&run(home, &["keys", "add", "alice", "-o", "json"]));
    let words = added["mnemonic"].as_str().unwrap().to_owned();
    assert_eq!(words.split(' ').count(), 24);
    let env = [("STOA_KEYRING_BACKEND", "test")];
    let again = run_with(home, &["keys", "recover", "bob", "-o", "json"], &words, &env);
    assert_eq!(json(&again)["address"], added["address"]);
    let listed = json(&run(home, &["keys", "list", "-o", "json"]));
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(listed[0].get("mnemonic").is_none());
    let shown = run(home, &["keys", "show", "alice", "--address"]);
    assert_eq!(stdout(&shown).trim(), added["address"].as_str().unwrap());
    assert_eq!(code(&run(home, &["keys", "show", "carol"])), 4);
    assert_eq!(code(&run(home, &["keys", "add", "alice"])), 1);
    // For good only when said so.
    assert_eq!(code(&run(home, &["keys", "delete", "bob"])), 2);
    assert_eq!(code(&run(home, &["keys", "delete", "bob", "--yes"])), 0);
    assert_eq!(code(&run(home, &["keys", "show", "bob"])), 4);
}

#[test]
fn encrypted_keys_want_their_passphrase() {
    let home = tempfile::tempdir().unwrap();
    let secret = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (right, wrong) = (secret("right", "correct horse\n"), secret("wrong", "battery staple\n"));
    let with = |args: &[&str], file: &str| {
        run_with(home.path(), args, "", &[("STOA_PASSPHRASE_FILE", file)])
    };
    assert_eq!(code(&with(&["keys", "add", "alice"], &right)), 0);
    let export = ["keys", "export", "alice", "--passphrase-file", &wrong];
    let refused = with(&export, &wrong);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("wrong passphrase"), "{}", stderr(&refused));
    let text = stdout(&with(&export, &right));
    assert!(text.starts_with("-----BEGIN STOA PRIVATE KEY-----"));
    let import = ["keys", "import", "bob", "-", "--passphrase-file", &wrong, "-o", "json"];
    let taken = run_with(home.path(), &import, &text, &[("STOA_PASSPHRASE_FILE", &right)]);
    let shown = json(&with(&["keys", "show", "alice", "-o", "json"], &wrong));
    assert_eq!(json(&taken)["address"], shown["address"]);
    // Without a terminal and without a file there is nobody to ask.
    let nobody = run_with(home.path(), &["keys", "export", "alice"], "", &[]);
    assert!(stderr(&nobody).contains("STOA_PASSPHRASE_FILE"), "{}", stderr(&nobody));
}

#[test]
fn a_token_is_made_without_any_network_and_is_what_was_asked_for() {
    use stoa_client::token::{Scope, Token};
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let tenant = json(&run(home, &["keys", "add", "alice", "-o", "json"]));
    let provider = stoa_client::Address::from([2; 20]).to_string();
    let make = |more: &[&str]| {
        let mut args = vec!["provider", "token", provider.as_str(), "--scope", "logs,status"];
        args.extend(more);
        run(home, &args)
    };
    let made = make(&["--ttl", "1h"]);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    let token = Token::read(stdout(&made).trim()).unwrap();
    let claims = token.unverified();
    assert_eq!(claims.issuer, tenant["address"].as_str().unwrap());
    assert_eq!((claims.audience.as_str(), claims.expires - claims.not_before), (&*provider, 3600));
    assert!(claims.scopes.has(Scope::Logs) && !claims.scopes.has(Scope::Shell));
    for wrong in [&["--ttl", "25h"][..], &["--ttl", "0s"], &["--scope", "all"]] {
        assert_eq!(code(&make(wrong)), 2, "{wrong:?}");
    }
}

#[test]
fn going_into_an_instance_fails_with_codes_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    run(home, &["keys", "add", "alice"]);
    // Told from whatever the command itself may end with.
    let shell = run(home, &["exec", "7", "web", "--", "true"]);
    assert_eq!(code(&shell), 125, "{}", stderr(&shell));
    assert_eq!(code(&run(home, &["restart", "7", "web"])), 6);
    assert_eq!(code(&run(home, &["events", "7"])), 6);
    let both_here = run(home, &["cp", "7", "./a", "./b"]);
    assert_eq!(code(&both_here), 2);
    assert!(stderr(&both_here).contains("web:/www/"), "{}", stderr(&both_here));
    assert_eq!(code(&run(home, &["cp", "7", "/no/such/file", "web:/"])), 1);
    for command in ["shell", "exec", "cp", "port-forward", "restart", "events"] {
        let completions = stdout(&run(home, &["completions", "bash"]));
        assert!(completions.contains(command), "{command}");
    }
}

#[test]
fn files_are_checked_without_any_network() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("app.yaml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, FILE).unwrap();
    // The image is looked for beside the file.
    let missing = run(home.path(), &["manifest", "check", path]);
    assert_eq!(code(&missing), 1);
    assert!(stderr(&missing).contains("app.yaml:4:12"), "{}", stderr(&missing));
    std::fs::write(home.path().join("web.tar"), b"image").unwrap();
    assert_eq!(code(&run(home.path(), &["manifest", "check", path])), 0);
    let version = stdout(&run(home.path(), &["manifest", "version", path]));
    assert_eq!(version.trim().len(), 64);
    let shown = json(&run(home.path(), &["manifest", "show", path, "-o", "json"]));
    assert_eq!(shown["version"].as_str().unwrap(), version.trim());
    let image = shown["manifest"][0]["services"][0]["image"].as_str().unwrap();
    assert_eq!(image, format!("blob:{}:5", blake3::hash(b"image").to_hex()));
    std::fs::write(&file, FILE.replace("count: 1", "count: 0")).unwrap();
    let wrong = run(home.path(), &["manifest", "check", path, "-o", "json"]);
    assert_eq!(code(&wrong), 1);
    let found: Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert_eq!(found["diagnostics"][0]["severity"], "error");
    assert_eq!(found["diagnostics"][0]["line"], 12);
}

#[test]
fn each_kind_of_failure_has_its_exit_code() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    assert_eq!(code(&run(home, &["nonsense"])), 2);
    assert_eq!(code(&run(home, &["version"])), 0);
    // No key to ask with.
    assert_eq!(code(&run(home, &["query", "balances"])), 1);
    assert_eq!(code(&run(home, &["keys", "add", "alice"])), 0);
    assert_eq!(code(&run(home, &["query", "balances", "nobody"])), 2);
    assert_eq!(code(&run(home, &["query", "balances"])), 6);
    let unreachable = run(home, &["query", "providers", "-o", "json"]);
    assert_eq!((code(&unreachable), stdout(&unreachable).as_str()), (6, ""));
    let said: Value = serde_json::from_slice(&unreachable.stderr).unwrap();
    assert_eq!(said["exit_code"], 6);
    assert_eq!(code(&run(home, &["deploy", "app.yaml", "--resume", "1"])), 2);
    assert_eq!(code(&run(home, &["--gas-price", "much", "query", "node"])), 1);
}

#[test]
fn configuration_is_written_once_and_read_again() {
    let home = tempfile::tempdir().unwrap();
    let init = ["config", "init", "--chain-id", "stoa-7", "--from", "alice"];
    assert_eq!(code(&run(home.path(), &init)), 0);
    assert_eq!(code(&run(home.path(), &init)), 1);
    let shown = json(&run(home.path(), &["config", "show", "-o", "json"]));
    assert_eq!(
        (shown["chain_id"].as_str(), shown["key"].as_str()),
        (Some("stoa-7"), Some("alice"))
    );
    // A flag comes before the file.
    let flag = ["config", "show", "-o", "json", "--chain-id", "stoa-8"];
    assert_eq!(json(&run(home.path(), &flag))["chain_id"], "stoa-8");
    std::fs::write(home.path().join("config.toml"), "chian_id = 'x'").unwrap();
    let wrong = run(home.path(), &["config", "show"]);
    assert_eq!(code(&wrong), 1);
    assert!(stderr(&wrong).contains("config.toml"), "{}", stderr(&wrong));
}

#[test]
fn completions_name_the_commands() {
    let home = tempfile::tempdir().unwrap();
    let script = stdout(&run(home.path(), &["completions", "bash"]));
    assert!(script.contains("deploy") && script.contains("market"));
}

/// An unsigned transaction of `account`, as --generate-only prints it.
fn unsigned(account: &str) -> String {
    use stoa_client::{
        proto::cosmos::bank::v1beta1::MsgSend,
        tx::{any, SignInput, Unsigned},
    };
    let send = MsgSend { from_address: account.into(), to_address: account.into(), amount: vec![] };
    let input = SignInput {
        chain_id: "stoa-7",
        account_number: 1,
        sequence: 2,
        gas: 100_000,
        fee: 250,
        fee_denom: "ustoa",
        memo: "rent",
        timeout_height: 9,
    };
    serde_json::to_string(&Unsigned::new(account, vec![any(&send)], &input).unwrap()).unwrap()
}

#[test]
fn members_of_a_threshold_account_sign_one_by_one() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).display().to_string();
    let home = home.path();
    for name in ["alice", "bob", "carol"] {
        json(&run(home, &["keys", "add", name, "-o", "json"]));
    }
    let add = ["keys", "add", "treasury", "--multisig", "alice,bob,carol", "--threshold", "2"];
    let treasury = json(&run(home, &[&add[..], &["-o", "json"]].concat()));
    assert_eq!(treasury["algorithm"], "multisig");
    assert_eq!(code(&run(home, &["keys", "export", "treasury"])), 1);
    // A member elsewhere is named by its public key; the account is the same.
    let bob = json(&run(home, &["keys", "show", "bob", "-o", "json"]));
    let members = format!("carol,secp256k1:{},alice", bob["public_key"].as_str().unwrap());
    let again = ["keys", "add", "same", "--multisig", &members, "--threshold", "2", "-o", "json"];
    assert_eq!(json(&run(home, &again))["address"], treasury["address"]);

    std::fs::write(at("tx.json"), unsigned(treasury["address"].as_str().unwrap())).unwrap();
    for name in ["alice", "carol"] {
        let signed = run(home, &["tx", "sign-doc", &at("tx.json"), "--from", name]);
        assert!(stderr(&signed).contains("cosmos-sdk/MsgSend"), "{}", stderr(&signed));
        std::fs::write(at(name), stdout(&signed)).unwrap();
    }
    let assemble = |signatures: &[&str]| {
        let files: Vec<String> = signatures.iter().map(|name| at(name)).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        run(home, &[&["tx", "multisign", &at("tx.json"), "treasury"][..], &files[..]].concat())
    };
    let few = assemble(&["alice"]);
    assert_eq!(code(&few), 1);
    assert!(stderr(&few).contains("2 are needed"), "{}", stderr(&few));
    // Whole, and only nobody is there to take it.
    assert_eq!(code(&assemble(&["carol", "alice"])), 6);
}

#[test]
fn an_operators_key_of_stoad_is_taken_in() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("operator.key");
    std::fs::write(&file, "07".repeat(32)).unwrap();
    let import = ["keys", "import", "operator", file.to_str().unwrap(), "-o", "json"];
    let taken = json(&run(home.path(), &import));
    let public = "02989c0b76cb563971fdc9bef31ec06c3560f3249d6ee9e5d83c57625596e05f6f";
    assert_eq!(taken["public_key"], public);
}
