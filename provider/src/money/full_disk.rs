//! Booking on a disk that is full, and then is not.

use std::fs;
use std::sync::Arc;

use tokio::sync::watch;

use super::tests::{created, paid, Market, Past};
use super::{keep_books, Books, Filter, Kind, LedgerFile};
use crate::tests_disk::{fill, run_on_a_small_disk, small_disk};
use crate::tests_support::me;

#[test]
fn a_full_disk_ends_no_booking_and_no_payment_is_missed_or_booked_twice() {
    run_on_a_small_disk("money::full_disk::child_books_on_a_small_disk", 1024);
}

#[tokio::test]
#[ignore = "the child process of a_full_disk_ends_no_booking_and_no_payment_is_missed_or_booked_twice"]
async fn child_books_on_a_small_disk() {
    let (disk, market) = (small_disk(), Arc::<Market>::default());
    let (path, ballast) = (disk.join("ledger.db"), disk.join("ballast"));
    let file = LedgerFile { path, chain_id: "test-1".into(), provider: me() };
    let begin = || {
        let (told, books) = watch::channel(Books::default());
        let past = Arc::new(Past(market.clone()));
        (tokio::spawn(keep_books(file.clone(), past, told)), books)
    };
    let well = |books: &Books| {
        let tip = market.tip();
        books.problem.is_none() && books.height >= tip && books.held_at >= tip
    };

    let (run, mut books) = begin();
    market.block(vec![created(1)]);
    market.block(vec![paid(1, 10)]);
    books.wait_for(well).await.unwrap();
    fill(&ballast);
    for dseq in 2..20 {
        market.block(vec![created(dseq), paid(dseq, 3), paid(1, 1)]);
    }
    let full = books.wait_for(|books| books.problem.is_some()).await.unwrap().clone();
    assert!(full.problem.unwrap().contains("full"), "{:?}", books.borrow().problem);
    assert!(!run.is_finished());

    // A daemon that starts on the full disk waits as well.
    run.abort();
    let _ = run.await;
    // The end of the first may have left a little.
    fill(&disk.join("rest"));
    let (run, mut books) = begin();
    books.wait_for(|books| books.problem.is_some()).await.unwrap();
    assert!(!run.is_finished());

    fs::remove_file(&ballast).unwrap();
    books.wait_for(well).await.unwrap();
    assert_eq!(books.borrow().earned["ustoa"], market.paid());
    assert_eq!(books.borrow().mismatches, 0);
    run.abort();
    let _ = run.await;
    let earnings = file.open().unwrap().earnings(&Filter::default()).unwrap();
    assert_eq!(earnings.total["ustoa"], market.paid().to_string());
    assert_eq!(earnings.payments.len(), 37);
    assert!(earnings.payments.iter().all(|line| line.kind == Kind::Paid));
}
