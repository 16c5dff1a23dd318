//! Any bytes as the hashes of a blob of nine groups, in pushes of any length: what is taken is the
//! right hashes, from the first on. Inputs that begin with 1 are changes of the right ones.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoa_swarm::verify::{outboard, HashCheck, PARENT};
use stoa_swarm::Shape;

/// Of a group, 16 KiB.
const GROUP: usize = 16 << 10;

fuzz_target!(|input: &[u8]| {
    let [kind, parents, input @ ..] = input else { return };
    let bytes: Vec<u8> = (0..GROUP * 8 + 5).map(|at| (at % 251) as u8).collect();
    let shape = Shape::new(bytes.len() as u64).expect("it has bytes");
    let mut right = vec![0; shape.outboard_bytes() as usize];
    let root = outboard(shape, &bytes[..], right.as_mut_slice()).expect("it is in memory");
    let mut told = input.to_vec();
    if *kind == 1 {
        told = right.clone();
        for change in input.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % told.len();
            told[at] ^= change[2];
        }
    }
    let mut check = HashCheck::new(root, shape);
    for pushed in told.chunks((usize::from(*parents % 8) + 1) * PARENT) {
        if check.push(pushed).is_err() {
            break;
        }
    }
    let at = check.at() as usize;
    assert!(at <= right.len() && told[..at] == right[..at]);
    assert_eq!(check.is_whole(), at == right.len());
});
