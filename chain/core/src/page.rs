//! Pages of long lists.

use cosmos_sdk_proto::cosmos::base::query::v1beta1::{PageRequest, PageResponse};
use prost::Message;

use crate::ctx::Ctx;
use crate::error::SdkError;

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
/// page.
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
    let from = [prefix, &request.key].concat();
    let mut items = Vec::new();
    let (mut matched, mut scanned, mut bytes) = (0u64, 0u64, 0usize);
    let mut next_key = Vec::new();
    for (key, value) in ctx.range(&from, &crate::state::after_prefix(prefix)) {
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
    if request.reverse {
        return Err(SdkError::NotSupported("pages in reverse order".to_owned()));
    }
    if !request.key.is_empty() && (request.offset > 0 || request.count_total) {
        let text = "a page is named by its key or by an offset (with count_total), not by both";
        return Err(SdkError::InvalidRequest(text.to_owned()));
    }
    if request.key.len() > 256 {
        return Err(SdkError::InvalidRequest("the page's key is over 256 bytes".to_owned()));
    }
    Ok(())
}

fn suffix(prefix: &[u8], key: &[u8]) -> Vec<u8> {
    key.strip_prefix(prefix).unwrap_or_default().to_vec()
}
