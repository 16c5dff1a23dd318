//! Sealed secrets: from tenants, and among providers.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use stoa_client::ids::TextId;
use stoa_client::proto::gateway::v1::{
    secrets_server::Secrets as TenantCalls, PutSecretsRequest, PutSecretsResponse, SealedSecrets,
    SealingKey, SealingKeysRequest, SealingKeysResponse,
};
use stoa_client::proto::peer::v1::{
    secrets_client::SecretsClient, secrets_server::Secrets as PeerCalls, GetSecretsRequest,
    GetSecretsResponse, SealingKeyRequest,
};
use stoa_client::proto::types::v1::DeploymentId;
use stoa_client::sealing::{check_statement, MAX_TEXT};
use stoa_client::token::Scope;
use tonic::{Request, Response, Status};

use super::caller::caller;
use super::leases::{live_leases, own_deployment, sharing, unobservable};
use super::providers::provider_caller;
use super::Context;
use crate::chain::spec_of;
use crate::secrets::unix_now;

/// Bundles of one call.
const MAX_BUNDLES: usize = 64;
/// Another provider may take so long to say its key.
const PEER: Duration = Duration::from_secs(5);

/// What tenants call.
#[derive(Clone)]
pub(super) struct TenantSecrets(pub(super) Arc<Context>);

/// What other providers call.
#[derive(Clone)]
pub(super) struct PeerSecrets(pub(super) Arc<Context>);

#[tonic::async_trait]
impl TenantCalls for TenantSecrets {
    async fn sealing_keys(
        &self,
        request: Request<SealingKeysRequest>,
    ) -> Result<Response<SealingKeysResponse>, Status> {
        let caller = caller(&request, Scope::SendManifest)?;
        let id = own_deployment(request.into_inner().deployment, &caller)?;
        live_leases(&self.0, &id).await?;
        let mut providers: Vec<String> =
            leased(&self.0, &id).await?.into_iter().map(|(_, provider)| provider).collect();
        providers.sort();
        providers.dedup();
        let found = join_all(providers.iter().map(|provider| self.key_of(provider))).await;
        let mut answer = SealingKeysResponse::default();
        for (provider, key) in providers.into_iter().zip(found) {
            match key {
                Some(key) => answer.keys.push(key),
                None => answer.missing.push(provider),
            }
        }
        Ok(Response::new(answer))
    }

    async fn put_secrets(
        &self,
        request: Request<PutSecretsRequest>,
    ) -> Result<Response<PutSecretsResponse>, Status> {
        let caller = caller(&request, Scope::SendManifest)?;
        let bundles = request.into_inner().bundles;
        if bundles.is_empty() || bundles.len() > MAX_BUNDLES {
            return Err(Status::invalid_argument(format!("bundles are 1 to {MAX_BUNDLES}")));
        }
        let id = own_deployment(bundles.first().and_then(|b| b.deployment.clone()), &caller)?;
        let (deployment, _) = live_leases(&self.0, &id).await?;
        let version = hex::encode(&deployment.version);
        let leased = leased(&self.0, &id).await?;
        for bundle in bundles {
            check(&bundle, &id, &version, &leased)?;
            self.keep(bundle, &id).await?;
        }
        self.0.wake.notify_one();
        Ok(Response::new(PutSecretsResponse {}))
    }
}

impl TenantSecrets {
    /// A provider's key: this one's own, or what another says, or said last.
    async fn key_of(&self, provider: &str) -> Option<SealingKey> {
        let secrets = &self.0.secrets;
        if provider == self.0.provider {
            return Some(secrets.statement().clone());
        }
        let asked = async {
            let peers = secrets.peers()?;
            let mut client = SecretsClient::new(peers.channel(provider).await.ok()?);
            let key = client.sealing_key(SealingKeyRequest {}).await.ok()?.into_inner();
            let record = peers.record(provider).await.ok()?;
            check_statement(secrets.chain_id(), &key, &record, unix_now()).ok()?;
            secrets.note_key(&key);
            Some(key)
        };
        let key = tokio::time::timeout(PEER, asked).await.ok().flatten();
        key.or_else(|| secrets.key_of(provider))
    }

    /// One's own is opened first: what does not open, or is not the tenant's,
    /// is of no use.
    async fn keep(&self, bundle: SealedSecrets, id: &DeploymentId) -> Result<(), Status> {
        let context = &self.0;
        if bundle.recipient == context.provider {
            let signed = context.secrets.open_own(&bundle);
            let signed = signed.map_err(|e| Status::invalid_argument(e.to_string()))?;
            let known = context.reads.is_valid_certificate(&id.owner, &signed.certificate).await;
            if !known.map_err(unobservable)? {
                return Err(Status::permission_denied(
                    "the secrets are signed with a certificate that is not the tenant's on chain",
                ));
            }
        }
        context.secrets.keep(bundle).map(drop).map_err(|error| {
            tracing::error!("keeping sealed secrets: {error}");
            Status::resource_exhausted("the sealed secrets could not be kept here; try later")
        })
    }
}

