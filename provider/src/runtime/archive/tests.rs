//! The rewriting, without an engine.

use std::io::{Read, Write};

use serde_json::{json, Value};
use sha2::{Digest, Sha256};

use super::*;

fn config(diff_ids: &[&str]) -> Vec<u8> {
    json!({
        "architecture": host_architecture(),
        "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
    .to_string()
    .into_bytes()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn tarball(entries: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // Written into the header by hand: the builder refuses hostile names.
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    file.write_all(&builder.into_inner().unwrap()).unwrap();
    file
}

fn docker_archive(manifest: Value, config: &[u8], layer: &[u8]) -> tempfile::NamedTempFile {
    tarball(&[
        ("manifest.json", manifest.to_string().as_bytes()),
        ("c.json", config),
        ("l/layer.tar", layer),
        ("repositories", br#"{"nginx":{"latest":"x"}}"#),
    ])
}

fn one_image() -> Value {
    json!([{ "Config": "c.json", "RepoTags": ["nginx:latest"], "Layers": ["l/layer.tar"] }])
}

fn read(file: &tempfile::NamedTempFile) -> Result<ImagePlan, RuntimeError> {
    ImagePlan::read(file.path(), &ImageLimits::default())
}

fn refusal(file: &tempfile::NamedTempFile) -> String {
    read(file).unwrap_err().to_string()
}

#[test]
fn a_docker_archive_is_rewritten_under_our_name_alone() {
    let config = config(&["sha256:1"]);
    let plan = read(&docker_archive(one_image(), &config, b"layer bytes")).unwrap();
    let mut written = Vec::new();
    write_docker_archive(&plan, "stoa.invalid/p/blob:1", &mut written).unwrap();
    let mut files = std::collections::BTreeMap::new();
    for entry in tar::Archive::new(written.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(entry.path().unwrap().display().to_string(), content);
    }
    let config_name = format!("{}.json", hex::encode(Sha256::digest(&config)));
    let names: Vec<_> = files.keys().cloned().collect();
    assert_eq!(names, [config_name.as_str(), "layer-000.tar", "manifest.json"]);
    assert_eq!(files["layer-000.tar"], b"layer bytes");
    assert_eq!(files[&config_name], config);
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(manifest[0]["RepoTags"], json!(["stoa.invalid/p/blob:1"]));
}

#[test]
fn an_oci_layout_is_read_through_its_digests() {
    let config = config(&["sha256:1"]);
    let layer = b"oci layer";
    let manifest = json!({
        "schemaVersion": 2,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config) },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(layer) }],
    })
    .to_string();
    let index = json!({ "manifests": [
        { "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(b"other"),
          "platform": { "os": "linux", "architecture": "s390x" } },
        { "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "digest": digest(manifest.as_bytes()),
          "platform": { "os": "linux", "architecture": host_architecture() } },
    ]})
    .to_string();
    let path = |bytes: &[u8]| format!("./blobs/sha256/{}", hex::encode(Sha256::digest(bytes)));
    let (c, l, m) = (path(&config), path(layer), path(manifest.as_bytes()));
    let build = |manifest_content: &str| {
        tarball(&[
            ("index.json", index.as_bytes()),
            (m.as_str(), manifest_content.as_bytes()),
            (c.as_str(), &config),
            (l.as_str(), layer),
        ])
    };
    let plan = read(&build(&manifest)).unwrap();
    assert_eq!(plan.config, config);
    assert_eq!(plan.layers.len(), 1);
    // One byte of the manifest changed: its digest no longer fits.
    let changed = refusal(&build(&manifest.replacen("2,", "3,", 1).replace(":2", ":3")));
    assert!(changed.contains("has the digest"), "{changed}");
}

#[test]
fn hostile_archives_are_refused_with_the_reason() {
    let good = config(&["sha256:1"]);
    let two = json!([one_image()[0], one_image()[0]]);
    let missing = json!([{ "Config": "c.json", "Layers": ["nowhere"] }]);
    let climbing = json!([{ "Config": "../../etc/passwd", "Layers": [] }]);
    let foreign = String::from_utf8(good.clone()).unwrap().replace("linux", "plan9");
    let cases = [
        (docker_archive(two, &good, b""), "exactly one"),
        (docker_archive(missing, &good, b""), "not in it"),
        (docker_archive(climbing, &good, b""), "climbs out"),
        (docker_archive(one_image(), foreign.as_bytes(), b""), "plan9"),
        (docker_archive(one_image(), &config(&[]), b""), "lists 0 layers"),
        (docker_archive(one_image(), &good, b"\x28\xb5\x2f\xfd...."), "zstd"),
        (tarball(&[("../x", b"")]), "climbs out"),
        (tarball(&[("/x", b"")]), "absolute"),
        (tarball(&[("a", b""), ("./a", b"")]), "twice"),
        (tarball(&[("a", b"")]), "neither manifest.json"),
        (tarball(&[("manifest.json", b"{")]), "does not parse"),
    ];
    for (archive, word) in cases {
        let error = refusal(&archive);
        assert!(error.contains(word), "{error} should say {word}");
    }
}

#[test]
fn a_layer_that_unpacks_beyond_the_limit_is_refused() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![0; 1 << 20]).unwrap();
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < 4096);
    let archive = docker_archive(one_image(), &config(&["sha256:1"]), &bomb);
    let limits = ImageLimits { unpacked_bytes: 1 << 19, ..ImageLimits::default() };
    let error = ImagePlan::read(archive.path(), &limits).unwrap_err().to_string();
    assert!(error.contains("unpack to more"), "{error}");
    ImagePlan::read(archive.path(), &ImageLimits::default()).unwrap();
}

#[test]
fn a_blob_must_have_its_hash_and_size() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"blob").unwrap();
    let hash = blake3::hash(b"blob").to_hex();
    verify_blob(file.path(), hash.as_str(), 4).unwrap();
    assert!(verify_blob(file.path(), hash.as_str(), 5).is_err());
    assert!(verify_blob(file.path(), &"0".repeat(64), 4).is_err());
}
