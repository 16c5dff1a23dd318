//! Any text: reading ends without a panic, and what is accepted goes through its canonical bytes
//! unchanged and fits its own group specs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoa_manifest::{check_against_groups, image_paths, parse, Manifest, Options};

fuzz_target!(|text: &str| {
    let _ = image_paths(text);
    match parse(text, &Options::default()) {
        Ok(parsed) => {
            let bytes = parsed.manifest.canonical_json();
            assert_eq!(Manifest::from_canonical(&bytes).as_ref(), Ok(&parsed.manifest));
            assert_eq!(check_against_groups(&parsed.manifest, &parsed.groups), Ok(()));
            let _ = stoa_manifest::summary(&parsed);
        }
        Err(findings) => {
            assert!(findings.iter().any(|finding| finding.is_error()));
            for finding in findings {
                let _ = finding.render("x.yaml", text);
            }
        }
    }
});
