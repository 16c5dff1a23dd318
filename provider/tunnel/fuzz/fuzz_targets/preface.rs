//! Any bytes as a tunnel's preface: what is read as one is written the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| stoa_tunnel::fuzzing::preface(bytes));
