//! What slashing keeps of a validator: since when it votes, what it missed.

use borsh::{BorshDeserialize, BorshSerialize};

use super::keys;
use crate::ctx::Ctx;
use crate::types::ConsAddress;

/// Blocks of one chunk: one bit each.
const CHUNK_BLOCKS: u64 = 1_024;
const CHUNK_BYTES: usize = 128;

/// A validator's record.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SigningInfo {
    /// Height from which on its votes are counted.
    pub start_height: u64,
    /// Unix seconds; 0: it never was in jail.
    pub jailed_until: u64,
    /// It signed two blocks of one height, and validates no more.
    pub tombstoned: bool,
    /// Of the window's blocks, how many it missed.
    pub missed: u64,
    /// The window by which `missed` was counted; another one counts anew.
    pub window: u64,
}

/// The record of a validator that votes or has voted.
pub fn signing_info(ctx: &Ctx<'_>, validator: &ConsAddress) -> Option<SigningInfo> {
    ctx.get(&keys::signing_info(validator))
}

/// All records, by consensus address.
pub fn signing_infos<'a>(
    ctx: &'a Ctx<'_>,
) -> impl Iterator<Item = (ConsAddress, SigningInfo)> + 'a {
    ctx.prefix(&keys::signing_infos()).filter_map(|(key, value)| {
        Some((keys::signing_info_validator(&key)?, crate::state::decode(&key, &value)))
    })
}

pub(super) fn put_info(ctx: &mut Ctx<'_>, validator: &ConsAddress, info: &SigningInfo) {
    ctx.put(keys::signing_info(validator), info);
}

/// Whether the validator missed the block that has this place in the window.
pub(super) fn is_missed(ctx: &Ctx<'_>, validator: &ConsAddress, place: u64) -> bool {
    let (chunk, byte, mask) = split(place);
    let chunk: Option<[u8; CHUNK_BYTES]> = ctx.get(&keys::missed_chunk(validator, chunk));
    chunk.and_then(|chunk| chunk.get(byte).map(|bits| bits & mask != 0)).unwrap_or_default()
}

/// Notes whether the validator missed the block of this place. A chunk of
/// nothing is none.
pub(super) fn set_missed(ctx: &mut Ctx<'_>, validator: &ConsAddress, place: u64, missed: bool) {
    let (chunk, byte, mask) = split(place);
    let key = keys::missed_chunk(validator, chunk);
    let mut bits: [u8; CHUNK_BYTES] = ctx.get(&key).unwrap_or([0; CHUNK_BYTES]);
    if let Some(bits) = bits.get_mut(byte) {
        *bits = if missed { *bits | mask } else { *bits & !mask };
    }
    if bits.iter().all(|bits| *bits == 0) {
        ctx.remove(key);
    } else {
        ctx.put(key, &bits);
    }
}

/// Forgets what the validator missed: at most a hundred chunks.
pub(super) fn clear_missed(ctx: &mut Ctx<'_>, validator: &ConsAddress) {
    let keys: Vec<_> = ctx.prefix(&keys::missed_by(validator)).map(|(key, _)| key).collect();
    keys.into_iter().for_each(|key| ctx.remove(key));
}

/// Places that the validator missed, in order.
pub(super) fn missed_places(ctx: &Ctx<'_>, validator: &ConsAddress) -> Vec<u64> {
    let chunks = ctx.prefix(&keys::missed_by(validator)).filter_map(|(key, value)| {
        let (_, chunk) = keys::missed_chunk_parts(&key)?;
        let bits: [u8; CHUNK_BYTES] = crate::state::decode(&key, &value);
        Some((u64::from(chunk).saturating_mul(CHUNK_BLOCKS), bits))
    });
    chunks.flat_map(|(first, bits)| places(first, bits)).collect()
}

fn places(first: u64, bits: [u8; CHUNK_BYTES]) -> impl Iterator<Item = u64> {
    let all = (first..).zip(bits.into_iter().flat_map(|bits| {
        [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80].map(|mask| bits & mask != 0)
    }));
    all.filter(|(_, missed)| *missed).map(|(place, _)| place)
}

/// Chunk, byte in it, and bit in that.
fn split(place: u64) -> (u32, usize, u8) {
    let chunk = place.checked_div(CHUNK_BLOCKS).unwrap_or_default();
    let rest = place.checked_rem(CHUNK_BLOCKS).unwrap_or_default();
    let byte = rest.checked_div(8).unwrap_or_default();
    let bit = u32::try_from(rest.checked_rem(8).unwrap_or_default()).unwrap_or_default();
    let mask = 1u8.checked_shl(bit).unwrap_or_default();
    (u32::try_from(chunk).unwrap_or(u32::MAX), usize::try_from(byte).unwrap_or(usize::MAX), mask)
}
