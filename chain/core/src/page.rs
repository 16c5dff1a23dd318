//! Pages of long lists.

use cosmos_sdk_proto::cosmos::base::query::v1beta1::{PageRequest, PageResponse};
use prost::Message;

use crate::ctx::Ctx;
use crate::error::SdkError;
use crate::store::Entries;

/// Items on a page where the request names no number.
pub const DEFAULT_LIMIT: u64 = 100;
/// Most items on a page.
pub const MAX_LIMIT: u64 = 1_000;
/// Most entries that one request passes over, wanted or not.
pub const MAX_SCAN: u64 = 10_000;
/// Bytes of items after which a page ends, whatever number was asked for. With
/// the largest item after them they are under the 4 MiB that gRPC's clients take.
pub const MAX_BYTES: usize = 1 << 20;

/// One page of the entries under `prefix` for which `item` gives something.
///
/// The page's key is what follows the prefix in the first key of the next
/// page. In reverse order the last entry comes first; a list of over
/// [`MAX_SCAN`] entries is not turned around.
///
/// # Errors
/// An unsupported combination of the request's fields.
pub fn collect<T: Message>(
    ctx: &Ctx<'_>,
    prefix: &[u8],
    request: Option<PageRequest>,
    item: impl FnMut(&[u8], &[u8]) -> Option<T>,
) -> Result<(Vec<T>, PageResponse), SdkError> {
    collect_sized(ctx, prefix, request, item, T::encoded_len)
}

/// [`collect`] for items that tell their bytes otherwise.
///
/// # Errors
/// An unsupported combination of the request's fields.
pub fn collect_sized<T>(
    ctx: &Ctx<'_>,
    prefix: &[u8],
    request: Option<PageRequest>,
    mut item: impl FnMut(&[u8], &[u8]) -> Option<T>,
    size: impl Fn(&T) -> usize,
) -> Result<(Vec<T>, PageResponse), SdkError> {
    let request = request.unwrap_or_default();
    check(&request)?;
    let limit = if request.limit == 0 { DEFAULT_LIMIT } else { request.limit.min(MAX_LIMIT) };
    let mut items = Vec::new();
    let (mut matched, mut scanned, mut bytes) = (0u64, 0u64, 0usize);
    let mut next_key = Vec::new();
    for (key, value) in entries(ctx, prefix, &request)? {
        scanned = scanned.saturating_add(1);
        let full = bytes >= MAX_BYTES || matched >= request.offset.saturating_add(limit);
        if full && !request.count_total || scanned > MAX_SCAN {
            next_key = suffix(prefix, &key);
            break;
        }
        let Some(found) = item(&key, &value) else { continue };
        if full && next_key.is_empty() {
            next_key = suffix(prefix, &key);
        }
        if !full && matched >= request.offset {
            bytes = bytes.saturating_add(size(&found));
            items.push(found);
        }
        matched = matched.saturating_add(1);
    }
    let total = if request.count_total { matched } else { 0 };
    Ok((items, PageResponse { next_key, total }))
}

fn check(request: &PageRequest) -> Result<(), SdkError> {
    if !request.key.is_empty() && (request.offset > 0 || request.count_total) {
        let text = "a page is named by its key or by an offset (with count_total), not by both";
        return Err(SdkError::InvalidRequest(text.to_owned()));
    }
    if request.key.len() > 256 {
        return Err(SdkError::InvalidRequest("the page's key is over 256 bytes".to_owned()));
    }
    Ok(())
}

/// Entries from the page's key on, which is one of them, in its direction.
fn entries<'a>(
    ctx: &'a Ctx<'_>,
    prefix: &[u8],
    request: &PageRequest,
) -> Result<Entries<'a>, SdkError> {
    let mut at = [prefix, &request.key].concat();
    let end = crate::state::after_prefix(prefix);
    if !request.reverse {
        return Ok(ctx.range(&at, &end));
    }
    // The first key after the page's.
    at.push(0);
    let to = if request.key.is_empty() { end } else { at };
    let most = usize::try_from(MAX_SCAN).unwrap_or(usize::MAX);
    let mut entries: Vec<_> = ctx.range(prefix, &to).take(most.saturating_add(1)).collect();
    if entries.len() > most {
        let text = format!("pages in reverse order of over {MAX_SCAN} entries");
        return Err(SdkError::NotSupported(text));
    }
    entries.reverse();
    Ok(Box::new(entries.into_iter()))
}

fn suffix(prefix: &[u8], key: &[u8]) -> Vec<u8> {
    key.strip_prefix(prefix).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::empty_at;
    use cosmos_sdk_proto::cosmos::base::v1beta1::Coin;

    const PREFIX: &[u8] = &[0x01];

    /// Ten entries, 0 to 9, among others' before and after.
    fn ten() -> Ctx<'static> {
        let mut ctx = empty_at(1);
        for number in 0u8..10 {
            ctx.put(vec![0x01, number], &number);
        }
        ctx.put(vec![0x00, 0xff], &0u8);
        ctx.put(vec![0x02], &0u8);
        ctx
    }

    /// The numbers of a page of those that `wanted` takes, and its answer.
    fn page(
        ctx: &Ctx<'_>,
        request: PageRequest,
        wanted: fn(u8) -> bool,
    ) -> (Vec<u8>, PageResponse) {
        let item = |key: &[u8], _: &[u8]| {
            let number = *key.last().unwrap();
            wanted(number).then(|| Coin { denom: number.to_string(), ..Coin::default() })
        };
        let (items, response) = collect(ctx, PREFIX, Some(request), item).unwrap();
        (items.iter().map(|item| item.denom.parse().unwrap()).collect(), response)
    }

    fn walk(reverse: bool, limit: u64, wanted: fn(u8) -> bool) -> Vec<u8> {
        let ctx = ten();
        let mut key = Vec::new();
        let mut seen = Vec::new();
        loop {
            let request = PageRequest { key, limit, reverse, ..PageRequest::default() };
            let (items, response) = page(&ctx, request, wanted);
            seen.extend(items);
            key = response.next_key;
            if key.is_empty() {
                return seen;
            }
        }
    }

    #[test]
    fn pages_by_key_go_through_all_entries_in_either_direction() {
        for limit in [1, 2, 3, 7, 10, 11] {
            let up: Vec<u8> = (0..10).collect();
            let down: Vec<u8> = (0..10).rev().collect();
            assert_eq!(walk(false, limit, |_| true), up, "{limit}");
            assert_eq!(walk(true, limit, |_| true), down, "{limit}");
            assert_eq!(walk(true, limit, |number| number % 3 == 1), [7, 4, 1], "{limit}");
        }
    }

    #[test]
    fn pages_by_offset_count_from_the_end_in_reverse_order() {
        let ctx = ten();
        let request = PageRequest {
            offset: 2,
            limit: 3,
            reverse: true,
            count_total: true,
            ..PageRequest::default()
        };
        let (items, response) = page(&ctx, request, |_| true);
        assert_eq!((items, response.total), (vec![7, 6, 5], 10));
        assert_eq!(response.next_key, [4]);
    }

    #[test]
    fn a_long_list_is_not_turned_around() {
        let mut ctx = empty_at(1);
        for number in 0..=u16::try_from(MAX_SCAN).unwrap() {
            ctx.put([PREFIX, &number.to_be_bytes()].concat(), &1u8);
        }
        let request = PageRequest { reverse: true, ..PageRequest::default() };
        let page = collect(&ctx, PREFIX, Some(request), |_, _| Some(Coin::default()));
        assert_eq!(crate::error::Refusal::code(&page.unwrap_err()), 37);
    }
}
