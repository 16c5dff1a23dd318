//! The deployment's secrets, sealed to each leased provider and given to
//! whichever is reached.

use std::collections::BTreeMap;

use stoa_client::{
    gateway::error_of,
    sealing::{check_statement, Binding, Signed, Values},
    tls::Identity,
    Chain, Error,
};
use stoa_manifest::Manifest;
use stoa_proto::{
    gateway::v1::{
        secrets_client::SecretsClient, PutSecretsRequest, SealingKey, SealingKeysRequest,
    },
    types::v1::DeploymentId,
};
use tokio::sync::Mutex;
use tonic::transport::Channel;

use crate::text;

/// What providers must be able to open.
pub struct Sealing {
    id: DeploymentId,
    /// By group, where it uses any; the tenant's word on them.
    groups: BTreeMap<String, Signed>,
    /// Group and provider of each lease that needs some.
    leases: Vec<(String, String)>,
    /// Providers' records, asked once.
    known: Mutex<BTreeMap<String, stoa_proto::provider::v1::Provider>>,
}

impl Sealing {
    /// Signs the values of each group. `leases`: group and provider of each.
    pub fn new(
        chain_id: &str,
        id: &DeploymentId,
        version: &str,
        manifest: &Manifest,
        values: &Values,
        leases: Vec<(String, String)>,
        tenant: &Identity,
    ) -> Result<Self, Error> {
        let mut groups = BTreeMap::new();
        for group in &manifest.groups {
            let used = group.secrets();
            if used.is_empty() {
                continue;
            }
            let binding = Binding {
                chain_id: chain_id.into(),
                deployment: id.clone(),
                version: version.into(),
                group: group.name.clone(),
                revision: text::now_millis(),
            };
            let of_group = values.iter().filter(|(name, _)| used.contains(name.as_str()));
            let of_group = of_group.map(|(name, value)| (name.clone(), value.clone())).collect();
            groups.insert(group.name.clone(), Signed::new(binding, of_group, tenant)?);
        }
        let leases = leases.into_iter().filter(|(group, _)| groups.contains_key(group)).collect();
        Ok(Self { id: id.clone(), groups, leases, known: Mutex::default() })
    }

    /// Gives a provider all bundles for which keys are known there. Returns
    /// the providers whose keys are not.
    pub async fn give(&self, chain: &Chain, channel: Channel) -> Result<Vec<String>, Error> {
        if self.leases.is_empty() {
            return Ok(vec![]);
        }
        let mut client = SecretsClient::new(channel);
        let request = SealingKeysRequest { deployment: Some(self.id.clone()) };
        let answer = client.sealing_keys(request).await.map_err(|s| error_of(&s))?.into_inner();
        let keys: BTreeMap<&str, &SealingKey> =
            answer.keys.iter().map(|key| (key.provider.as_str(), key)).collect();
        let mut missing = vec![];
        for (group, provider) in &self.leases {
            let Some(key) = keys.get(provider.as_str()) else {
                missing.push(provider.clone());
                continue;
            };
            // Whoever passes a key on is not believed.
            let record = self.record(chain, provider).await?;
            check_statement(chain.chain_id(), key, &record, text::now())?;
            let Some(signed) = self.groups.get(group) else { continue };
            let bundle = signed.seal(provider, &key.public_key)?;
            let request = PutSecretsRequest { bundles: vec![bundle] };
            client.put_secrets(request).await.map_err(|s| error_of(&s))?;
        }
        Ok(missing)
    }

    async fn record(
        &self,
        chain: &Chain,
        provider: &str,
    ) -> Result<stoa_proto::provider::v1::Provider, Error> {
        let mut known = self.known.lock().await;
        if let Some(record) = known.get(provider) {
            return Ok(record.clone());
        }
        let record = chain.query().provider(provider).await?.provider.unwrap_or_default();
        known.insert(provider.into(), record.clone());
        Ok(record)
    }
}
