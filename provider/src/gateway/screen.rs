//! "Why not": what this provider says of an order.

use stoa_client::proto::cosmos::base::v1beta1::DecCoin;
use stoa_client::proto::gateway::v1::{ScreenRequest, ScreenResponse};
use tonic::Status;

use super::leases::unobservable;
use super::Context;

/// Judges an order as a bid would be. The words are for strangers.
pub(super) async fn answer(
    context: &Context,
    request: ScreenRequest,
) -> Result<ScreenResponse, Status> {
    let id = request.order.ok_or_else(|| Status::invalid_argument("the order's id is missing"))?;
    let view = context.views.borrow().clone();
    let view = view.ok_or_else(|| Status::unavailable("the chain has not been observed yet"))?;
    let seen = view.orders.iter().find(|order| order.id.as_ref() == Some(&id));
    let order = match seen {
        Some(order) => order.clone(),
        None => context.reads.order(&id).await.map_err(unobservable)?,
    };
    let verdict = context.screener.screen(&order, &view).await;
    let verdict = verdict.map_err(|error| Status::internal(error.to_string()))?;
    Ok(ScreenResponse {
        eligible: verdict.reasons.is_empty(),
        reasons: verdict.reasons.iter().map(crate::bidding::Reason::public).collect(),
        price: verdict.rate.map(|rate| DecCoin {
            denom: context.screener.prices.denom().into(),
            amount: rate.to_proto(),
        }),
        has_bid: verdict.has_bid,
    })
}
