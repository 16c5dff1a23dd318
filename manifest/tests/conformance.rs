//! The public SDL's conformance data: manifests, group specs and versions must be equal, invalid
//! files refused with place and cause, doubtful ones accepted with a warning.
//!
//! Reads the folder that `SDL_FIXTURES` names. Without it the tests are skipped, saying so; in
//! CI that is a failure.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stoa_manifest::{group_specs_json, parse, Manifest, Options, Severity};

/// The data's folder, or `None` where the tests are skipped.
fn fixtures() -> Option<PathBuf> {
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    // A relative path is meant from the workspace, where the tests are started, and not from this
    // package, where they run.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match std::env::var_os("SDL_FIXTURES")
        .filter(|f| !f.is_empty())
        .map(|folder| workspace.join(folder))
    {
        Some(folder) if folder.join("hashes.tsv").is_file() => Some(folder),
        Some(folder) => panic!("SDL_FIXTURES={}: no hashes.tsv is there", folder.display()),
        None if in_ci => panic!("SDL_FIXTURES is not set; in CI it must name the conformance data"),
        None => {
            println!("skipped: SDL_FIXTURES does not name the conformance data");
            None
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&read(path)).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[test]
fn manifests_group_specs_and_versions_are_equal() {
    let Some(folder) = fixtures() else { return };
    let hashes = read(&folder.join("hashes.tsv"));
    let mut seen = 0;
    for line in hashes.lines() {
        let (name, version) = line.split_once('\t').unwrap();
        let text = read(&folder.join("input").join(name).join("input.yaml"));
        let parsed = parse(&text, &Options::default()).unwrap_or_else(|e| panic!("{name}: {e:#?}"));
        let expected = folder.join("output-fixtures").join(name);
        let canonical = parsed.manifest.canonical_json();
        let manifest: Value = serde_json::from_slice(&canonical).unwrap();
        assert_eq!(manifest, json(&expected.join("manifest.json")), "{name}: manifest");
        let specs = group_specs_json(&parsed.groups);
        assert_eq!(specs, json(&expected.join("group-specs.json")), "{name}: group specs");
        assert_eq!(hex::encode(parsed.manifest.version()), version, "{name}: version");
        assert_eq!(Manifest::from_canonical(&canonical).as_ref(), Ok(&parsed.manifest), "{name}");
        stoa_manifest::check_against_groups(&parsed.manifest, &parsed.groups).unwrap();
        assert_eq!(parsed.warnings, [], "{name}: a plain file gives no warning");
        seen += 1;
    }
    assert_eq!(seen, 15);
}

/// File, line, and what the message must speak of.
const INVALID: [(&str, u32, &str); 21] = [
    ("count-zero", 32, "deployment.web.akash.count: 0 is less than 1"),
    ("credentials-missing-host", 7, "credentials.host: `host` is missing"),
    ("empty-image", 6, "image: `image` is empty"),
    ("endpoint-not-used", 33, "endpoints.myendpoint: the endpoint is declared and never used"),
    ("invalid-endpoint-name", 5, "`Invalid-Name` is not an endpoint's name"),
    ("invalid-port", 8, "expose[0].port: 99999 is more than 65535"),
    ("invalid-protocol", 10, "expose[0].proto: `HTTP` is not a protocol"),
    ("ip-without-global", 14, "expose[0].to[0].ip: a leased IP"),
    ("missing-deployment", 3, "deployment: `deployment` is missing"),
    ("missing-image", 5, "services.web.image: `image` is missing"),
    ("missing-memory-size", 18, "memory.size: `size` is missing"),
    ("missing-pricing", 23, "placement.akash.pricing: `pricing` is missing"),
    ("missing-version", 3, "version: `version` is missing"),
    ("negative-cpu", 16, "cpu.units: CPU units: `-100m` is negative"),
    ("persistent-without-mount", 5, "persistent volume `data`"),
    ("port-too-high", 8, "expose[0].port: 99999 is more than 65535"),
    ("port-zero", 8, "expose[0].port: 0 is less than 1"),
    ("ram-persistent-true", 24, "class: storage of class ram cannot be persistent"),
    ("unknown-field", 4, "unknown_field: the key `unknown_field` is not known"),
    ("v2.1-reclamation-bad-window", 36, "reclamation.min_window: the duration must be over 0"),
    ("v2.1-tee-cpu-gpu-no-gpu", 15, "params.tee: cpu-gpu needs GPUs"),
];

#[test]
fn invalid_files_are_refused_with_place_and_cause() {
    let Some(folder) = fixtures() else { return };
    let files = files(&folder.join("input/invalid"));
    assert_eq!(files.len(), INVALID.len());
    for (path, (name, line, cause)) in files.iter().zip(INVALID) {
        assert_eq!(path.file_stem().unwrap(), name);
        let findings = parse(&read(path), &Options::default()).map(|_| ()).unwrap_err();
        let errors: Vec<_> = findings.iter().filter(|f| f.is_error()).collect();
        let first = errors.first().unwrap_or_else(|| panic!("{name}: no error"));
        assert!(first.to_string().contains(cause), "{name}: {first}");
        assert_eq!(first.line, line, "{name}: {first}");
        assert!(first.column >= 1, "{name}: {first}");
        assert!(first.help.is_some(), "{name}: says nothing of what would be right: {first}");
        assert_eq!(errors.len(), 1, "{name}: one mistake gives one error: {errors:#?}");
    }
}

const DOUBTFUL: [(&str, u32, &str); 6] = [
    ("email-too-short", 11, "shorter than the 5 characters that the published SDL schema"),
    ("invalid-denom", 26, "not among the denoms that the published SDL schema knows"),
    ("invalid-gpu-vendor", 26, "the published SDL schema knows the GPU vendor nvidia only"),
    ("invalid-version", 3, "the published SDL schema knows versions 2.0 and 2.1 only"),
    ("password-too-short", 10, "shorter than the 6 characters that the published SDL schema"),
    ("reclamation-compound-window", 37, "not of the form that the published SDL schema requires"),
];

#[test]
fn doubtful_files_are_accepted_with_a_warning() {
    let Some(folder) = fixtures() else { return };
    let files = files(&folder.join("input/schema-only-invalid"));
    assert_eq!(files.len(), DOUBTFUL.len());
    for (path, (name, line, rule)) in files.iter().zip(DOUBTFUL) {
        assert_eq!(path.file_stem().unwrap(), name);
        let parsed =
            parse(&read(path), &Options::default()).unwrap_or_else(|e| panic!("{name}: {e:#?}"));
        let [warning] = parsed.warnings.as_slice() else {
            panic!("{name}: one warning is due: {:#?}", parsed.warnings);
        };
        assert_eq!(warning.severity, Severity::Warning);
        assert!(warning.to_string().contains(rule), "{name}: {warning}");
        assert_eq!(warning.line, line, "{name}: {warning}");
    }
}
