//! All pages of a list.

use std::future::Future;

use stoa_proto::cosmos::base::query::v1beta1::{PageRequest, PageResponse};

use crate::{Error, Result};

/// Items of one page.
const PAGE: u64 = 100;
/// The most that [`all`] reads: a bound against a node that never ends.
pub const MAX_ITEMS: usize = 1_000_000;

/// The first page's request.
pub(super) fn first() -> PageRequest {
    PageRequest { limit: PAGE, ..PageRequest::default() }
}

/// Reads page after page.
pub(super) async fn all<T, F, Fut>(fetch: F) -> Result<Vec<T>>
where
    F: Fn(PageRequest) -> Fut,
    Fut: Future<Output = Result<(Vec<T>, Option<PageResponse>)>>,
{
    let mut items = vec![];
    let mut request = first();
    loop {
        let (page, response) = fetch(request.clone()).await?;
        let empty = page.is_empty();
        items.extend(page);
        let next = response.map(|r| r.next_key).unwrap_or_default();
        if next.is_empty() {
            return Ok(items);
        }
        if empty || next == request.key || items.len() > MAX_ITEMS {
            return Err(Error::BadAnswer("the node's pages lead nowhere".into()));
        }
        request.key = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn follows_next_keys_to_the_end() {
        let items = all(|request: PageRequest| async move {
            let start = request.key.first().copied().unwrap_or(0);
            let next_key = if start < 20 { vec![start + 10] } else { vec![] };
            let page = (start..start + 10).collect::<Vec<u8>>();
            Ok((page, Some(PageResponse { next_key, total: 0 })))
        })
        .await
        .unwrap();
        assert_eq!(items, (0..30).collect::<Vec<u8>>());
    }

    #[tokio::test]
    async fn a_key_that_repeats_is_refused() {
        let result: Result<Vec<u8>> =
            all(|_| async { Ok((vec![1], Some(PageResponse { next_key: vec![9], total: 0 }))) })
                .await;
        assert!(matches!(result, Err(Error::BadAnswer(_))));
    }
}
