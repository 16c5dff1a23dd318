//! What the forms of the grammar mean, one by one.

#![allow(clippy::unwrap_used)]

mod common;

use common::{accepted, edited, file, refused};
use stoa_manifest::{Expose, Manifest, Parsed, Proto, Service};

fn service<'a>(parsed: &'a Parsed, group: &str, name: &str) -> &'a Service {
    let services = &parsed.manifest.group(group).unwrap().services;
    services.iter().find(|service| service.name == name).unwrap()
}

/// `full.yaml` with something else in the place of the worker's `env`.
fn worker(with: &str) -> Service {
    let parsed = accepted(&edited("    env: []\n", with));
    let back = Manifest::from_canonical(&parsed.manifest.canonical_json()).unwrap();
    assert_eq!(back, parsed.manifest);
    service(&parsed, "far", "worker").clone()
}

fn exposed(with: &str) -> Vec<Expose> {
    worker(&format!("    expose: [{with}]\n")).expose
}

#[test]
fn lists_are_absent_empty_or_filled() {
    assert_eq!(worker("").env, None);
    assert_eq!(worker("    env:\n").env, None);
    assert_eq!(worker("    env: ~\n").env, None);
    assert_eq!(worker("    env: []\n").env, Some(vec![]));
    let numbers = worker("    args: [80, 0x10, true, null, \"null\", 1.50]\n").args.unwrap();
    assert_eq!(numbers, ["80", "0x10", "true", "", "null", "1.50"], "as written");
    let block = worker("    command:\n      - sh\n      - -c\n      - |\n        a\n        b\n");
    assert_eq!(block.command.unwrap(), ["sh", "-c", "a\nb\n"]);
}

#[test]
fn ports_protocols_and_listeners() {
    let one = &exposed("{port: 53}")[0];
    assert_eq!((one.port, one.external_port, one.proto), (53, 0, Proto::Tcp));
    assert_eq!((one.global, one.service.as_str(), one.hosts.as_ref()), (false, "", None));
    assert_eq!(exposed("{port: 53, proto: uDp, as: 0}")[0].proto, Proto::Udp);
    assert_eq!(exposed("{port: 1, accept: []}")[0].hosts, Some(vec![]));
    let sorted = exposed(
        "{port: 9, to: [{service: web}, {service: api}, {global: true}]}, \
         {port: 9, proto: udp, to: [{global: true}]}, {port: 8, to: [{service: web}]}, \
         {port: 9, to: [{service: web, global: yes}]}",
    );
    let order: Vec<_> =
        sorted.iter().map(|e| (e.service.as_str(), e.port, e.proto, e.global)).collect();
    assert_eq!(
        order,
        [
            ("", 9, Proto::Tcp, true),
            ("", 9, Proto::Udp, true),
            ("api", 9, Proto::Tcp, false),
            ("web", 8, Proto::Tcp, false),
            ("web", 9, Proto::Tcp, true),
            ("web", 9, Proto::Tcp, false),
        ]
    );
}

#[test]
fn http_options_are_defaults_where_zero_or_absent() {
    let plain = exposed("{port: 80}").remove(0).http_options;
    let zeros = "{max_body_size: 0, read_timeout: 0, next_tries: 0, next_cases: []}";
    let zeroed = exposed(&format!("{{port: 80, http_options: {zeros}}}")).remove(0).http_options;
    assert_eq!(plain, zeroed);
    assert_eq!((plain.max_body_size, plain.next_tries, plain.proxy_buffer_size), (1_048_576, 3, 0));
    let off = exposed("{port: 80, http_options: {next_cases: [off]}}").remove(0).http_options;
    assert_eq!(off.next_cases, ["off"]);
}

