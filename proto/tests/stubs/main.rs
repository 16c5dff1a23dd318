//! What `stubs/` declares is what the Rust types of cosmos-sdk-proto are, and
//! what the options say of messages and methods is whole.

#![allow(clippy::unwrap_used)]

mod fill;
mod options;
mod shape;
mod types;

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use fill::{choices, filled, has_unknown, newer_than_the_rust_type};

fn pool() -> DescriptorPool {
    DescriptorPool::decode(stoa_proto::FILE_DESCRIPTOR_SET).unwrap()
}

/// Those that have a Rust type of others.
fn declared(pool: &DescriptorPool) -> impl Iterator<Item = MessageDescriptor> + '_ {
    pool.all_messages().filter(|m| {
        let package = m.package_name();
        (package.starts_with("cosmos.") && package != "cosmos.consensus.v1")
            || package.starts_with("tendermint.")
    })
}

#[test]
fn every_declared_message_is_held_against_its_rust_type() {
    let pool = pool();
    let declared: BTreeSet<String> = declared(&pool).map(|m| m.full_name().to_owned()).collect();
    let listed: BTreeSet<String> = types::all().into_iter().map(|(name, _)| name).collect();
    assert_eq!(declared, listed);
}

#[test]
fn what_a_declared_message_holds_the_rust_type_keeps_and_nothing_unknown_comes_back() {
    let pool = pool();
    let shapes: BTreeMap<_, _> = types::all().into_iter().collect();
    for message in declared(&pool) {
        let name = message.full_name();
        for choice in 0..choices(&message) {
            let sent = filled(&message, choice);
            let kept = (shapes[name].through)(&sent.encode_to_vec()).unwrap();
            let back = DynamicMessage::decode(message.clone(), kept.as_slice()).unwrap();
            assert!(!has_unknown(&back), "{name}");
            assert_eq!(sent, back, "{name}, oneofs' field {choice}");
        }
    }
}

#[test]
fn a_rust_type_has_no_field_that_its_declaration_lacks() {
    let pool = pool();
    let shapes: BTreeMap<_, _> = types::all().into_iter().collect();
    for message in declared(&pool) {
        let ours: BTreeSet<String> = message
            .fields()
            .filter(|f| !newer_than_the_rust_type(f))
            .map(|f| match f.containing_oneof() {
                Some(oneof) => oneof.name().to_owned(),
                None => f.name().to_owned(),
            })
            .collect();
        let theirs: BTreeSet<String> = shapes[message.full_name()].fields.iter().cloned().collect();
        assert_eq!(ours, theirs, "{}", message.full_name());
    }
}

#[test]
fn the_tail_of_a_body_holds_what_its_rust_type_lacks() {
    let pool = pool();
    let body = pool.get_message_by_name("cosmos.tx.v1beta1.TxBody").unwrap();
    let tail = pool.get_message_by_name("stoa.tx.v1.TxBodyTail").unwrap();
    for field in tail.fields() {
        let same = body.get_field(field.number()).unwrap();
        assert_eq!((field.name(), field.kind()), (same.name(), same.kind()));
        assert!(newer_than_the_rust_type(&same));
    }
    assert_eq!(tail.fields().len(), body.fields().filter(newer_than_the_rust_type).count());
}
