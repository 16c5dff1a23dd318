use proptest::prelude::*;

use super::*;
use crate::shape::PIECE;

/// Content that differs everywhere.
fn content(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(b"content").finalize_xof().fill(&mut bytes);
    bytes
}

struct World {
    bytes: Vec<u8>,
    root: Hash,
    shape: Shape,
    tree: Vec<u8>,
}

fn world(size: usize) -> World {
    let bytes = content(size);
    let shape = Shape::new(size as u64).unwrap();
    let mut tree = vec![0; shape.outboard_bytes() as usize];
    let root = outboard(shape, bytes.as_slice(), tree.as_mut_slice()).unwrap();
    World { bytes, root, shape, tree }
}

impl World {
    fn encode(&self, piece: u32) -> Vec<u8> {
        encode(self.root, self.shape, piece, &self.bytes[..], &self.tree[..]).unwrap()
    }

    /// Decodes into nothing; what is written then.
    fn decode(
        &self,
        shape: Shape,
        piece: u32,
        encoded: &[u8],
    ) -> (Result<(), VerifyError>, Vec<u8>) {
        let mut data = vec![0; shape.size() as usize];
        let mut tree = vec![0; shape.outboard_bytes() as usize];
        let result = decode(self.root, shape, piece, encoded, &mut data[..], &mut tree[..]);
        (result, data)
    }
}

const SIZES: [usize; 9] = [
    1,
    1024,
    16 << 10,
    (16 << 10) + 1,
    PIECE as usize,
    PIECE as usize + 1,
    3 * PIECE as usize,
    5 * PIECE as usize + 12_345,
    17 * PIECE as usize - 1,
];

#[test]
fn all_pieces_make_the_blob_and_its_hashes_again() {
    for size in SIZES {
        let world = world(size);
        assert_eq!(world.root, blake3::hash(&world.bytes));
        let mut data = vec![0; size];
        let mut tree = vec![0; world.tree.len()];
        for piece in (0..world.shape.pieces()).rev() {
            let encoded = world.encode(piece);
            assert!(encoded.len() <= MAX_ENCODED);
            let (data, tree) = (&mut data[..], &mut tree[..]);
            decode(world.root, world.shape, piece, &encoded, data, tree).unwrap();
        }
        assert_eq!(data, world.bytes);
        assert_eq!(tree, world.tree);
    }
}

#[test]
fn hashes_that_come_first_are_all_checked() {
    for size in SIZES {
        let world = world(size);
        check_outboard(world.root, world.shape, &world.tree).unwrap();
        assert!(check_outboard(world.root, world.shape, &[&world.tree[..], &[0]].concat()).is_err());
        for at in (0..world.tree.len()).step_by(31) {
            let mut wrong = world.tree.clone();
            wrong[at] ^= 1;
            assert!(check_outboard(world.root, world.shape, &wrong).is_err());
        }
    }
}

/// Found by fuzzing: the last one that was awaited, when wrong, counted as
/// come.
#[test]
fn wrong_hashes_leave_the_right_ones_awaited() {
    for size in SIZES {
        let world = world(size);
        let mut check = HashCheck::new(world.root, world.shape);
        for parent in world.tree.chunks(PARENT) {
            let mut wrong = parent.to_vec();
            wrong[7] ^= 1;
            assert!(check.push(&wrong).is_err());
            assert!(!check.is_whole());
            check.push(parent).unwrap();
        }
        assert!(check.is_whole());
        assert!(check.push(&[0; PARENT]).is_err());
    }
}

#[test]
fn a_piece_is_checked_by_hashes_that_came_first() {
    let world = world(5 * PIECE as usize + 99);
    for piece in 0..world.shape.pieces() {
        let begin = world.shape.offset(piece) as usize;
        let end = begin + world.shape.piece_bytes(piece).unwrap() as usize;
        let bytes = &world.bytes[begin..end];
        let check =
            |bytes: &[u8]| check_plain(world.root, world.shape, piece, bytes, &world.tree[..]);
        check(bytes).unwrap();
        assert!(check(&bytes[1..]).is_err());
        let mut wrong = bytes.to_vec();
        wrong[0] ^= 0x80;
        assert!(check(&wrong).is_err());
    }
}

#[test]
fn damage_on_disk_is_never_sent() {
    let mut world = world(3 * PIECE as usize);
    world.bytes[PIECE as usize + 5] ^= 1;
    let sent = encode(world.root, world.shape, 1, &world.bytes[..], &world.tree[..]);
    assert!(matches!(sent, Err(VerifyError::Wrong)));
    // What was never written has hashes of zeros.
    let sent = encode(world.root, world.shape, 0, &world.bytes[..], &vec![0; world.tree.len()][..]);
    assert!(matches!(sent, Err(VerifyError::Wrong)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_changed_byte_is_refused_and_nothing_wrong_is_written(
        size in 1_usize..(6 * PIECE as usize),
        pick in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..=255,
    ) {
        let world = world(size);
        let piece = pick.index(world.shape.pieces() as usize) as u32;
        let mut encoded = world.encode(piece);
        let at = at.index(encoded.len());
        encoded[at] ^= flip;
        let (result, data) = world.decode(world.shape, piece, &encoded);
        prop_assert!(matches!(result, Err(VerifyError::Wrong)), "{:?}", result);
        for (written, right) in data.chunks(1024).zip(world.bytes.chunks(1024)) {
            prop_assert!(written == right || written.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn a_piece_that_ends_early_or_late_is_refused(
        size in 1_usize..(6 * PIECE as usize),
        pick in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
    ) {
        let world = world(size);
        let piece = pick.index(world.shape.pieces() as usize) as u32;
        let encoded = world.encode(piece);
        let (short, _) = world.decode(world.shape, piece, &encoded[..at.index(encoded.len())]);
        prop_assert!(matches!(short, Err(VerifyError::Short)), "{:?}", short);
        let (long, _) = world.decode(world.shape, piece, &[&encoded[..], &[0]].concat());
        prop_assert!(matches!(long, Err(VerifyError::Long)), "{:?}", long);
    }

    #[test]
    fn another_range_is_refused(
        size in (2 * PIECE as usize)..(9 * PIECE as usize),
        one in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
    ) {
        let world = world(size);
        let pieces = world.shape.pieces() as usize;
        let (one, other) = (one.index(pieces) as u32, other.index(pieces) as u32);
        prop_assume!(one != other);
        let (result, _) = world.decode(world.shape, one, &world.encode(other));
        prop_assert!(result.is_err());
        prop_assert!(world.decode(world.shape, pieces as u32, &world.encode(other)).0.is_err());
    }

    /// The last piece proves the size: no other one verifies with it.
    #[test]
    fn the_last_piece_is_refused_under_any_other_size(
        size in 1_u64..(6 * PIECE),
        claimed in 1_u64..(12 * PIECE),
    ) {
        prop_assume!(size != claimed);
        let world = world(size as usize);
        let shape = Shape::new(claimed).unwrap();
        for piece in 0..world.shape.pieces() {
            let (result, _) = world.decode(shape, shape.last(), &world.encode(piece));
            prop_assert!(result.is_err());
        }
    }
}
