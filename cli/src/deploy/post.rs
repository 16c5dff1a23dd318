//! Posting: the intent on disk, the transaction, and what became of it.

use std::time::Duration;

use stoa_client::{
    chain::Fate,
    money::show_coin,
    tx::{any, TxOptions, TxResult},
};
use stoa_proto::{deployment::v1::DeploymentState, types::v1::DeploymentId};
use tokio::time::Instant;

use super::{
    plan::Plan,
    state::{Intent, Stage, State, Store},
    Tenant,
};
use crate::{certificate, exit::Failure, out, tx::deployment::creation};

/// How long the chain is asked about a transaction of an earlier run.
const DECISION: Duration = Duration::from_secs(180);

/// Posts a plan: certificate (where the chain lacks it) and deployment in one
/// transaction.
pub async fn post(tenant: &Tenant, store: &Store, plan: &Plan) -> Result<State, Failure> {
    let (chain, owner) = (&tenant.chain, &tenant.owner);
    let (_, certificate) =
        certificate::ensure(&tenant.context, chain.query(), chain.chain_id(), owner).await?;
    let new_certificate = certificate.is_some();
    let id = DeploymentId { owner: owner.clone(), dseq: next_dseq(tenant, store).await? };
    let version = hex::encode(plan.sdl.parsed.manifest.version());
    let mut state = State::new(chain.chain_id(), &id, plan.file.clone(), version);
    state.deposit = show_coin(&plan.deposit);
    state.blobs = plan.sdl.blobs.clone();
    for path in state.blobs.values_mut() {
        *path = std::fs::canonicalize(&path)
            .map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
    }
    let create = creation(owner, id.dseq, &plan.sdl, plan.deposit.clone())?;
    let messages = certificate.into_iter().chain([any(&create)]).collect();
    store.write_manifest(&state, &plan.sdl.parsed.manifest.canonical_json())?;
    let key = tenant.signer()?;
    out::doing("posting the deployment");
    let options = TxOptions::default();
    let sent = chain.execute(&key, messages, &options, |signed, sent| {
        state.intent = Some(Intent::new(signed, sent));
        let written = store.write(&state);
        written.map_err(|e| stoa_client::Error::Invalid(e.to_string()))
    });
    match sent.await {
        Ok(result) => posted(tenant, store, state, &result, new_certificate),
        Err(error) => {
            // A refusal decides it; anything else the next run looks into.
            if error.refusal().is_some() || state.intent.is_none() {
                store.forget(&state)?;
            }
            Err(error.into())
        }
    }
}

fn posted(
    tenant: &Tenant,
    store: &Store,
    mut state: State,
    result: &TxResult,
    new_certificate: bool,
) -> Result<State, Failure> {
    if new_certificate {
        out::step("registered a new tenant's certificate");
    }
    tenant.context.tell_tx(&format!("deployment {} posted", state.dseq), result);
    state.stage = Stage::Posted;
    store.write(&state)?;
    Ok(state)
}

/// The height, or more where the owner's last was that high: on chain, or kept
/// here and perhaps under way.
async fn next_dseq(tenant: &Tenant, store: &Store) -> Result<u64, Failure> {
    let height = tenant.chain.rpc().status().await?.latest_height;
    let query = tenant.chain.query();
    let all = query.deployments(&tenant.owner, DeploymentState::Unspecified).await?;
    let last = all.iter().filter_map(|v| v.deployment.as_ref()?.id.as_ref()).map(|id| id.dseq);
    let last = last.max().unwrap_or(0).max(store.last_dseq(&tenant.owner)?);
    Ok(height.max(last.saturating_add(1)))
}

/// Finds out whether an intent reached the chain. None: it did not, never will,
/// and is forgotten.
pub async fn settle(
    tenant: &Tenant,
    store: &Store,
    mut state: State,
) -> Result<Option<State>, Failure> {
    if state.stage == Stage::Intent {
        let Some(intent) = &state.intent else {
            store.forget(&state)?;
            return Ok(None);
        };
        out::doing(&format!("deployment {}: looking for its transaction", state.dseq));
        let (signed, sent) = intent.signed()?;
        let deadline = Instant::now() + DECISION;
        let landed = match tenant.chain.confirm(Some(&signed), &sent, deadline).await? {
            Fate::Included(result) => result.code == 0,
            Fate::Dropped | Fate::Undecided => false,
        };
        if !landed {
            store.forget(&state)?;
            return Ok(None);
        }
        state.stage = Stage::Posted;
        store.write(&state)?;
    }
    let view = tenant.chain.query().deployment(&state.id()).await;
    let closed = match view {
        Ok(view) => view.deployment.is_none_or(|d| d.state() == DeploymentState::Closed),
        Err(stoa_client::Error::NotFound(_)) => true,
        Err(error) => return Err(error.into()),
    };
    if closed {
        state.stage = Stage::Closed;
        store.write(&state)?;
        return Ok(None);
    }
    Ok(Some(state))
}

/// An earlier run of the same file that broke off and still stands.
pub async fn unfinished(
    tenant: &Tenant,
    store: &Store,
    plan: &Plan,
) -> Result<Option<State>, Failure> {
    let version = hex::encode(plan.sdl.parsed.manifest.version());
    for state in store.unfinished(&tenant.owner, &plan.file)? {
        let Some(state) = settle(tenant, store, state).await? else { continue };
        if state.version != version {
            return Err(Failure::new(format!(
                "an unfinished deployment {} came from this file as it was before (version \
                 {}…). Go on with it by `stoa deploy --resume {}`, change it by `stoa update {} \
                 FILE`, end it by `stoa close {}`, or post another beside it with --new",
                state.dseq,
                state.version.get(..12).unwrap_or_default(),
                state.dseq,
                state.dseq,
                state.dseq
            )));
        }
        out::step(&format!(
            "deployment {} of this file was begun before; going on with it",
            state.dseq
        ));
        return Ok(Some(state));
    }
    Ok(None)
}

/// Says where the file runs already: posting it again is another deployment.
pub async fn tell_running(tenant: &Tenant, store: &Store, plan: &Plan) -> Result<(), Failure> {
    for state in store.running(&tenant.owner, &plan.file)? {
        let view = tenant.chain.query().deployment(&state.id()).await;
        let active =
            view.is_ok_and(|v| v.deployment.is_some_and(|d| d.state() == DeploymentState::Active));
        if active {
            out::note(&format!(
                "note: deployment {} of this file is running; this is another beside it \
                 (`stoa update {} FILE` would have changed that one)",
                state.dseq, state.dseq
            ));
        }
    }
    Ok(())
}
