//! A home is broken in one way at a time, and the doctor says so.

use std::{fs, os::unix::fs::PermissionsExt};

use super::{super::args::CometArgs, super::args::Output, examine, DoctorArgs, Finding, Grade};
use crate::{comet::tests::write_script, home::Home};

/// A home with what the checks look at; CometBFT is a script that tells its version.
fn healthy(dir: &std::path::Path) -> (Home, DoctorArgs) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let home = Home::new(dir).unwrap();
    fs::create_dir_all(home.config_dir()).unwrap();
    fs::create_dir_all(home.data_dir()).unwrap();
    let settings = "[app]\nmin_gas_prices = \"0.0025ustoa\"\n[grpc]\nladdr = \"\"\n\
                    [rest]\naddress = \"\"\n[metrics]\nladdr = \"\"\n";
    fs::write(home.stoad_config(), settings).unwrap();
    fs::write(home.comet_config(), "[rpc]\nladdr = \"tcp://127.0.0.1:1\"\n").unwrap();
    let time = time::OffsetDateTime::UNIX_EPOCH;
    let mut document =
        stoa_genesis::Document::new("stoa-doctor", time, stoa_genesis::Preset::Devnet);
    document.validators.clear();
    fs::write(home.genesis(), document.to_json().unwrap()).unwrap();
    for key in [home.node_key(), home.validator_key(), home.operator_key()] {
        fs::write(&key, "secret").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::write(home.validator_state(), "{\"height\":\"7\",\"round\":0,\"step\":3}").unwrap();
    let comet = dir.join("cometbft");
    write_script(&comet, "#!/bin/sh\necho 0.38.25\n");
    let comet = CometArgs { cometbft: Some(comet) };
    (home, DoctorArgs { output: Output::Json, comet })
}

fn find(findings: &[Finding], check: &str) -> Finding {
    findings.iter().find(|finding| finding.check == check).cloned().unwrap()
}

#[test]
fn a_whole_home_has_nothing_to_mend() {
    let dir = tempfile::tempdir().unwrap();
    let (home, args) = healthy(dir.path());
    let findings = examine(&home, &args).unwrap();
    let bad: Vec<_> = findings
        .iter()
        // The machine of a test may have no time service and little disk.
        .filter(|finding| !["clock", "disk", "open files", "ports"].contains(&finding.check))
        .filter(|finding| finding.grade != Grade::Ok)
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
    assert!(find(&findings, "signer").what.contains("height 7"));
}

#[test]
fn each_defect_is_named_with_its_remedy() {
    type Break = fn(&Home);
    let defects: [(&str, Grade, Break); 8] = [
        ("home", Grade::Fail, |home| fs::remove_file(home.node_key()).unwrap()),
        ("secrets", Grade::Fail, |home| {
            fs::set_permissions(home.operator_key(), fs::Permissions::from_mode(0o644)).unwrap();
        }),
        ("stoad.toml", Grade::Fail, |home| fs::write(home.stoad_config(), "[typo]").unwrap()),
        ("stoad.toml", Grade::Warn, |home| fs::write(home.stoad_config(), "").unwrap()),
        ("config.toml", Grade::Fail, |home| fs::write(home.comet_config(), "").unwrap()),
        ("genesis", Grade::Fail, |home| fs::write(home.genesis(), "{}").unwrap()),
        ("signer", Grade::Fail, |home| {
            fs::remove_file(home.validator_state()).unwrap();
            fs::create_dir(home.database()).unwrap();
        }),
        ("upgrade", Grade::Warn, |home| {
            fs::write(home.upgrade_info(), "{\"name\":\"v2\",\"height\":9}").unwrap();
        }),
    ];
    for (check, grade, defect) in defects {
        let dir = tempfile::tempdir().unwrap();
        let (home, args) = healthy(dir.path());
        defect(&home);
        let found = find(&examine(&home, &args).unwrap(), check);
        assert_eq!(found.grade, grade, "{check}: {found:?}");
        assert!(!found.remedy.is_empty(), "{found:?}");
    }
}

#[test]
fn a_missing_engine_and_a_taken_port_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (home, mut args) = healthy(dir.path());
    args.comet.cometbft = Some(dir.path().join("none"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    fs::write(home.stoad_config(), format!("[grpc]\nladdr = \"{address}\"\n")).unwrap();
    let findings = examine(&home, &args).unwrap();
    assert_eq!(find(&findings, "cometbft").grade, Grade::Fail);
    let ports = find(&findings, "ports");
    assert!(ports.grade == Grade::Fail && ports.what.contains("grpc"), "{ports:?}");
}
