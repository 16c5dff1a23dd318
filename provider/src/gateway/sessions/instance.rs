//! Which instance a call is about.

use std::collections::BTreeSet;

use stoa_client::ids::TextId;
use stoa_client::proto::types::v1::BidId;
use tonic::Status;

use super::super::logs::engine_error;
use super::super::Context;
use crate::runtime::InstanceKey;

/// The instance with an index of a service of a lease; where the service's
/// name is empty, of the only one that there is. It must run.
pub(in super::super) async fn find(
    context: &Context,
    lease: &BidId,
    service: &str,
    index: u32,
) -> Result<InstanceKey, Status> {
    let name = lease.text();
    let service = match service {
        "" => only_service(context, &name)?,
        service => service.to_string(),
    };
    let key = InstanceKey { lease: name, service, index };
    let seen = context.backend.observe_instance(&key).await.map_err(engine_error)?;
    match seen.workload {
        Some(workload) if workload.is_running() => Ok(key),
        Some(_) => Err(Status::failed_precondition(format!(
            "instance {}/{} does not run now; `stoa status` and `stoa logs` show why",
            key.service, key.index
        ))),
        None => Err(Status::not_found(format!(
            "there is no instance {}/{} of lease {}; `stoa status` shows what there is",
            key.service, key.index, key.lease
        ))),
    }
}

fn only_service(context: &Context, lease: &str) -> Result<String, Status> {
    let services = context.board.get(lease).map(|status| status.services).unwrap_or_default();
    let names: BTreeSet<String> = services.into_iter().map(|service| service.name).collect();
    let mut names = names.into_iter();
    match (names.next(), names.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(Status::failed_precondition("nothing runs for this lease yet")),
        (Some(first), Some(second)) => Err(Status::invalid_argument(format!(
            "the lease has several services ({first}, {second}…): name one"
        ))),
    }
}
