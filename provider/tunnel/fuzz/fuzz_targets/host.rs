//! Any request head: finding its host ends without a panic, and what is found is a host name in
//! lower case; what goes on to the workload has one host and no header of one hop.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|head: &[u8]| stoa_tunnel::fuzzing::host(head));
