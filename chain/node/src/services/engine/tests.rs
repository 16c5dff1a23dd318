use cosmos_sdk_proto::cosmos::{
    base::query::v1beta1::PageRequest, tx::v1beta1::GetTxsEventRequest,
};

use super::{
    to_height, to_page,
    transactions::{page_of, query_of},
};

fn page(offset: u64, limit: u64) -> Option<PageRequest> {
    Some(PageRequest { offset, limit, ..Default::default() })
}

#[test]
fn an_offset_is_the_page_that_begins_there() {
    assert_eq!(to_page(None).unwrap(), (1, 100));
    assert_eq!(to_page(page(0, 10)).unwrap(), (1, 10));
    assert_eq!(to_page(page(20, 10)).unwrap(), (3, 10));
    assert_eq!(to_page(page(0, 1_000)).unwrap(), (1, 100), "a page has at most 100");
    assert!(to_page(page(5, 10)).is_err(), "within a page");
    assert!(to_page(page(u64::MAX, 1)).is_err());
    assert!(to_page(Some(PageRequest { key: vec![1], ..Default::default() })).is_err());
}

#[test]
#[allow(deprecated)]
fn a_search_takes_the_words_of_both_ages() {
    let query = |query: &str, events: &[&str]| {
        query_of(&GetTxsEventRequest {
            query: query.to_owned(),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            ..Default::default()
        })
    };
    assert_eq!(query("tx.height=5", &[]).unwrap(), "tx.height=5");
    assert_eq!(query("", &["a.b='c'", "d.e='f'"]).unwrap(), "a.b='c' AND d.e='f'");
    assert!(query("", &[]).is_err());
    assert!(query(" ", &[]).is_err());
    assert!(query(&"x".repeat(5_000), &[]).is_err());
    let paged = |page, limit, pagination| {
        page_of(&GetTxsEventRequest { page, limit, pagination, ..Default::default() }).unwrap()
    };
    assert_eq!(paged(3, 20, None), (3, 20));
    assert_eq!(paged(0, 20, None), (1, 20));
    assert_eq!(paged(0, 0, page(40, 20)), (3, 20));
}

#[test]
fn a_height_is_positive() {
    assert_eq!(to_height(1).unwrap().value(), 1);
    assert!(to_height(0).is_err());
    assert!(to_height(-1).is_err());
}
