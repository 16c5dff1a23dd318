//! Any bytes as a workload's question and as a resolver's answer: reading ends without a panic, and what
//! is passed on says the same as what came.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| stoa_tunnel::fuzzing::names(bytes));