#[test]
fn which_endpoints_an_expose_takes() {
    let kinds = |with: &str| -> Vec<u32> {
        let parsed = accepted(&edited("    env: []\n", &format!("    expose: [{with}]\n")));
        let unit = &parsed.groups[0].resources[0].resource;
        unit.endpoints.iter().map(|endpoint| endpoint.kind.into()).collect()
    };
    assert_eq!(kinds("{port: 80, to: [{global: true}]}"), [0], "shared HTTP");
    assert_eq!(kinds("{port: 8080, as: 80, to: [{global: true}]}"), [0]);
    assert_eq!(kinds("{port: 80, as: 81, to: [{global: true}]}"), [1], "random port");
    assert_eq!(kinds("{port: 80, proto: udp, to: [{global: true}]}"), [1]);
    assert!(kinds("{port: 80, to: [{service: web}]}").is_empty(), "not the world");
    assert_eq!(kinds("{port: 80, to: [{global: true, ip: front}]}"), [0, 2], "leased IP");
}

#[test]
fn a_shared_ip_has_the_last_of_its_numbers() {
    let numbers = |with: &str| -> Vec<u32> {
        exposed(with).iter().map(|expose| expose.endpoint_sequence_number).collect()
    };
    // Already there: "" and "" (api's two services), "front" (web's).
    assert_eq!(numbers("{port: 1, to: [{global: true, ip: front}]}"), [4]);
    let two = "{port: 1, to: [{global: true, ip: front}]}, {port: 2, to: [{service: web}]}";
    assert_eq!(numbers(two), [5, 0]);
}

#[test]
fn parameters_absent_and_empty() {
    assert_eq!(worker("").params.map(|p| p.storage), Some(vec![]), "tee alone");
    let canonical = |with: &str| {
        let text = edited("    params:\n      tee: cpu-gpu\n", with);
        String::from_utf8(accepted(&text).manifest.canonical_json()).unwrap()
    };
    assert!(canonical("").contains("\"name\":\"worker\",\"resources\""));
    assert!(canonical("    params:\n").contains("\"name\":\"worker\",\"resources\""));
    assert!(canonical("    params: {}\n").contains("\"params\":{\"storage\":null}"));
    let empty = "\"params\":{\"permissions\":{},\"storage\":null}";
    assert!(canonical("    params: {permissions: {}}\n").contains(empty));
}

#[test]
fn volumes_by_their_attributes() {
    let attributes = |with: &str| -> Vec<String> {
        let text = edited("{persistent: true}", with);
        let parsed = accepted(&text);
        let volumes = &service(&parsed, "near", "api").resources.storage;
        let data = volumes.iter().find(|volume| volume.name == "data").unwrap();
        let mut words = vec![data.class().to_owned()];
        words.extend(data.attributes.iter().map(|a| format!("{}={}", a.key, a.value)));
        words
    };
    assert_eq!(attributes("{persistent: yes}"), ["default", "class=default", "persistent=true"]);
    assert_eq!(attributes("{persistent: \"on\", class: beta1}")[1], "class=beta1");
    assert_eq!(attributes("{persistent: false}"), ["ephemeral", "persistent=false"]);
    assert_eq!(attributes("{}"), ["ephemeral", "persistent=false"]);
    assert_eq!(attributes("~"), ["ephemeral"]);
    assert_eq!(attributes("{class: ram, persistent: no}")[0], "ram");
}

#[test]
fn a_single_volume_is_named_default() {
    let parsed = accepted(&edited("storage: {size: 1G}", "storage: {name: mine, size: 1G}"));
    assert_eq!(service(&parsed, "near", "web").resources.storage[0].name, "default");
    assert!(parsed.warnings[0].message.contains("`name` is ignored"), "{}", parsed.warnings[0]);
}

