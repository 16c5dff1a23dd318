//! The largest files that are read, of the shapes that cost most: each is answered in time that
//! grows with its length.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use stoa_manifest::{parse, MAX_TEXT_BYTES};

/// Far over what any of them takes, far under what something quadratic takes.
const LONGEST: Duration = Duration::from_secs(10);

/// `piece` again and again, to the length that is still read.
fn filled(start: &str, piece: impl Fn(usize) -> String, end: &str) -> String {
    let mut text = start.to_owned();
    for number in 0.. {
        let next = piece(number);
        if text.len() + next.len() + end.len() > MAX_TEXT_BYTES {
            break;
        }
        text.push_str(&next);
    }
    text + end
}

#[test]
fn the_longest_files_are_answered_in_time() {
    let same = |piece: &'static str| move |_: usize| piece.to_owned();
    let full = common::file("full.yaml");
    let (before, after) = full.split_once("    env: []\n").unwrap();
    let service = "version: 2.0\nservices:\n  a:\n";
    let worker =
        |start: &str, piece: fn(usize) -> String| filled(&format!("{before}{start}"), piece, after);
    let ports = "    expose:\n";
    let hosts = "    expose:\n      - port: 1\n        accept:\n";
    let to = "    expose:\n      - port: 1\n        to:\n";
    let mounts = "    params:\n      storage:\n";
    let files = [
        ("lists in lists", filled("", same("["), "")),
        ("maps in maps", filled("", same("{a: "), "")),
        ("dashes", filled("", same("- "), "")),
        ("question marks", filled("", same("? "), "")),
        ("empty lists", filled("a: [", same("[],"), "]")),
        ("words", filled("a: [", same("x,"), "]")),
        ("one long word", filled("a: ", same("x"), "")),
        ("one long quotation", filled("a: \"", same("x"), "")),
        ("anchors", filled("a: [", |n| format!("&a{n} x,"), "]")),
        ("aliases", filled("a: &a [x]\nb: [", same("*a,"), "]")),
        ("keys", filled("", |n| format!("k{n}: 1\n"), "")),
        ("the same key", filled("", same("k: 1\n"), "")),
        ("lines", filled("", same("\n"), "")),
        ("comments", filled("", same("#\n"), "a: 1")),
        ("colons", filled("", same(":"), "")),
        ("tags", filled("", same("!a "), "")),
        ("services", filled("services:\n", |n| format!("  s{n}: {{image: ./{n}.tar}}\n"), "")),
        ("unknown keys", filled(service, |n| format!("    imgae{n}: {n:020}\n"), "")),
        ("mounts", worker(mounts, |n| format!("        v{n}: {{mount: /path/{n:020}}}\n"))),
        ("hosts", worker(hosts, |n| format!("          - h{n}\n"))),
        ("variables", worker("    env:\n", |n| format!("      - V{n}=1\n"))),
        ("dangling", worker(to, |n| format!("          - service: s{n:020}\n"))),
        ("ports", worker(ports, |n| format!("      - port: {}\n", 1 + n % 60_000))),
    ];
    for (name, text) in files {
        let start = Instant::now();
        let _ = parse(&text, &common::options());
        let _ = stoa_manifest::image_paths(&text);
        let took = start.elapsed();
        assert!(took < LONGEST, "{name}: {took:?}");
    }
}
