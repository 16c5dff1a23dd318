//! Connecting to the provider of a lease.

use stoa_client::{gateway, tls::Identity, Chain};
use stoa_proto::{gateway::v1::gateway_client::GatewayClient, provider::v1::Provider};
use tonic::transport::Channel;

/// A provider's gateway.
pub type Gateway = GatewayClient<Channel>;

/// Connects to a provider as the chain knows it now.
pub async fn connect(
    chain: &Chain,
    provider: &str,
    identity: &Identity,
) -> Result<(Gateway, Provider), stoa_client::Error> {
    let record = chain.query().provider(provider).await?.provider.unwrap_or_default();
    let client = gateway::connect(&record, Some(identity)).await?;
    Ok((client, record))
}
