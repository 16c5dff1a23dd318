//! Connecting to the provider of a lease.

use stoa_client::{gateway, tls::Identity, Chain};
use stoa_proto::{gateway::v1::gateway_client::GatewayClient, provider::v1::Provider};
use tonic::transport::Channel;

/// A provider's gateway.
pub type Gateway = GatewayClient<Channel>;

/// Connects to a provider as the chain knows it now, also for its other services.
pub async fn connect_both(
    chain: &Chain,
    provider: &str,
    identity: &Identity,
) -> Result<(Gateway, Channel, Provider), stoa_client::Error> {
    let record = chain.query().provider(provider).await?.provider.unwrap_or_default();
    let channel = gateway::channel(&record, Some(identity)).await?;
    Ok((gateway::gateway_client(channel.clone()), channel, record))
}

/// The same, for the gateway's own calls alone.
pub async fn connect(
    chain: &Chain,
    provider: &str,
    identity: &Identity,
) -> Result<(Gateway, Provider), stoa_client::Error> {
    let record = chain.query().provider(provider).await?.provider.unwrap_or_default();
    let client = gateway::connect(&record, Some(identity)).await?;
    Ok((client, record))
}
