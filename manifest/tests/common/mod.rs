//! What the integration tests share.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::Path;

use stoa_manifest::{parse, Blob, Diagnostic, Options, Parsed};

/// One of the project's own SDL files.
pub fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Options under which `full.yaml` is accepted.
pub fn options() -> Options {
    let mut options = Options::default();
    let blob = Blob { root: blake3::hash(b"web"), bytes: 10_240 };
    options.blobs.insert("./images/web.tar".into(), blob);
    options
}

/// `full.yaml`, parsed.
pub fn full() -> Parsed {
    accepted(&file("full.yaml"))
}

/// `full.yaml` with one place changed, which must be there once.
pub fn edited(from: &str, to: &str) -> String {
    let text = file("full.yaml");
    assert_eq!(text.matches(from).count(), 1, "`{from}` is not there once");
    text.replace(from, to)
}

/// The result of a file that must be accepted.
pub fn accepted(text: &str) -> Parsed {
    parse(text, &options()).unwrap_or_else(|findings| panic!("{}", shown(&findings)))
}

/// The errors of a file that must be refused.
pub fn refused(text: &str) -> Vec<Diagnostic> {
    let findings = parse(text, &options()).map(|_| ()).unwrap_err();
    let errors: Vec<_> = findings.iter().filter(|f| f.is_error()).cloned().collect();
    assert!(!errors.is_empty(), "refused without an error: {}", shown(&findings));
    errors
}

pub fn shown(findings: &[Diagnostic]) -> String {
    findings.iter().map(|f| format!("{f}\n")).collect()
}