#[test]
fn gpus_by_vendor_and_model() {
    let keys = |with: &str| -> Vec<String> {
        let models =
            "\n                - {model: a100, ram: 80Gi, interface: sxm}\n                - \
                      {model: h100}\n";
        let parsed = accepted(&edited(models, with));
        let gpu = &service(&parsed, "far", "worker").resources.gpu;
        gpu.attributes.iter().map(|attribute| attribute.key.clone()).collect()
    };
    assert_eq!(keys("\n"), ["vendor/nvidia/model/*"], "any");
    assert_eq!(keys(" []\n"), ["vendor/nvidia/model/*"]);
    assert_eq!(
        keys(" [{model: t4}, {model: a10, ram: 24.9Gi}, {model: a10, interface: pcie}]\n"),
        [
            "vendor/nvidia/model/a10/interface/pcie",
            "vendor/nvidia/model/a10/ram/24Gi",
            "vendor/nvidia/model/t4"
        ]
    );
    let slash = refused(&edited("{model: h100}", "{model: h/100}"));
    assert!(slash[0].message.contains("not a GPU model"), "{}", slash[0]);
    let two = edited(
        "              nvidia:",
        "              amd: [{model: mi300x}]\n              nvidia:",
    );
    let warnings = accepted(&two).warnings;
    assert!(warnings.iter().any(|w| w.message.contains("several GPU vendors")), "{warnings:?}");
}

#[test]
fn anchors_and_merged_maps_are_followed() {
    let text = edited("    env: []\n", "    env: &e [A=1]\n    args: *e\n").replace(
        "        small: {denom: ustoa, amount: 1, per: second}",
        "        small: {<<: {denom: ustoa, per: hour}, amount: 7200, per: second}",
    );
    let parsed = accepted(&text);
    let worker = service(&parsed, "far", "worker");
    assert_eq!(worker.args, worker.env);
}

#[test]
fn what_stands_at_two_places_must_not_collide() {
    let near = "  web:\n    near: {profile: small, count: 2}";
    let both = format!("{near}\n    far: {{profile: small, count: 1}}");
    let errors = refused(&edited(near, &both));
    assert!(errors[0].message.contains("UDP port 9000 of this IP"), "{}", errors[0]);
    let text = edited(near, &both)
        .replace("            ip: front\n", "")
        .replace("endpoints:\n  front: {kind: ip}\n", "");
    let errors = refused(&text);
    assert!(errors[0].message.contains("is at two placements"), "{}", errors[0]);
}

#[test]
fn somebody_must_be_reachable() {
    let text = file("foreign.yaml").replace("- global: true", "- service: site");
    let errors = refused(&text);
    assert!(errors[0].message.contains("exposed to the world"), "{}", errors[0]);
    assert_eq!((errors[0].line, errors[0].path.as_str()), (29, "deployment"));
}

#[test]
fn one_kind_of_trusted_environment_at_a_placement() {
    let text = edited("  worker:\n    far: {profile: gpu, count: 3}", {
        "  worker:\n    far: {profile: gpu, count: 3}\n    near: {profile: gpu, count: 1}"
    })
    .replace(
        "        stateful: {denom",
        "        gpu: {denom: ustoa, amount: 1}\n        stateful: {denom",
    )
    .replace("egress: none\n    params:\n", "egress: none\n    params:\n      tee: cpu\n");
    let errors = refused(&text);
    assert!(errors[0].message.contains("a placement can have one kind"), "{}", errors[0]);
}

#[test]
fn files_as_people_write_them() {
    let parsed = accepted(&file("styles.yaml"));
    let app = service(&parsed, "dcloud", "app");
    let args = app.args.as_ref().unwrap();
    assert_eq!(args[0], "first ; echo \"a\" ; sleep infinity");
    assert_eq!(args[1], "serve --port 8080 --quiet");
    let db = service(&parsed, "dcloud", "db");
    assert_eq!(db.image, "postgres:16");
    assert_eq!(db.env.as_ref().unwrap()[1], "GREETING=\"hello there\"");
    let volumes: Vec<_> = db.resources.storage.iter().map(|volume| volume.class()).collect();
    assert_eq!(volumes, ["ephemeral", "ram", "beta3"], "equal sizes: without attributes first");
    let warned: Vec<_> = parsed.warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(
        warned,
        [
            "services.db.restart",
            "services.db.volumes",
            "services.db.expose[0].to[0]",
            "services.app.depends_on"
        ]
    );
}
