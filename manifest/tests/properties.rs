//! Whatever the file: reading ends without a panic, and what is accepted goes through its
//! canonical bytes unchanged and fits its own group specs.

#![allow(clippy::unwrap_used)]

mod common;

use proptest::prelude::*;
use stoa_manifest::{check_against_groups, image_paths, parse, Manifest};

fn holds_for(text: &str) -> Result<(), TestCaseError> {
    let _ = image_paths(text);
    match parse(text, &common::options()) {
        Ok(parsed) => {
            let bytes = parsed.manifest.canonical_json();
            let back = Manifest::from_canonical(&bytes);
            prop_assert_eq!(back.as_ref(), Ok(&parsed.manifest));
            prop_assert_eq!(back.map(|manifest| manifest.canonical_json()), Ok(bytes));
            prop_assert_eq!(check_against_groups(&parsed.manifest, &parsed.groups), Ok(()));
            let _ = stoa_manifest::summary(&parsed);
        }
        Err(findings) => {
            prop_assert!(findings.iter().any(|finding| finding.is_error()));
            for finding in findings {
                prop_assert!(finding.line >= 1 && finding.column >= 1);
                let _ = finding.render("x.yaml", text);
            }
        }
    }
    Ok(())
}

/// A service's name, for use as a key too.
fn name() -> impl Strategy<Value = String> {
    "[a-z]([-a-z0-9]{0,6}[a-z0-9])?"
}

/// Text that YAML takes only in quotes; some of it is escaped in the canonical form.
fn word() -> impl Strategy<Value = String> {
    "[ -~<>&é\u{2028}\n\t]{0,12}"
}

#[derive(Debug)]
struct Drawn {
    services: Vec<(String, Vec<String>, u32, u16, u8)>,
    volumes: Vec<(u32, bool)>,
    version: &'static str,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let service = (name(), prop::collection::vec(word(), 0..4), 1..5u32, 1..u16::MAX, 0..6u8);
    (
        prop::collection::vec(service, 1..6),
        prop::collection::vec((1..4u32, any::<bool>()), 1..5),
        prop::sample::select(vec!["2.0", "2.1"]),
    )
        .prop_map(|(services, volumes, version)| Drawn { services, volumes, version })
}

/// An SDL file from what was drawn, services at two placements in turn.
fn sdl(drawn: &Drawn) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut services = String::new();
    let mut deployment = String::new();
    let mut seen = std::collections::BTreeSet::new();
    for (index, (name, words, count, port, kind)) in drawn.services.iter().enumerate() {
        if !seen.insert(name) {
            continue;
        }
        let args: Vec<_> = words.iter().map(|word| quoted(word)).collect();
        let proto = if kind % 2 == 0 { "tcp" } else { "UDP" };
        let first = &drawn.services[0].0;
        services.push_str(&format!(
            "  {}:\n    image: img:{index}\n    args: [{}]\n    env: [{}]\n    params: {{storage: \
             {{",
            quoted(name),
            args.join(", "),
            quoted(&format!("K={}", words.concat())),
        ));
        for volume in 0..drawn.volumes.len() {
            services.push_str(&format!("v{volume}: {{mount: /m{volume}}}, "));
        }
        services.push_str(&format!(
            "}}}}\n    expose:\n      - {{port: {port}, as: {}, proto: {proto}, to: [{{global: \
             true}}, {{service: {}}}]}}\n",
            if *kind > 2 { 80 } else { 0 },
            quoted(first),
        ));
        let place = if index % 2 == 0 { "east" } else { "west" };
        deployment.push_str(&format!(
            "  {}: {{{place}: {{profile: p, count: {count}}}}}\n",
            quoted(name)
        ));
    }
    let volumes: Vec<_> = drawn
        .volumes
        .iter()
        .enumerate()
        .map(|(index, (size, persistent))| {
            format!("{{name: v{index}, size: {size}Gi, attributes: {{persistent: {persistent}}}}}")
        })
        .collect();
    format!(
        "version: \"{}\"\nservices:\n{services}profiles:\n  compute:\n    p:\n      resources: \
         {{cpu: {{units: 0.5}}, memory: {{size: 1Gi}}, storage: [{}]}}\n  placement:\n    east: \
         {{pricing: {{p: {{denom: ustoa, amount: 3}}}}}}\n    west: {{pricing: {{p: {{denom: \
         ustoa, amount: 2.5}}}}}}\ndeployment:\n{deployment}",
        drawn.version,
        volumes.join(", ")
    )
}

/// A piece of the file taken out, doubled, or replaced by something that means much in YAML.
fn mutated(text: &str, at: usize, length: usize, with: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = at % (chars.len() + 1);
    let end = (at + length).min(chars.len());
    let mut out: String = chars[..at].iter().collect();
    out.push_str(with);
    out.extend(&chars[end..]);
    out
}

const SHARP: &[&str] = &[
    "",
    ":",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!!str ",
    "|",
    ">",
    "\"",
    "'",
    "#",
    "\n",
    "\t",
    "---\n",
    "...\n",
    "? ",
    "<<: ",
    "%YAML 9\n",
    "~",
    "\u{feff}",
    "\u{0}",
    "é",
    "99999999999999999999",
    "-1",
    "1e400",
    "0x7f",
    ".",
    "null",
    "{}",
    "[]",
    "true",
    "\r\n",
    "  ",
    "@",
    "`",
];

proptest! {
    #[test]
    fn drawn_files_are_accepted_and_go_there_and_back(drawn in drawn()) {
        let text = sdl(&drawn);
        let accepted = parse(&text, &common::options());
        prop_assert!(accepted.is_ok(), "{text}\n{}", common::shown(&accepted.unwrap_err()));
        holds_for(&text)?;
    }

    #[test]
    fn mutated_files_never_panic(
        edits in prop::collection::vec((any::<usize>(), 0..40usize, 0..SHARP.len()), 1..6),
    ) {
        let mut text = common::file("full.yaml");
        for (at, length, sharp) in edits {
            text = mutated(&text, at, length, SHARP[sharp]);
        }
        holds_for(&text)?;
    }

    #[test]
    fn any_text_never_panics(text in "[\\PC\n\t]{0,200}") {
        holds_for(&text)?;
    }

    #[test]
    fn mutated_canonical_bytes_never_panic_and_are_refused(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = common::full().manifest.canonical_json();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        // What is taken is its own canonical form, so it is another manifest, not other bytes.
        if let Ok(manifest) = Manifest::from_canonical(&bytes) {
            prop_assert_eq!(manifest.canonical_json(), bytes);
        }
    }
}
