//! Getting this provider's bundles from the other providers of a deployment:
//! the one to which the tenant gave them all, or the one whose group this
//! provider took over.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stoa_client::ids::{deployment_of, TextId};
use stoa_client::proto::peer::v1::secrets_client::SecretsClient;
use stoa_client::proto::peer::v1::GetSecretsRequest;
use stoa_client::Error;
use tokio::sync::Notify;

use super::{Secrets, Slot};
use crate::chain::{ChainReads, LeaseView, Views};
use crate::store::ManifestStore;

/// Between looks at what is missing.
const LOOK: Duration = Duration::from_secs(2);
/// Between askings for what is missing: at first, and at most.
const FIRST: Duration = Duration::from_secs(2);
const LAST: Duration = Duration::from_secs(60);
/// Between askings for newer values.
const NEWER: Duration = Duration::from_secs(30);
/// One provider may take so long.
const CALL: Duration = Duration::from_secs(10);

/// Asks for live leases, and for those alone.
pub struct Fetcher {
    pub secrets: Arc<Secrets>,
    pub reads: Arc<dyn ChainReads>,
    pub views: Views,
    pub manifests: Arc<ManifestStore>,
    /// Wakes the reconciler.
    pub wake: Arc<Notify>,
}

/// When a lease is asked for next, and how often in vain.
type Due = HashMap<String, (Instant, u32)>;

impl Fetcher {
    /// For ever.
    pub async fn run(self) {
        let mut due = Due::new();
        loop {
            let view = self.views.borrow().clone();
            if let Some(view) = view {
                due.retain(|lease, _| view.leases.contains_key(lease));
                for lease in view.leases.values() {
                    self.look_after(lease, &mut due).await;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look_after(&self, lease: &LeaseView, due: &mut Due) {
        let version = lease.version();
        let id = deployment_of(&lease.id);
        let Ok(Some(stored)) = self.manifests.get(&id.text(), &version) else { return };
        let Some(group) = stored.manifest.group(&lease.spec.name) else { return };
        if group.secrets().is_empty() {
            return;
        }
        let complete = self.secrets.missing(&id, &version, group).is_empty();
        let (at, tries) = due.get(&lease.name).copied().unwrap_or((Instant::now(), 0));
        // What is complete is asked for newer values only now and then.
        let first = complete && tries == 0;
        if first {
            due.insert(lease.name.clone(), (Instant::now() + NEWER, 1));
            return;
        }
        if Instant::now() < at {
            return;
        }
        match self.ask_all(lease, &version).await {
            Ok(news) if news => self.wake.notify_one(),
            Ok(_) => {}
            Err(error) => tracing::debug!(lease = %lease.name, "asking for secrets: {error}"),
        }
        let pause = match complete {
            true => NEWER,
            false => FIRST.saturating_mul(1 << tries.min(5)).min(LAST),
        };
        due.insert(lease.name.clone(), (Instant::now() + pause, tries.saturating_add(1)));
    }

    /// Whether anything came.
    async fn ask_all(&self, lease: &LeaseView, version: &str) -> stoa_client::Result<bool> {
        let id = deployment_of(&lease.id);
        let all = self.reads.all_leases_of(&id).await?;
        let own = lease.id.provider.as_str();
        let others: BTreeSet<String> =
            all.into_iter().filter_map(|l| l.id).map(|l| l.provider).collect();
        let mut news = false;
        for provider in others.iter().filter(|provider| *provider != own) {
            match tokio::time::timeout(CALL, self.ask(lease, version, provider)).await {
                Ok(Ok(came)) => news |= came,
                Ok(Err(error)) => {
                    tracing::debug!(lease = %lease.name, %provider, "asking for secrets: {error}");
                }
                Err(_) => tracing::debug!(lease = %lease.name, %provider, "no answer in time"),
            }
        }
        Ok(news)
    }

    async fn ask(
        &self,
        lease: &LeaseView,
        version: &str,
        provider: &str,
    ) -> stoa_client::Result<bool> {
        let Some(peers) = self.secrets.peers() else { return Ok(false) };
        let (id, group) = (deployment_of(&lease.id), lease.spec.name.clone());
        let have = self.secrets.bundle(&id, version, &group, &lease.id.provider);
        let request = GetSecretsRequest {
            deployment: Some(id.clone()),
            version: version.into(),
            group: group.clone(),
            above: have.map_or(0, |bundle| bundle.revision),
            key: Some(self.secrets.statement().clone()),
        };
        let mut client = SecretsClient::new(peers.channel(provider).await?);
        let answer = client.get_secrets(request).await;
        let answer = answer.map_err(|s| stoa_client::gateway::error_of(&s))?.into_inner();
        let Some(bundle) = answer.bundle else { return Ok(false) };
        let wanted = super::slot(&id, version, &group, &lease.id.provider);
        if Slot::of(&bundle) != wanted {
            return Err(Error::BadAnswer("the secrets are others than those asked for".into()));
        }
        let signed = self.secrets.open_own(&bundle)?;
        if !self.reads.is_valid_certificate(&id.owner, &signed.certificate).await? {
            return Err(Error::BadAnswer(
                "the secrets are signed with a certificate that is not the tenant's on chain"
                    .into(),
            ));
        }
        let came = self.secrets.keep(bundle).map_err(|e| Error::Invalid(e.to_string()))?;
        if came {
            tracing::info!(lease = %lease.name, %provider, "secrets came");
        }
        Ok(came)
    }
}
