//! Sealed secrets, over real TLS, from a tenant to one provider and on to
//! another.

use stoa_client::proto::gateway::v1::secrets_client::SecretsClient;
use stoa_client::proto::gateway::v1::{
    PutSecretsRequest, SealedSecrets, SealingKey, SealingKeysRequest,
};
use stoa_client::proto::peer::v1::secrets_client::SecretsClient as PeerClient;
use stoa_client::proto::peer::v1::GetSecretsRequest;
use stoa_client::sealing::{
    check_statement, make_statement, open, Binding, SealingSecret, Signed, Value, Values,
};

use super::peers::Other;
use super::*;
use crate::secrets::unix_now;

const VALUE: &str = "correct horse battery";

fn chain_id() -> String {
    config().chain.id
}

fn version(stage: &Stage) -> String {
    hex::encode(stage.manifest.version())
}

fn group() -> String {
    order(1).spec.unwrap().name
}

fn signed(stage: &Stage, by: &Identity, revision: u64) -> Signed {
    let binding = Binding {
        chain_id: chain_id(),
        deployment: stage.deployment(),
        version: version(stage),
        group: group(),
        revision,
    };
    let values: Values = [("db".to_string(), Value::new(VALUE.into()))].into_iter().collect();
    Signed::new(binding, values, by).unwrap()
}

async fn tenants(stage: &Stage) -> SecretsClient<Channel> {
    let channel = stoa_client::gateway::channel(&stage.record, Some(&stage.tenant)).await;
    SecretsClient::new(channel.unwrap())
}

async fn put(stage: &Stage, bundle: SealedSecrets) -> Result<(), Status> {
    let request = PutSecretsRequest { bundles: vec![bundle] };
    tenants(stage).await.put_secrets(request).await.map(drop)
}

async fn own_key(stage: &Stage) -> SealingKey {
    let request = SealingKeysRequest { deployment: Some(stage.deployment()) };
    let answer = tenants(stage).await.sealing_keys(request).await.unwrap().into_inner();
    let [key] = answer.keys.as_slice() else { panic!("{answer:?}") };
    check_statement(&chain_id(), key, &stage.record, unix_now()).unwrap();
    key.clone()
}

async fn get(
    stage: &Stage,
    other: &Other,
    above: u64,
    key: Option<SealingKey>,
) -> Result<Option<SealedSecrets>, Status> {
    let request = GetSecretsRequest {
        deployment: Some(stage.deployment()),
        version: version(stage),
        group: group(),
        above,
        key,
    };
    let mut client = PeerClient::new(other.peers.channel(&me()).await.unwrap());
    client.get_secrets(request).await.map(|answer| answer.into_inner().bundle)
}

#[tokio::test]
async fn a_tenants_secrets_are_kept_only_where_they_are_its_own_and_for_who_has_the_lease() {
    let stage = Stage::set().await;
    let key = own_key(&stage).await;
    let good = signed(&stage, &stage.tenant, 1).seal(&me(), &key.public_key).unwrap();
    put(&stage, good.clone()).await.unwrap();
    let own = stage.secrets.own(&stage.deployment(), &version(&stage), &group()).unwrap();
    assert_eq!(own.unwrap().values.get("db").unwrap().expose(), VALUE);

    // By a certificate of the tenant's name that is not on chain.
    let forged = tenant_certificate(&tenant(), 30).unwrap();
    let forged = signed(&stage, &forged, 2).seal(&me(), &key.public_key).unwrap();
    refused(put(&stage, forged).await, Code::PermissionDenied, "not the tenant's on chain");
    // To another key.
    let closed = SealingSecret::generate();
    let closed = signed(&stage, &stage.tenant, 2).seal(&me(), &closed.public()).unwrap();
    refused(put(&stage, closed).await, Code::InvalidArgument, "do not open");
    // Of another version, and for a provider without a lease.
    let old = SealedSecrets { version: "ab".repeat(32), ..good.clone() };
    refused(put(&stage, old).await, Code::FailedPrecondition, "on chain");
    let stranger = Address::from([9; 20]).to_string();
    let elsewhere = signed(&stage, &stage.tenant, 2).seal(&stranger, &key.public_key).unwrap();
    refused(put(&stage, elsewhere).await, Code::FailedPrecondition, "no live lease");
}

#[tokio::test]
async fn who_took_a_group_over_gets_the_values_sealed_anew_and_nobody_else_does() {
    let stage = Stage::set().await;
    let key = own_key(&stage).await;
    let bundle = signed(&stage, &stage.tenant, 5).seal(&me(), &key.public_key).unwrap();
    put(&stage, bundle).await.unwrap();

    let other = Other::joins(&stage);
    let secret = SealingSecret::generate();
    let statement = |root: &Identity| {
        make_statement(&chain_id(), &other.address, secret.public(), root, unix_now()).unwrap()
    };
    let good = statement(&other.root);
    let got = get(&stage, &other, 0, Some(good.clone())).await.unwrap().unwrap();
    let opened = open(&chain_id(), &other.address, &secret, &got).unwrap();
    assert_eq!(opened.values.get("db").unwrap().expose(), VALUE);
    assert!(get(&stage, &other, 5, Some(good)).await.unwrap().is_none(), "nothing newer");
    // A key that its root on chain did not sign.
    let foreign = statement(&provider_root(&other.address, 30).unwrap());
    refused(get(&stage, &other, 0, Some(foreign)).await, Code::InvalidArgument, "not signed");

    // Once its lease is closed it gets nothing.
    stage.chain.change(|state| state.other_leases.clear());
    let good = statement(&other.root);
    refused(get(&stage, &other, 0, Some(good)).await, Code::PermissionDenied, "no live lease");
}

#[tokio::test]
async fn what_the_tenant_left_for_another_provider_is_passed_on_as_it_is() {
    let stage = Stage::set().await;
    let other = Other::joins(&stage);
    let secret = SealingSecret::generate();
    let bundle = signed(&stage, &stage.tenant, 1).seal(&other.address, &secret.public()).unwrap();
    put(&stage, bundle.clone()).await.unwrap();
    assert!(stage.secrets.own(&stage.deployment(), &version(&stage), &group()).unwrap().is_none());
    assert_eq!(get(&stage, &other, 0, None).await.unwrap(), Some(bundle));
}
