//! Volumes that begin with content shipped with the deployment: what the file says, what is
//! refused, and that nothing changes for files without.

#![allow(clippy::unwrap_used)]

mod common;

use common::{file, shown};
use stoa_manifest::{
    check_against_groups, data_paths, image_paths, parse, Blob, CanonicalError, Diagnostic,
    Manifest, Options, Parsed,
};

const MIB: u64 = 1 << 20;

fn blob(name: &str, bytes: u64) -> Blob {
    Blob { root: blake3::hash(name.as_bytes()), bytes }
}

fn options() -> Options {
    let mut options = Options::default();
    options.blobs.insert("./web.tar".into(), blob("web", 10_240));
    options.bundles.insert("./seed.tar".into(), blob("seed", 200 * MIB));
    options.bundles.insert("./site".into(), blob("site", 20_480));
    options
}

fn accepted(text: &str) -> Parsed {
    parse(text, &options()).unwrap_or_else(|findings| panic!("{}", shown(&findings)))
}

fn first_error(text: &str, options: &Options) -> Diagnostic {
    let findings = parse(text, options).unwrap_err();
    findings.into_iter().find(Diagnostic::is_error).unwrap()
}

fn edited(from: &str, to: &str) -> String {
    let text = file("data.yaml");
    assert_eq!(text.matches(from).count(), 1, "`{from}` is not there once");
    text.replace(from, to)
}

#[test]
fn a_volumes_content_stands_in_the_canonical_form() {
    let parsed = accepted(&file("data.yaml"));
    assert_eq!(parsed.warnings, []);
    let canonical = String::from_utf8(parsed.manifest.canonical_json()).unwrap();
    assert_eq!(canonical, file("data.canonical.json").trim_end());
    let back = Manifest::from_canonical(canonical.as_bytes()).unwrap();
    assert_eq!(back, parsed.manifest);
    check_against_groups(&back, &parsed.groups).unwrap();
}

#[test]
fn everything_that_is_shipped_is_listed_once() {
    let parsed = accepted(&file("data.yaml"));
    let (seed, site) = (blob("seed", 200 * MIB), blob("site", 20_480));
    let web = blob("web", 10_240);
    assert_eq!(parsed.manifest.blobs(), [seed, web, site]);
    let group = &parsed.manifest.groups[0];
    assert_eq!(group.blobs(), parsed.manifest.blobs());
    assert_eq!(group.services[1].blobs(), [web, seed, site]);
    let bundles: Vec<_> =
        group.services[1].bundles().map(|(mount, blob)| (mount.name.as_str(), blob)).collect();
    assert_eq!(bundles, [("seed", seed), ("site", site)]);
}

#[test]
fn a_file_names_what_is_to_be_read_for_it() {
    let text = file("data.yaml");
    assert_eq!(data_paths(&text), [("./seed.tar".into(), 9, 44), ("./site".into(), 18, 52)]);
    assert_eq!(image_paths(&text), [("./web.tar".into(), 14, 12)]);
    assert_eq!(data_paths(&file("full.yaml")), []);
    assert_eq!(data_paths("services: ["), []);
    assert_eq!(data_paths("services: {a: {params: {storage: [1]}}, b: {params: 3}}"), []);
}

#[test]
fn without_data_the_form_is_as_it_was() {
    let parsed = accepted(
        &file("data.yaml").replace(", data: ./seed.tar", "").replace(", data: ./site", ""),
    );
    let canonical = String::from_utf8(parsed.manifest.canonical_json()).unwrap();
    let mount = r#"{"mount":"/var/lib/data","name":"data","readOnly":false}"#;
    assert!(canonical.contains(mount), "{canonical}");
    assert_eq!(parsed.manifest.blobs(), [blob("web", 10_240)]);
    let with = accepted(&file("data.yaml"));
    assert_eq!(with.groups, parsed.groups, "the market does not see it");
    assert_ne!(with.manifest.version(), parsed.manifest.version());
}

#[test]
fn a_refusal_names_place_and_cause() {
    for (from, to, begins) in [
        (
            "data: ./site}",
            "data: site.tar}",
            "18:52: error: services.web.params.storage.site.data: `site.tar` does not name an",
        ),
        (
            "data: ./site}",
            "data: ./other}",
            "18:52: error: services.web.params.storage.site.data: the archive `./other` was not",
        ),
        (
            "data: ./site}",
            "data: [./site]}",
            "18:52: error: services.web.params.storage.site.data: a text is expected",
        ),
        (
            "scratch: {mount: /scratch}",
            "scratch: {mount: /scratch, data: ./site}",
            "10:42: error: services.db.params.storage.scratch.data: a volume of class ram",
        ),
        (
            "name: seed, size: 200Mi",
            "name: seed, size: 199Mi",
            "17:52: error: services.web.params.storage.seed.data: the archive has 200Mi, and the",
        ),
    ] {
        let error = first_error(&edited(from, to), &options());
        assert!(error.to_string().starts_with(begins), "{error}");
        assert!(error.help.is_some() || to.contains('['), "{error}");
    }
}

#[test]
fn a_provider_refuses_what_no_file_gives() {
    let text = file("data.canonical.json");
    let text = text.trim_end();
    let site = blob("site", 20_480).to_string();
    let ram = r#"{"mount":"/scratch","name":"scratch","readOnly":false}"#;
    let data = format!("{{\"data\":\"{site}\",");
    for (from, to, cause) in [
        (site.clone(), "blob:12:3".into(), "volume site: `data` is not blob:"),
        (site.clone(), "./site".into(), "volume site: `data` is not blob:"),
        (site.clone(), blob("site", 101 * MIB).to_string(), "the volume 104857600"),
        (ram.into(), ram.replace('{', &data), "volume scratch: a volume of class ram"),
    ] {
        let other = text.replacen(&from, &to, 1);
        assert_ne!(other, text, "{from}");
        match Manifest::from_canonical(other.as_bytes()).unwrap_err() {
            CanonicalError::Invalid(message) => assert!(message.contains(cause), "{message}"),
            other => panic!("{from}: {other}"),
        }
    }
    let null = text.replacen(&format!("\"{site}\""), "null", 1);
    let refused = Manifest::from_canonical(null.as_bytes()).unwrap_err();
    assert!(matches!(refused, CanonicalError::NotCanonical(_)), "{refused}");
}

#[test]
fn the_summary_tells_what_is_put_where() {
    let summary = stoa_manifest::summary(&accepted(&file("data.yaml")));
    let root = blob("seed", 1).root.to_hex();
    let line = format!(", data {}… (200Mi) in seed, data ", &root[..12]);
    assert!(summary.contains(&line), "{line}\n---\n{summary}");
}
