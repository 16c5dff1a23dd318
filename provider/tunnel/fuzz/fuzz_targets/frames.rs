//! Any bytes, in any pieces, as datagrams of a tunnel: those read are those that stand there.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| stoa_tunnel::fuzzing::frames(bytes));
