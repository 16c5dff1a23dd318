//! What is taken of an archive and what is refused, without an engine.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use super::*;
use crate::runtime::RuntimeError;

/// An entry's header, with names that a builder would refuse.
fn header(kind: EntryType, name: &str, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    header
}

struct Making(tar::Builder<Vec<u8>>);

impl Making {
    fn new() -> Self {
        Self(tar::Builder::new(vec![]))
    }

    fn add(mut self, kind: EntryType, name: &str, content: &[u8]) -> Self {
        self.0.append(&header(kind, name, content.len() as u64), content).unwrap();
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.add(EntryType::Regular, name, content)
    }

    fn link(mut self, kind: EntryType, name: &str, target: &str) -> Self {
        let mut header = header(kind, name, 0);
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        self.0.append(&header, std::io::empty()).unwrap();
        self
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.link(EntryType::Symlink, name, target)
    }

    fn pax(self, records: &[(&str, &str)]) -> Self {
        let mut all = vec![];
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (rest..).find(|n| n.to_string().len() + rest == *n).unwrap();
            all.extend(format!("{length} {key}={value}\n").into_bytes());
        }
        self.add(EntryType::XHeader, "pax", &all)
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    fn read(self) -> Result<Bundle, RuntimeError> {
        read(&self.bytes(), &Limits::default())
    }
}

fn read(bytes: &[u8], limits: &Limits) -> Result<Bundle, RuntimeError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Bundle::read(file, limits)
}

/// The layer's entries: kind, mode, owner, time, link's target, content.
type Written = BTreeMap<String, (EntryType, u32, (u64, u64), u64, String, String)>;

fn written(bundle: &Bundle) -> (Written, Value, Value) {
    let mut image = vec![];
    bundle.write_image("stoa.invalid/p/data:1", &mut image).unwrap();
    let mut documents = BTreeMap::new();
    for entry in tar::Archive::new(image.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = vec![];
        entry.read_to_end(&mut content).unwrap();
        documents.insert(entry.path().unwrap().display().to_string(), content);
    }
    let manifest: Value = serde_json::from_slice(&documents["manifest.json"]).unwrap();
    let config = &documents[manifest[0]["Config"].as_str().unwrap()];
    let config: Value = serde_json::from_slice(config).unwrap();
    let layer = &documents["layer.tar"];
    let diff_id = format!("sha256:{}", hex::encode(Sha256::digest(layer)));
    assert_eq!(&diff_id, bundle.diff_id());
    assert_eq!(config["rootfs"]["diff_ids"][0], diff_id);
    let mut entries = Written::new();
    for entry in tar::Archive::new(layer.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        let name = entry.path().unwrap().display().to_string();
        let header = entry.header();
        let target = entry.link_name().unwrap().map(|name| name.display().to_string());
        let found = (
            header.entry_type(),
            header.mode().unwrap(),
            (header.uid().unwrap(), header.gid().unwrap()),
            header.mtime().unwrap(),
            target.unwrap_or_default(),
            content,
        );
        assert!(entries.insert(name, found).is_none());
    }
    (entries, config, manifest)
}

#[test]
fn an_archive_becomes_an_image_with_its_files_modes_owners_and_links() {
    let mut making = Making::new().link(EntryType::Link, "again", "web/index.html");
    let mut run = header(EntryType::Regular, "./web/run", 2);
    run.set_mode(0o6755);
    run.set_uid(1000);
    run.set_gid(2000);
    run.set_mtime(12_345);
    run.set_cksum();
    making.0.append(&run, &b"#!"[..]).unwrap();
    let long = format!("deep/{}", "n".repeat(200));
    let bundle = making
        .add(EntryType::Directory, "./", b"")
        .file("web/index.html", b"hello")
        .symlink("web/up", "../start")
        .symlink("start", "web/index.html")
        .pax(&[("path", &long), ("uid", "3000000"), ("mtime", "1.5")])
        .file("short", b"far")
        .read()
        .unwrap();
    // Folders: deep and web; files: two, and the one below deep; links: three.
    assert_eq!(bundle.bytes, 9 * 4096, "and the top folder");
    let (entries, config, manifest) = written(&bundle);
    assert_eq!(config["config"]["Labels"][BYTES_LABEL], bundle.bytes.to_string());
    assert_eq!(config["config"]["Labels"][OWNERS_LABEL], "true");
    assert_eq!(manifest[0]["RepoTags"][0], "stoa.invalid/p/data:1");
    let of = |name: &str| entries[name].clone();
    let none = String::new;
    let folder = (EntryType::Directory, 0o755, (0, 0), 0, none(), none());
    assert_eq!(of("from/"), folder);
    assert_eq!(of("from/volume/web/"), folder, "it was only implied");
    assert_eq!(of("from/volume/").1, 0o644, "the top folder's own mode");
    let file = (EntryType::Regular, 0o755, (1000, 2000), 12_345, none(), "#!".to_owned());
    assert_eq!(of("from/volume/web/run"), file, "setuid and setgid are not taken");
    assert_eq!(of("from/volume/web/up").4, "../start");
    let hard = of("from/volume/again");
    assert_eq!((hard.0, hard.4.as_str()), (EntryType::Link, "from/volume/web/index.html"));
    let far = of(&format!("from/volume/{long}"));
    assert_eq!((far.2, far.5.as_str()), ((3_000_000, 0), "far"));
    assert_eq!(entries.len(), 10);
}

