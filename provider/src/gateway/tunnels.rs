//! What other providers ask about tunnels.

use std::sync::Arc;

use stoa_client::ids::TextId;
use stoa_client::proto::peer::v1::tunnels_server::Tunnels;
use stoa_client::proto::peer::v1::{EndpointsRequest, EndpointsResponse};
use stoa_client::proto::types::v1::DeploymentId;
use tonic::{Request, Response, Status};

use super::leases::sharing;
use super::providers::provider_caller;
use super::Context;

/// Answers providers about tunnels.
#[derive(Clone)]
pub(super) struct TunnelService(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Tunnels for TunnelService {
    async fn endpoints(
        &self,
        request: Request<EndpointsRequest>,
    ) -> Result<Response<EndpointsResponse>, Status> {
        let caller = provider_caller(&request)?;
        let id = request.into_inner().deployment;
        let id = id.ok_or_else(|| Status::invalid_argument("the deployment's id is missing"))?;
        share_a_deployment(&self.0, &id, &caller.address).await?;
        let endpoints = self.0.config.tunnel_endpoints();
        Ok(Response::new(EndpointsResponse { endpoints }))
    }
}

/// Refuses a provider with which this one shares no live deployment of that
/// id.
async fn share_a_deployment(
    context: &Context,
    id: &DeploymentId,
    caller: &str,
) -> Result<(), Status> {
    let leases = sharing(context, id).await?;
    let has_one = |provider: &str| leases.iter().any(|lease| lease.provider == provider);
    match has_one(caller) && has_one(&context.provider) {
        true => Ok(()),
        false => Err(Status::permission_denied(format!(
            "{caller} and {} do not both have a live lease of deployment {}",
            context.provider,
            id.text()
        ))),
    }
}
