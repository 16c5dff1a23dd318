//! Any bytes as a piece of a blob of three pieces: what is taken is right. Inputs that begin with 1
//! are changes of the right answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoa_swarm::{Holding, PIECE};

fuzz_target!(|input: &[u8]| {
    let [kind, piece, input @ ..] = input else { return };
    let bytes: Vec<u8> = (0..PIECE * 2 + 5).map(|at| (at % 251) as u8).collect();
    let source = Holding::of_bytes(bytes.clone()).expect("it has bytes");
    let piece = u32::from(*piece % 4);
    let mut encoded = input.to_vec();
    if *kind == 1 {
        encoded = source.encode(piece % 3).expect("it is there");
        for change in input.chunks_exact(4) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) + usize::from(change[2]) * 256;
            let at = at % encoded.len();
            encoded[at] ^= change[3];
        }
    }
    let part = Holding::in_memory(source.root(), source.shape()).expect("it is small");
    if part.accept(piece, &encoded).is_ok() {
        assert_eq!(encoded, source.encode(piece).expect("it is there"));
        let (here, right) = (part.encode(piece), source.encode(piece));
        assert_eq!(here.expect("it was taken"), right.expect("it is there"));
    }
});
