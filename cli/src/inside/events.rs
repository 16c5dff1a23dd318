//! `stoa events`: what happened to a deployment's leases at their providers.

use std::time::Duration;

use clap::Args;
use futures::{future::join_all, StreamExt};
use serde_json::json;
use stoa_client::{
    gateway::{self, error_of, tenant_client},
    ids::TextId,
    tls::Identity,
    Error,
};
use stoa_proto::{
    gateway::v1::{EventKind, EventsRequest, LeaseEvent},
    types::v1::BidId,
};
use time::{format_description::well_known::Rfc3339, OffsetDateTime};

use super::live_leases;
use crate::{context::Context, deploy::Tenant, exit::Failure, out};

/// Between attempts at a provider that went away while following.
const RETRY: Duration = Duration::from_secs(2);

/// Arguments of `stoa events`.
#[derive(Clone, Debug, Args)]
pub struct EventsArgs {
    /// OWNER/DSEQ, or DSEQ of one's own
    pub id: String,
    /// Go on with what comes
    #[arg(long, short)]
    pub follow: bool,
    /// Only of this service; what is of the whole lease is left out
    #[arg(long, short)]
    pub service: Option<String>,
}

/// Runs it.
pub async fn run(context: &Context, args: EventsArgs) -> Result<(), Failure> {
    let tenant = Tenant::open(context).await?;
    let leases = live_leases(&tenant, &context.deployment_id(&args.id)?).await?;
    let identity = tenant.identity().await?;
    let told = leases.iter().map(|lease| follow(&tenant, &identity, lease, &args));
    let mut past = vec![];
    let mut failure = None;
    for (lease, ended) in leases.iter().zip(join_all(told).await) {
        match ended {
            Ok(events) => past.extend(events.into_iter().map(|event| (lease, event))),
            Err(error) => failure = Some(error),
        }
    }
    // Of several providers, in the order of their clocks.
    past.sort_by_key(|(_, event)| event.time);
    past.iter().for_each(|(lease, event)| print(context, lease, event));
    failure.map_or(Ok(()), Err)
}

/// One lease's events: the past, or, while following, printed as they come,
/// over reconnects without repeating.
async fn follow(
    tenant: &Tenant,
    identity: &Identity,
    lease: &BidId,
    args: &EventsArgs,
) -> Result<Vec<LeaseEvent>, Failure> {
    let mut after = 0;
    loop {
        match stream(tenant, identity, lease, args, &mut after).await {
            // All was told, or the lease is over.
            Ok(past) => return Ok(past),
            Err(error) if args.follow && error.is_transient() => {}
            Err(error) => return Err(error.into()),
        }
        out::doing("the provider's connection ended; connecting again");
        tokio::time::sleep(RETRY).await;
    }
}

async fn stream(
    tenant: &Tenant,
    identity: &Identity,
    lease: &BidId,
    args: &EventsArgs,
    after: &mut u64,
) -> Result<Vec<LeaseEvent>, Error> {
    let record = tenant.chain.query().provider(&lease.provider).await?.provider.unwrap_or_default();
    let channel = gateway::channel(&record, Some(identity)).await?;
    let request = EventsRequest { lease: Some(lease.clone()), follow: args.follow, after: *after };
    let events = tenant_client(channel).events(request).await.map_err(|s| error_of(&s))?;
    let mut events = events.into_inner();
    let mut past = vec![];
    while let Some(event) = events.next().await {
        let event = event.map_err(|s| error_of(&s))?;
        *after = event.number;
        if args.service.as_ref().is_none_or(|service| *service == event.service) {
            match args.follow {
                true => print(&tenant.context, lease, &event),
                false => past.push(event),
            }
        }
    }
    Ok(past)
}

fn print(context: &Context, lease: &BidId, event: &LeaseEvent) {
    let time = moment(event.time);
    if context.is_json() {
        let value = json!({
            "lease": lease.text(),
            "number": event.number.to_string(),
            "time": time,
            "kind": kind(event),
            "service": event.service,
            "instance": event.instance,
            "message": event.message,
        });
        return out::print_lines(&value.to_string());
    }
    let of = match event.service.as_str() {
        "" => format!("group {}", lease.gseq),
        service => format!("{service}/{}", event.instance),
    };
    out::print_lines(&format!("{time}  {of}  {}", event.message));
}

fn kind(event: &LeaseEvent) -> &'static str {
    match event.kind() {
        EventKind::Unspecified => "unknown",
        EventKind::State => "state",
        EventKind::Engine => "engine",
        EventKind::Image => "image",
        EventKind::Manifest => "manifest",
        EventKind::Tenant => "tenant",
    }
}

/// RFC 3339 of Unix milliseconds, to the second.
fn moment(millis: u64) -> String {
    let seconds = i64::try_from(millis / 1000).unwrap_or(0);
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(moment(1_767_323_045_678), "2026-01-02T03:04:05Z");
    }
}
