//! What happened to a lease, as a stream.

use std::sync::Arc;

use stoa_client::ids::TextId;
use stoa_client::proto::gateway::v1::{EventsRequest, LeaseEvent, LeasePhase};
use stoa_client::proto::types::v1::BidId;
use tokio::sync::mpsc;
use tonic::Status;

use super::Context;

/// Events that wait for a slow reader; meanwhile the ring goes on.
const WAITING: usize = 16;

/// What is kept, and with `follow` what comes, until the lease is over.
pub(super) fn stream(
    context: &Arc<Context>,
    lease: &BidId,
    request: &EventsRequest,
) -> mpsc::Receiver<Result<LeaseEvent, Status>> {
    let (out, events) = mpsc::channel(WAITING);
    let (context, name) = (Arc::clone(context), lease.text());
    let (follow, mut after) = (request.follow, request.after);
    tokio::spawn(async move {
        let mut changes = context.board.events().changes();
        let mut board = context.board.changes();
        // A number of before a restart of the daemon: all is news.
        if after > *changes.borrow() {
            after = 0;
        }
        loop {
            for event in context.board.events().after(&name, after) {
                after = event.number;
                if out.send(Ok(event)).await.is_err() {
                    return;
                }
            }
            if !follow || is_over(&context, &name) {
                return;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                changed = board.changed() => if changed.is_err() { return },
                () = out.closed() => return,
            }
        }
    });
    events
}

/// Nothing of it is left, and all was told.
fn is_over(context: &Context, lease: &str) -> bool {
    let known = context.views.borrow().as_ref().map(|view| view.leases.contains_key(lease));
    match context.board.get(lease) {
        Some(status) => status.phase() == LeasePhase::Closing && known == Some(false),
        None => known == Some(false),
    }
}
