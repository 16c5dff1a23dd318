//! Closes what is left of leases when their time has come.

use std::collections::HashMap;
use std::path::PathBuf;

use stoa_client::proto::market::v1::{LeaseState, MsgCloseBid};
use stoa_client::proto::types::v1::BidId;
use stoa_client::tx::any;
use stoa_client::TxQueue;
use tokio::time::{Duration, Instant};

use super::Drain;
use crate::chain::{View, Views};

/// Between tries of a close that failed.
const RETRY: Duration = Duration::from_secs(30);

/// Watches until the views end.
pub async fn close_in_time(queue: TxQueue, mut views: Views, data_dir: PathBuf) {
    let mut tried: HashMap<String, Instant> = HashMap::new();
    while views.changed().await.is_ok() {
        let Some(view) = views.borrow_and_update().clone() else { continue };
        // The bidder tells of what cannot be read.
        let Ok(Some(drain)) = super::read(&data_dir) else { continue };
        tried.retain(|lease, at| view.leases.contains_key(lease) && at.elapsed() < RETRY);
        let due = due(&view, drain).into_iter().filter(|(name, _)| !tried.contains_key(name));
        let due: Vec<(String, BidId)> = due.collect();
        tried.extend(due.iter().map(|(name, _)| (name.clone(), Instant::now())));
        futures::future::join_all(due.into_iter().map(|(name, id)| close(&queue, name, id))).await;
    }
}

async fn close(queue: &TxQueue, name: String, id: BidId) {
    let message = MsgCloseBid { provider: queue.address().into(), lease: Some(id) };
    match queue.submit_labelled(&format!("close:{name}"), vec![any(&message)]).await {
        Ok(done) => tracing::info!(lease = %name, height = done.height, "closed, for draining"),
        Err(error) => tracing::warn!(lease = %name, "closing, for draining: {error}"),
    }
}

/// Leases that must be closed now to have ended by then: those with a window
/// of notice so much sooner. By the chain's clock.
fn due(view: &View, drain: Drain) -> Vec<(String, BidId)> {
    let Some(by) = drain.close_by else { return vec![] };
    let leases = view.leases.values();
    let due = leases.filter(|lease| {
        let at = by.saturating_sub(lease.spec.reclamation);
        lease.lease.state() != LeaseState::Reclaiming && view.time >= at
    });
    due.map(|lease| (lease.name.clone(), lease.id.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{lease_view, order, view, NOW};

    #[test]
    fn leases_are_closed_in_time_those_with_notice_sooner() {
        let mut view = view();
        let mut noticed = lease_view(&order(2));
        noticed.spec.reclamation = 3600;
        for lease in [lease_view(&order(1)), noticed.clone()] {
            view.leases.insert(lease.name.clone(), lease);
        }
        let names = |view: &View, close_by| {
            let drain = Drain { since: 0, close_by };
            due(view, drain).into_iter().map(|(_, id)| id.dseq).collect::<Vec<_>>()
        };
        assert!(names(&view, None).is_empty());
        assert!(names(&view, Some(NOW + 3601)).is_empty());
        assert_eq!(names(&view, Some(NOW + 3600)), [2]);
        assert_eq!(names(&view, Some(NOW)), [1, 2]);
        view.leases.get_mut(&noticed.name).unwrap().lease.set_state(LeaseState::Reclaiming);
        assert_eq!(names(&view, Some(NOW)), [1]);
    }
}
