//! Fetches what leases have earned, on a schedule.

use std::time::Duration;

use stoa_client::money::show_coin;
use stoa_client::proto::market::v1::{MsgWithdrawLease, MsgWithdrawLeaseResponse};
use stoa_client::proto::types::v1::BidId;
use stoa_client::tx::any;
use stoa_client::TxQueue;

use crate::chain::{View, Views};

/// The market's limit on leases in one message.
pub(crate) const MAX_LEASES: usize = 100;

/// Withdraws every so often until the views end.
pub async fn withdraw_regularly(queue: TxQueue, mut views: Views, every: Duration) {
    let mut timer = tokio::time::interval(every);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    timer.tick().await;
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            changed = views.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        }
        let Some(view) = views.borrow().clone() else { continue };
        if let Err(error) = withdraw(&queue, &view).await {
            tracing::warn!("withdrawing: {error}; it is tried again in {} s", every.as_secs());
        }
    }
}

/// Withdraws from every lease that is paid, once.
pub async fn withdraw(queue: &TxQueue, view: &View) -> stoa_client::Result<Vec<String>> {
    let paid: Vec<BidId> = view
        .leases
        .values()
        .filter(|lease| !lease.is_pending())
        .map(|lease| lease.id.clone())
        .collect();
    let mut amounts = vec![];
    for batch in paid.chunks(MAX_LEASES) {
        let message = MsgWithdrawLease { provider: queue.address().into(), leases: batch.to_vec() };
        let done = queue.submit_labelled("withdraw", vec![any(&message)]).await?;
        let answer: MsgWithdrawLeaseResponse = done.response(0)?;
        let paid: Vec<String> = answer.paid.iter().map(show_coin).collect();
        tracing::info!(
            leases = batch.len(),
            paid = paid.join(","),
            height = done.height,
            "withdrawn"
        );
        amounts.extend(paid);
    }
    Ok(amounts)
}
