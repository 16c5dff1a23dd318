//! Any bytes: reading ends without a panic, and what is accepted is its own canonical form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoa_manifest::Manifest;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::from_canonical(bytes) {
        assert_eq!(manifest.canonical_json(), bytes);
    }
});
