use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use stoa_client::sealing::{Binding, Value, Values};
use stoa_client::tls::{provider_root, tenant as tenant_certificate};

use super::*;
use crate::reconcile::services;
use crate::tests_support::{image, manifest, me, tenant};

const CHAIN: &str = "test-1";
const VALUE: &str = "correct horse battery";

fn open(dir: &Path) -> Secrets {
    let root = provider_root(&me(), 30).unwrap();
    Secrets::open(dir, CHAIN, &me(), &root, None).unwrap()
}

fn id() -> DeploymentId {
    DeploymentId { owner: tenant(), dseq: 1 }
}

fn values(value: &str) -> Values {
    [("db".to_string(), Value::new(value.into()))].into_iter().collect()
}

fn bundle(secrets: &Secrets, revision: u64, value: &str) -> SealedSecrets {
    let binding = Binding {
        chain_id: CHAIN.into(),
        deployment: id(),
        version: "ff".into(),
        group: "here".into(),
        revision,
    };
    let certificate = tenant_certificate(&tenant(), 30).unwrap();
    let signed = Signed::new(binding, values(value), &certificate).unwrap();
    signed.seal(&me(), &secrets.statement().public_key).unwrap()
}

fn service_goals() -> Vec<crate::reconcile::ServiceGoal> {
    let sdl = r#"
version: "2.0"
services:
  web:
    image: nginx:1
    env: ["A=1", "PASSWORD=secret://db"]
    expose: [{port: 80, to: [{global: true}]}]
profiles:
  compute: {web: {resources: {cpu: {units: 1}, memory: {size: 64Mi}, storage: {size: 64Mi}}}}
  placement: {here: {pricing: {web: {denom: ustoa, amount: 1}}}}
deployment: {web: {here: {profile: web, count: 2}}}
"#;
    let images = BTreeMap::from([("nginx:1".to_string(), image('a'))]);
    services("t/1/1/1/p", "ff", &manifest(sdl).groups[0], &images, &[]).unwrap()
}

#[test]
fn bundles_outlive_the_daemon_sealed_and_private_and_the_newest_counts() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let (old, new) = (bundle(&first, 1, "old"), bundle(&first, 2, VALUE));
    assert!(first.keep(new).unwrap());
    assert!(!first.keep(old).unwrap(), "an older one is no news");
    drop(first);

    let again = open(dir.path());
    let own = again.own(&id(), "ff", "here").unwrap().unwrap();
    assert_eq!(own.values.get("db").unwrap().expose(), VALUE);
    assert!(again.own(&id(), "ff", "there").unwrap().is_none());
    for entry in std::fs::read_dir(dir.path().join(DIRECTORY)).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(5).any(|window| window == b"horse"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let key = std::fs::metadata(dir.path().join(KEY_FILE)).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_changed_value_changes_the_specs_hash_and_no_hash_tells_a_value() {
    let (dir, other_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (secrets, other) = (open(dir.path()), open(other_dir.path()));
    let with = |value: &str, secrets: &Secrets| {
        let mut goals = service_goals();
        put_into(&mut goals, &values(value), secrets).unwrap();
        goals[0].instances[0].clone()
    };
    let spec = with(VALUE, &secrets);
    spec.validate().unwrap();
    assert_eq!(spec.env, ["A=1"]);
    assert_eq!(spec.hash(), with(VALUE, &secrets).hash());
    assert_ne!(spec.hash(), with("another", &secrets).hash());
    // The same value by another provider's key: nobody can try guesses.
    assert_ne!(spec.hash(), with(VALUE, &other).hash());
    let shown = format!("{spec:?} {:?}", spec.secrets);
    assert!(shown.contains("PASSWORD") && !shown.contains("horse"), "{shown}");
    // To another machine it goes whole.
    let there: crate::runtime::WorkloadSpec =
        serde_json::from_slice(&serde_json::to_vec(&spec).unwrap()).unwrap();
    assert_eq!(there, spec);
}

#[test]
fn a_secret_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = open(dir.path());
    let error = put_into(&mut service_goals(), &Values::default(), &secrets).unwrap_err();
    assert!(error.contains("db"), "{error}");
}

#[test]
fn what_no_lease_needs_goes_once_it_is_not_young() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = open(dir.path());
    secrets.keep(bundle(&secrets, 1, VALUE)).unwrap();
    let file = || std::fs::read_dir(dir.path().join(DIRECTORY)).unwrap().next();
    secrets.retain(|_, _| false).unwrap();
    assert!(file().is_some(), "it came a moment ago");
    let path = file().unwrap().unwrap().path();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    std::fs::File::open(&path).unwrap().set_modified(long_ago).unwrap();
    secrets.retain(|deployment, version| deployment == id().text() && version == "ff").unwrap();
    assert!(file().is_some(), "it is needed");
    secrets.retain(|_, _| false).unwrap();
    assert!(file().is_none());
    assert!(secrets.own(&id(), "ff", "here").unwrap().is_none());
}