#[test]
fn an_archive_without_its_top_folder_says_nothing_of_owners() {
    let bundle = Making::new().file("hello", b"hello").read().unwrap();
    let (_, config, _) = written(&bundle);
    assert_eq!(config["config"]["Labels"][OWNERS_LABEL], "false");
}

#[test]
fn a_hostile_archive_is_refused_with_the_entry_and_the_reason() {
    let new = Making::new;
    let deep = "d/".repeat(65);
    let cases = [
        (new().file("../x", b""), "climbs out"),
        (new().file("a/../../x", b""), "climbs out"),
        (new().file("/etc/passwd", b""), "absolute path"),
        (new().pax(&[("path", "../../x")]).file("x", b""), "climbs out"),
        (new().symlink("etc", "/etc"), "\"etc\" is a link to \"/etc\", which is an absolute path"),
        (new().symlink("a/b", "../../x"), "leads out"),
        (new().symlink("a", "b/../../x"), "goes up after"),
        (new().pax(&[("linkpath", "/etc/shadow")]).symlink("a", "b"), "absolute path"),
        (new().link(EntryType::Link, "a", "../../etc/passwd"), "climbs out"),
        (new().link(EntryType::Link, "a", "/etc/passwd"), "absolute path"),
        (new().link(EntryType::Link, "a", "b"), "which is no file in it"),
        (new().symlink("b", "c").link(EntryType::Link, "a", "b"), "which is no file in it"),
        (new().symlink("a", "b").file("a/x", b""), "\"a/x\" is below \"a\", which is no folder"),
        (new().file("a", b"").file("a/x/y", b""), "below \"a\""),
        (new().file("a", b"1").file("./a", b"2"), "is in it twice"),
        (new().file("a", b"1").symlink("a", "b"), "is in it twice"),
        (new().add(EntryType::Char, "null", b""), "\"null\" is of type Char"),
        (new().add(EntryType::Block, "sda", b""), "type Block"),
        (new().add(EntryType::Fifo, "pipe", b""), "type Fifo"),
        (new().add(EntryType::GNUSparse, "s", b""), "type GNUSparse"),
        (new().pax(&[("GNU.sparse.major", "1")]).file("s", b""), "sparse"),
        (new().pax(&[("size", "9999999999")]).file("s", b""), "PAX record"),
        (new().pax(&[("uid", "many")]).file("s", b""), "no number"),
        (new().pax(&[("gid", "4294967295")]).file("s", b""), "which nobody is"),
        (new().file("d/.wh.x", b""), "may not begin with .wh."),
        (new().pax(&[("path", &"n".repeat(256))]).file("x", b""), "over 255 bytes"),
        (new().pax(&[("path", &format!("{deep}x"))]).file("x", b""), "over 64 folders deep"),
        (new().file(".", b"x"), "top folder is none"),
        (new(), "nothing is in it"),
        (new().add(EntryType::Directory, "./", b""), "nothing is in it"),
    ];
    for (archive, words) in cases {
        let error = archive.read().unwrap_err().to_string();
        assert!(error.contains(words), "{error}: {words}");
    }
    assert!(read(&[7; 4096], &Limits::default()).unwrap_err().to_string().contains("not a"));
}

#[test]
fn what_is_left_blank_of_owner_and_mode_is_the_usual() {
    let mut header = Header::new_ustar();
    header.set_path("page").unwrap();
    header.set_size(0);
    header.set_cksum();
    let bundle = read(header.as_bytes(), &Limits::default()).unwrap();
    let page = &bundle.entries["page"];
    assert_eq!((page.user, page.group, page.mode), (0, 0, 0o644));
}

#[test]
fn a_file_that_claims_more_bytes_than_there_are_is_refused() {
    let mut bytes = header(EntryType::Regular, "big", 5 << 30).as_bytes().to_vec();
    bytes.extend([0; 4096]);
    let error = read(&bytes, &Limits::default()).unwrap_err().to_string();
    assert!(error.contains("\"big\" is cut short"), "{error}");
}

#[test]
fn what_takes_more_than_the_limits_is_refused() {
    let many = (0..40).fold(Making::new(), |making, n| making.file(&format!("d/{n}"), b""));
    let bytes = many.bytes();
    let refusal = |limits: Limits| read(&bytes, &limits).unwrap_err().to_string();
    let limits = Limits::default();
    // Forty empty files and their folder, each a block of the disk.
    let whole = read(&bytes, &Limits { entries: 42, bytes: 42 * 4096, ..limits }).unwrap();
    assert_eq!(whole.bytes, 42 * 4096, "and the top folder");
    assert!(refusal(Limits { entries: 40, ..limits }).contains("more than 40 files"));
    assert!(refusal(Limits { bytes: 42 * 4096 - 1, ..limits }).contains("take 172032 bytes"));
    assert!(refusal(Limits { names: 100, ..limits }).contains("more than 100 bytes"));
    // Descriptions of nothing count as well.
    let idle = (0..200).fold(Making::new(), |making, _| making.pax(&[("comment", "x")]));
    let error = read(&idle.bytes(), &Limits { entries: 40, ..limits }).unwrap_err().to_string();
    assert!(error.contains("more than 40 files"), "{error}");
}

#[test]
fn a_hard_link_counts_as_its_file() {
    let content = vec![1; 10_000];
    let bundle = Making::new().file("a", &content).link(EntryType::Link, "b", "a").read().unwrap();
    assert_eq!(bundle.bytes, 2 * 3 * 4096 + 4096, "volumes are measured so");
}
