//! Any bytes as a table: reading and checking end without a panic, and a table that is accepted
//! is the same after its way to the disk and back, and has its names found; one that is refused is
//! accepted without the parts that it is refused for.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| stoa_tunnel::fuzzing::table(bytes));