#[tonic::async_trait]
impl PeerCalls for PeerSecrets {
    async fn sealing_key(
        &self,
        request: Request<SealingKeyRequest>,
    ) -> Result<Response<SealingKey>, Status> {
        provider_caller(&request)?;
        Ok(Response::new(self.0.secrets.statement().clone()))
    }

    async fn get_secrets(
        &self,
        request: Request<GetSecretsRequest>,
    ) -> Result<Response<GetSecretsResponse>, Status> {
        let to = provider_caller(&request)?.address;
        let request = request.into_inner();
        let id = request.deployment.clone();
        let id = id.ok_or_else(|| Status::invalid_argument("the deployment's id is missing"))?;
        let leased = leased(&self.0, &id).await?;
        if !leased.iter().any(|(group, provider)| *group == request.group && *provider == to) {
            return Err(Status::permission_denied(format!(
                "{to} has no live lease of group {} of deployment {}",
                request.group.chars().take(64).collect::<String>(),
                id.text()
            )));
        }
        let secrets = &self.0.secrets;
        let (version, group) = (request.version.as_str(), request.group.as_str());
        let left = secrets.bundle(&id, version, group, &to);
        let own = secrets.bundle(&id, version, group, &self.0.provider);
        let newest = |bundle: &Option<SealedSecrets>| bundle.as_ref().map_or(0, |b| b.revision);
        if newest(&left).max(newest(&own)) <= request.above {
            return Ok(Response::new(GetSecretsResponse { bundle: None }));
        }
        let bundle = match (left, own) {
            (Some(left), own) if left.revision >= newest(&own) => left,
            (_, Some(own)) => self.seal_anew(&own, &to, request.key.as_ref()).await?,
            (left, None) => return Ok(Response::new(GetSecretsResponse { bundle: left })),
        };
        Ok(Response::new(GetSecretsResponse { bundle: Some(bundle) }))
    }
}

impl PeerSecrets {
    /// This provider's own values for who has the group now.
    async fn seal_anew(
        &self,
        own: &SealedSecrets,
        to: &str,
        key: Option<&SealingKey>,
    ) -> Result<SealedSecrets, Status> {
        let key = key.ok_or_else(|| Status::invalid_argument("the caller's key is missing"))?;
        let record = self.0.reads.other_provider(to).await.map_err(unobservable)?;
        let bad = |e: stoa_client::Error| Status::invalid_argument(e.to_string());
        check_statement(self.0.secrets.chain_id(), key, &record, unix_now()).map_err(bad)?;
        let signed = self.0.secrets.open_own(own).map_err(|error| {
            tracing::error!("opening one's own secrets: {error}");
            Status::internal("the provider failed; its log says why")
        })?;
        tracing::info!(deployment = %signed.binding.deployment.text(), %to, "secrets sealed anew");
        signed.seal(to, &key.public_key).map_err(bad)
    }
}

/// Group and provider of each live lease of a deployment.
async fn leased(context: &Context, id: &DeploymentId) -> Result<Vec<(String, String)>, Status> {
    let mut leased = vec![];
    for lease in sharing(context, id).await? {
        let spec = spec_of(context.reads.as_ref(), &lease).await.map_err(unobservable)?;
        leased.push((spec.name, lease.provider));
    }
    Ok(leased)
}

/// Refuses what is for nobody that has a lease now.
fn check(
    bundle: &SealedSecrets,
    id: &DeploymentId,
    version: &str,
    leased: &[(String, String)],
) -> Result<(), Status> {
    if bundle.deployment.as_ref() != Some(id) {
        return Err(Status::invalid_argument("the bundles are of several deployments"));
    }
    if bundle.version != version {
        return Err(Status::failed_precondition(format!(
            "the secrets are for version {}, and deployment {} has {version} on chain",
            bundle.version.chars().take(64).collect::<String>(),
            id.text()
        )));
    }
    let for_one = |(group, provider): &(String, String)| {
        *group == bundle.group && *provider == bundle.recipient
    };
    if !leased.iter().any(for_one) {
        return Err(Status::failed_precondition(format!(
            "{} has no live lease of that group of deployment {}",
            bundle.recipient.chars().take(64).collect::<String>(),
            id.text()
        )));
    }
    match bundle.ciphertext.len() > MAX_TEXT || bundle.encapsulated_key.len() != 32 {
        true => Err(Status::invalid_argument(format!("the text has more than {MAX_TEXT} bytes"))),
        false => Ok(()),
    }
}
