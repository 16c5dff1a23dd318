//! `stoa restart`: stops and starts a service.

use clap::Args;
use serde_json::json;
use stoa_proto::gateway::v1::RestartRequest;

use super::{broken, find};
use crate::{context::Context, exit::Failure, out};

/// Arguments of `stoa restart`.
#[derive(Clone, Debug, Args)]
pub struct RestartArgs {
    /// OWNER/DSEQ, or DSEQ of one's own
    pub id: String,
    /// NAME: all its instances, one after the other; NAME/INDEX: this one
    pub service: String,
}

/// Runs it.
pub async fn run(context: &Context, args: RestartArgs) -> Result<(), Failure> {
    let mut target = find(context, &args.id, &args.service).await?;
    let request = RestartRequest {
        lease: Some(target.lease.clone()),
        service: target.service.clone(),
        instance: args.service.contains('/').then_some(target.index),
    };
    let done = target.client.restart(request).await.map_err(|s| broken(&s))?.into_inner();
    if context.is_json() {
        return out::print_json(&json!({
            "service": target.service,
            "instances": done.instances,
        }));
    }
    for index in done.instances {
        out::step(&format!("{}/{index} was restarted", target.service));
    }
    Ok(())
}
