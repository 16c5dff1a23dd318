//! Options on messages, fields and methods.

use std::collections::BTreeMap;

use prost_reflect::{
    DescriptorPool, DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, Value,
};

use crate::pool;

fn option(pool: &DescriptorPool, of: DynamicMessage, name: &str) -> Option<Value> {
    let extension = pool.get_extension_by_name(name).unwrap();
    of.has_extension(&extension).then(|| of.get_extension(&extension).into_owned())
}

fn amino_name(pool: &DescriptorPool, message: &MessageDescriptor) -> Option<String> {
    option(pool, message.options(), "stoa.options.v1.amino_name")
        .and_then(|v| v.as_str().map(str::to_owned))
}

/// All messages that a transaction may carry.
fn transactions(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    pool.services()
        .filter(|s| s.name() == "Msg")
        .flat_map(|s| s.methods().map(|m| m.input()).collect::<Vec<_>>())
        .collect()
}

#[test]
fn each_message_of_a_transaction_has_an_amino_name_that_a_ledger_shows_and_no_other_has() {
    let pool = pool();
    let mut names = BTreeMap::new();
    for message in transactions(&pool) {
        // The only one that Cosmos chains have no amino name for.
        if message.full_name() == "cosmos.feegrant.v1beta1.MsgPruneAllowances" {
            continue;
        }
        let name = amino_name(&pool, &message)
            .unwrap_or_else(|| panic!("{} has no amino name", message.full_name()));
        assert!(name.len() < 40, "{name} is too long for a Ledger");
        assert_eq!(names.insert(name, message.full_name().to_owned()), None);
    }
}

#[test]
fn a_field_marked_dec_is_text_or_bytes() {
    let pool = pool();
    let mut marked = 0;
    for field in pool.all_messages().flat_map(|m| m.fields().collect::<Vec<_>>()) {
        if option(&pool, field.options(), "stoa.options.v1.dec").is_some() {
            assert!(matches!(field.kind(), Kind::String | Kind::Bytes), "{}", field.full_name());
            marked += 1;
        }
    }
    assert!(marked > 20, "only {marked} fields");
}

/// The paths of a method's rule, with its other bindings.
fn paths(pool: &DescriptorPool, method: &MethodDescriptor) -> Vec<String> {
    let Some(Value::Message(rule)) = option(pool, method.options(), "google.api.http") else {
        return Vec::new();
    };
    let bindings = rule.get_field_by_name("additional_bindings").unwrap().into_owned();
    let mut rules = vec![rule];
    rules.extend(bindings.as_list().unwrap().iter().map(|v| v.as_message().unwrap().clone()));
    rules
        .iter()
        .map(|rule| {
            let verb = ["get", "post"].into_iter().find(|v| rule.has_field_by_name(v)).unwrap();
            format!("{verb} {}", rule.get_field_by_name(verb).unwrap().as_str().unwrap())
        })
        .collect()
}

#[test]
fn each_unary_query_has_a_path_over_rest_and_no_two_have_one() {
    let pool = pool();
    let mut seen = BTreeMap::new();
    // A provider's own services are no queries of the chain.
    let providers = ["stoa.gateway.v1", "stoa.agent.v1", "stoa.peer.v1"];
    for service in pool.services() {
        let package = service.parent_file().package_name().to_owned();
        if service.name() == "Msg" || providers.contains(&package.as_str()) {
            continue;
        }
        for method in service.methods() {
            let paths = paths(&pool, &method);
            let none = method.is_server_streaming() || method.name() == "AddressBytesToString";
            assert_eq!(paths.is_empty(), none, "{}", method.full_name());
            for path in paths {
                assert_eq!(seen.insert(path, method.full_name().to_owned()), None);
            }
        }
    }
}

#[test]
fn each_name_in_a_path_is_a_field_of_the_request() {
    let pool = pool();
    for method in pool.services().flat_map(|s| s.methods().collect::<Vec<_>>()) {
        for path in paths(&pool, &method) {
            for part in path.split('{').skip(1) {
                let name = part.split(['}', '=']).next().unwrap();
                let mut message = Some(method.input());
                for step in name.split('.') {
                    let field = message
                        .as_ref()
                        .and_then(|m| m.get_field_by_name(step))
                        .unwrap_or_else(|| panic!("{path}: no field {name}"));
                    message = field.kind().as_message().cloned();
                }
                assert!(message.is_none(), "{path}: {name} is a message");
            }
        }
    }
}
