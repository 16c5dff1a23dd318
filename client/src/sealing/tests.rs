use super::*;
use crate::{
    proto::provider::v1::Provider,
    tls::{provider_root, tenant},
    Address,
};

const CHAIN: &str = "stoa-test";
const VALUE: &str = "correct horse battery staple";

fn owner() -> String {
    Address::from([1; 20]).to_string()
}

fn binding() -> Binding {
    Binding {
        chain_id: CHAIN.into(),
        deployment: DeploymentId { owner: owner(), dseq: 7 },
        version: "ab".repeat(32),
        group: "west".into(),
        revision: 3,
    }
}

fn values() -> Values {
    [("db-password".to_owned(), Value::new(VALUE.into()))].into_iter().collect()
}

fn signed() -> Signed {
    Signed::new(binding(), values(), &tenant(&owner(), 30).unwrap()).unwrap()
}

#[test]
fn only_the_recipient_opens_and_only_where_nothing_was_moved() {
    let (key, other) = (SealingSecret::generate(), SealingSecret::generate());
    let bundle = signed().seal("p1", &key.public()).unwrap();
    let opened = open(CHAIN, "p1", &key, &bundle).unwrap();
    assert_eq!(opened.values.get("db-password").unwrap().expose(), VALUE);
    assert!(!bundle.ciphertext.windows(7).any(|w| w == b"correct"));

    assert!(open(CHAIN, "p1", &other, &bundle).is_err(), "another key");
    assert!(open("stoa-other", "p1", &key, &bundle).is_err(), "another chain");
    assert!(open(CHAIN, "p2", &key, &bundle).is_err(), "another provider");
    let moves: [fn(&mut SealedSecrets); 7] = [
        |b| b.recipient = "p2".into(),
        |b| b.version = "cd".repeat(32),
        |b| b.group = "east".into(),
        |b| b.revision += 1,
        |b| b.deployment.as_mut().unwrap().dseq += 1,
        |b| b.ciphertext[9] ^= 1,
        |b| b.encapsulated_key[9] ^= 1,
    ];
    for moved in moves {
        let mut bundle = bundle.clone();
        moved(&mut bundle);
        let recipient = bundle.recipient.clone();
        let error = open(CHAIN, &recipient, &key, &bundle).unwrap_err();
        assert!(!error.to_string().contains("horse"), "{error}");
    }
}

#[test]
fn who_took_a_group_over_gets_the_same_signed_values() {
    let (first, second) = (SealingSecret::generate(), SealingSecret::generate());
    let bundle = signed().seal("p1", &first.public()).unwrap();
    let again = open(CHAIN, "p1", &first, &bundle).unwrap().seal("p2", &second.public()).unwrap();
    assert_eq!(open(CHAIN, "p2", &second, &again).unwrap().values, values());
}

#[test]
fn a_provider_cannot_make_up_secrets_for_another() {
    let key = SealingSecret::generate();
    // By a certificate of its own name.
    let stranger = tenant(&Address::from([2; 20]).to_string(), 30).unwrap();
    let forged = Signed::new(binding(), values(), &stranger).unwrap();
    let bundle = forged.seal("p1", &key.public()).unwrap();
    let error = open(CHAIN, "p1", &key, &bundle).unwrap_err();
    assert!(error.to_string().contains("signed by"), "{error}");
    // With the tenant's certificate and other values than those signed.
    let mut altered = signed();
    altered.values = [("db-password".to_owned(), Value::new("mine".into()))].into_iter().collect();
    assert!(open(CHAIN, "p1", &key, &altered.seal("p1", &key.public()).unwrap()).is_err());
    // Signed for another group.
    let mut moved = signed();
    moved.binding.group = "east".into();
    assert!(open(CHAIN, "p1", &key, &moved.seal("p1", &key.public()).unwrap()).is_err());
}

#[test]
fn nothing_that_is_printed_has_a_value_in_it() {
    let signed = signed();
    let shown = format!("{signed:?} {:?} {:?}", signed.values, SealingSecret::generate());
    assert!(shown.contains("db-password") && !shown.contains("horse"), "{shown}");
}

#[test]
fn lengths_tell_little() {
    let key = SealingSecret::generate();
    let sealed = |value: &str| {
        let values = [("a".to_owned(), Value::new(value.into()))].into_iter().collect();
        let signed = Signed::new(binding(), values, &tenant(&owner(), 30).unwrap()).unwrap();
        signed.seal("p", &key.public()).unwrap().ciphertext.len() % PADDING
    };
    assert_eq!(sealed("x"), sealed("a much longer value than that"));
}

#[test]
fn too_much_and_bad_names_are_refused() {
    let sign = |values| Signed::new(binding(), values, &tenant(&owner(), 30).unwrap());
    let one =
        |name: &str, value: String| [(name.to_owned(), Value::new(value))].into_iter().collect();
    assert!(sign(one("A b", "x".into())).is_err());
    assert!(sign(one("a", "x\0".into())).is_err());
    assert!(sign(one("a", "x".repeat(MAX_VALUE + 1))).is_err());
    let many = (0..5).map(|n| (format!("a{n}"), Value::new("x".repeat(MAX_VALUE)))).collect();
    assert!(sign(many).is_err());
    sign(one("a", "x".repeat(MAX_VALUE))).unwrap();
}

#[test]
fn a_statement_is_the_roots_on_chain_or_counts_for_nothing() {
    let provider = Address::from([5; 20]).to_string();
    let (root, foreign) =
        (provider_root(&provider, 30).unwrap(), provider_root(&provider, 30).unwrap());
    let record = Provider {
        owner: provider.clone(),
        root_certificate: root.certificate().to_vec(),
        ..Provider::default()
    };
    let key = SealingSecret::generate();
    let make = |root| make_statement(CHAIN, &provider, key.public(), root, 1_000).unwrap();
    let good = make(&root);
    check_statement(CHAIN, &good, &record, 1_000).unwrap();
    assert!(check_statement("stoa-other", &good, &record, 1_000).is_err());
    assert!(check_statement(CHAIN, &make(&foreign), &record, 1_000).is_err());
    assert!(check_statement(CHAIN, &good, &record, 1).is_err(), "of the future");
    let mut altered = good.clone();
    altered.public_key[0] ^= 1;
    assert!(check_statement(CHAIN, &altered, &record, 1_000).is_err());
    let other = Provider { owner: Address::from([6; 20]).to_string(), ..record };
    assert!(check_statement(CHAIN, &good, &other, 1_000).is_err());
}
