//! Each rule of the grammar broken once, in a file that keeps all the others: the first error
//! names the place and the cause, and says what would be right.

#![allow(clippy::unwrap_used)]

mod common;

use common::{accepted, edited, refused};

/// What is changed in `full.yaml`, to what, and how the first error begins.
const REFUSALS: &[(&str, &str, &str)] = &[
    // The file as a whole.
    ("version: \"2.1\"", "version: \"1.5\"", "2:10: error: version: version 1.5 is not supported"),
    ("version: \"2.1\"", "version: soon", "2:10: error: version: `soon` is not a version"),
    ("version: \"2.1\"\n", "", "2:1: error: version: `version` is missing"),
    (
        "reclamation:",
        "reclaimation:",
        "110:1: error: reclaimation: the key `reclaimation` is not known",
    ),
    ("  worker:\n    far:", "  web:\n    far:", "106:3: error: web: the key `web` is there twice"),
    ("market:\n", "market: &m\n  x: *m\n", "113:6: error: this alias stands within what it names"),
    (
        "    near: {profile: small, count: 2}",
        "    near: [",
        "104:3: error: this is not YAML: invalid indentation",
    ),
    // Services.
    (
        "  web:\n    image",
        "  Web:\n    image",
        "4:3: error: services.Web: `Web` is not a service's",
    ),
    ("image: ./images/web.tar", "image: \"\"", "5:12: error: services.web.image: `image` is empty"),
    ("    image: ./images/web.tar\n", "", "4:3: error: services.web.image: `image` is missing"),
    ("./images/web.tar", "a b", "5:12: error: services.web.image: `a b` is not an image"),
    ("./images/web.tar", "blob:12:3", "5:12: error: services.web.image: `blob:12:3` is not an"),
    ("./images/web.tar", "./other.tar", "5:12: error: services.web.image: the image file"),
    ("[/bin/web, --listen]", "/bin/web", "6:14: error: services.web.command: a list is expected"),
    ("[\"0.0.0.0:8080\"]", "[\"a\\0b\"]", "7:11: error: services.web.args: a NUL character"),
    ("- INHERITED", "- 9LIVES=x", "10:9: error: services.web.env[1]: `9LIVES` is not a variable"),
    ("- INHERITED", "- NAME: x", "10:9: error: services.web.env[1]: a text is expected here"),
    (
        "egress: none",
        "egress: some",
        "39:13: error: services.api.egress: `some` is not an egress rule",
    ),
    // Credentials.
    ("      host: ghcr.io\n", "", "34:5: error: services.api.credentials.host: `host` is missing"),
    (
        "\" robot \"",
        "\" \"",
        "37:17: error: services.api.credentials.username: `username` is empty",
    ),
    (
        "      password: correct-horse\n",
        "",
        "34:5: error: services.api.credentials.password: `password` is missing",
    ),
    // Exposed ports.
    (
        "      - port: 8080\n        as",
        "      - as",
        "14:9: error: services.web.expose[0].port: `port`",
    ),
    ("port: 8080\n", "port: 65536\n", "14:15: error: services.web.expose[0].port: 65536 is more"),
    ("port: 8080\n", "port: \"80\"\n", "14:15: error: services.web.expose[0].port: a number is"),
    ("port: 8080\n", "port: http\n", "14:15: error: services.web.expose[0].port: `http` is not a"),
    ("as: 80\n", "as: 70000\n", "15:13: error: services.web.expose[0].as: 70000 is more than"),
    ("proto: udp", "proto: icmp", "28:16: error: services.web.expose[1].proto: `icmp` is not a"),
    (
        "shop.example.com, www",
        "Shop_1, www",
        "16:18: error: services.web.expose[0].accept[0]: `Shop",
    ),
    (
        "www.shop.example.com",
        "shop.example.com",
        "16:36: error: services.web.expose[0].accept[1]: h",
    ),
    (
        "- service: web\n",
        "- service: wep\n",
        "49:13: error: services.api.expose[0].to[0].service: there is no service named `w",
    ),
    (
        "global: true\n            ip",
        "ip",
        "30:17: error: services.web.expose[1].to[0].ip: a leased",
    ),
    (
        "global: true\n            ip",
        "global: \"true\"\n            ip",
        "30:21: error: services.web",
    ),
    (
        "ip: front",
        "ip: back",
        "30:13: error: services.web.expose[1].to[0].ip: there is no endpoint",
    ),
    (
        "max_body_size: 2097152",
        "max_body_size: 104857601",
        "20:26: error: services.web.expose[0].ht",
    ),
    (
        "read_timeout: 30000",
        "read_timeout: 60001",
        "21:25: error: services.web.expose[0].http_opti",
    ),
    (
        "send_timeout: 20000",
        "send_timeout: -1",
        "22:25: error: services.web.expose[0].http_options",
    ),
    (
        "[error, 502]",
        "[error, 418]",
        "25:31: error: services.web.expose[0].http_options.next_cases",
    ),
    (
        "[error, 502]",
        "[error, off]",
        "25:23: error: services.web.expose[0].http_options.next_cases",
    ),
    ("_size: 8192", "_size: 1048577", "26:30: error: services.web.expose[0].http_options.proxy"),
    // Parameters.
    (
        "data: {mount: /data}",
        "data: {mount: data}",
        "42:23: error: services.api.params.storage.data.mount: `data` is not an absolute ",
    ),
    (
        "data: {mount: /data}",
        "data: {}",
        "42:9: error: services.api.params.storage.data.mount: `mount` is missing",
    ),
    (
        "data: {mount: /data}",
        "date: {mount: /data}",
        "32:3: error: services.api.params.storage: persistent volume `data` of compute pr",
    ),
    (
        "mount: /scratch",
        "mount: /data",
        "43:26: error: services.api.params.storage.scratch.mount: volume `data` is mounte",
    ),
    (
        "readOnly: false",
        "readOnly: true",
        "43:9: error: services.api.params.storage.scratch: a volume of class ram cannot b",
    ),
    (
        "        data: {mount: /data}\n",
        "",
        "32:3: error: services.api.params.storage: persistent volume `data` of compute pr",
    ),
    (
        "tee: cpu-gpu",
        "tee: sgx",
        "55:12: error: services.worker.params.tee: `sgx` is not a trusted execution envir",
    ),
    (
        "          units: 1\n",
        "          units: 0\n",
        "55:12: error: services.worker.params.tee: cpu-gpu needs GPUs, and compute profil",
    ),
    // Compute profiles.
    (
        "units: 1.001",
        "units: -1",
        "60:22: error: profiles.compute.small.resources.cpu.units: CPU units: `-1` is neg",
    ),
    (
        "units: 1.001",
        "units: 0",
        "60:22: error: profiles.compute.small.resources.cpu.units: CPU units are 0",
    ),
    (
        "units: 1500m",
        "units: 1.5m",
        "65:22: error: profiles.compute.stateful.resources.cpu.units: CPU units: `1.5m` i",
    ),
    (
        "size: 0.5Gi",
        "size: 0.5GiB",
        "61:24: error: profiles.compute.small.resources.memory.size: memory size: `0.5GiB",
    ),
    (
        "size: 0.5Gi",
        "size: 0",
        "61:24: error: profiles.compute.small.resources.memory.size: memory size is 0",
    ),
    (
        "        storage: {size: 1G}\n",
        "",
        "59:7: error: profiles.compute.small.resources.storage: `storage` is missing",
    ),
    (
        "{size: 4Gi}",
        "{name: data, size: 4Gi}",
        "70:13: error: profiles.compute.stateful.resources.storage[2]: another volume is ",
    ),
    (
        "{class: ram}",
        "{class: ram, persistent: true}",
        "69:62: error: profiles.compute.stateful.resources.storage[1].attributes.class: s",
    ),
    (
        "{class: ram}",
        "{class: beta2}",
        "69:62: error: profiles.compute.stateful.resources.storage[1].attributes.class: s",
    ),
    (
        "{class: ram}",
        "{class: beta9}",
        "69:62: error: profiles.compute.stateful.resources.storage[1].attributes.class: `beta9`",
    ),
    (
        "interface: sxm",
        "interface: usb",
        "81:55: error: profiles.compute.gpu.resources.gpu.attributes.vendor.nvidia[0].int",
    ),
    (
        "{model: h100}",
        "{ram: 80Gi}",
        "82:19: error: profiles.compute.gpu.resources.gpu.attributes.vendor.nvidia[1].mod",
    ),
    (
        "{model: h100}",
        "{model: a100, ram: 80Gi, interface: sxm}",
        "82:19: error: profiles.compute.gpu.resources.gpu.attributes.vendor.nvidia[1]: th",
    ),
    (
        "          units: 1\n",
        "          units: one\n",
        "77:18: error: profiles.compute.gpu.resources.gpu.units: `one` is not a whole num",
    ),
    // Placements.
    (
        "region: eu-*",
        "region: eu-*-1",
        "85:28: error: profiles.placement.near.attributes.region: this is not an attribut",
    ),
    (
        "region: eu-*",
        "\"re gion\": eu",
        "85:20: error: profiles.placement.near.attributes.\"re gion\": `re gion` is not an ",
    ),
    (
        "amount: 0.25",
        "amount: 0",
        "91:42: error: profiles.placement.near.pricing.stateful.amount: the amount is 0",
    ),
    (
        "amount: 0.25",
        "amount: -1",
        "91:42: error: profiles.placement.near.pricing.stateful.amount: the amount `-1` i",
    ),
    (
        "amount: 0.25",
        "amount: 1e3",
        "91:42: error: profiles.placement.near.pricing.stateful.amount: the amount `1e3` is",
    ),
    (
        "amount: 36",
        "amount: 0.000000000000000001",
        "90:39: error: profiles.placement.near.pricing.small.amount: the price is 0 a sec",
    ),
    (
        "per: hour",
        "per: day",
        "90:48: error: profiles.placement.near.pricing.small.per: `day` is not a time tha",
    ),
    (
        "denom: ustoa, amount: 0.25",
        "amount: 0.25",
        "91:9: error: profiles.placement.near.pricing.stateful.denom: `denom` is missing",
    ),
    (
        "        stateful: {denom: ustoa, amount: 0.25}\n",
        "",
        "104:21: error: deployment.api.near.profile: placement `near` has no price for pr",
    ),
    (
        "denom: ustoa, amount: 0.25",
        "denom: uakt, amount: 0.25",
        "103:21: error: deployment.web.near.profile: priced in ustoa, while others are pr",
    ),
    (
        "min_reputation: 2500",
        "min_reputation: 10001",
        "98:25: error: profiles.placement.far.requirements.min_reputation: 10001 is more ",
    ),
    (
        "min_stake: 1000000",
        "min_stake: much",
        "97:20: error: profiles.placement.far.requirements.min_stake: `much` is not a who",
    ),
    (
        "[provider-1, provider-2]",
        "[provider-9]",
        "97:9: error: profiles.placement.far.requirements: `provider-9` is both excluded ",
    ),
    // Deployment.
    (
        "profile: small, count: 2",
        "profile: smal, count: 2",
        "103:21: error: deployment.web.near.profile: there is no compute profile named `s",
    ),
    (
        "profile: small, count: 2",
        "profile: small, count: 0",
        "103:35: error: deployment.web.near.count: 0 is less than 1",
    ),
    (
        "profile: small, count: 2",
        "profile: small",
        "103:5: error: deployment.web.near.count: `count` is missing",
    ),
    (
        "    near: {profile: stateful",
        "    neer: {profile: stateful",
        "105:5: error: deployment.api.neer: there is no placement named `neer`",
    ),
    (
        "  worker:\n    far:",
        "  walker:\n    far:",
        "106:3: error: deployment.walker: there is no service named `walker`",
    ),
    (
        "  worker:\n    far: {profile: gpu, count: 3}",
        "  worker: {}",
        "106:3: error: deployment.worker: no placement is named",
    ),
    // Endpoints, reclamation, market.
    (
        "front: {kind: ip}",
        "front: {kind: ip}\n  rear: {kind: ip}",
        "110:3: error: endpoints.rear: the endpoint is declared and never used",
    ),
    (
        "front: {kind: ip}",
        "front: {kind: dns}",
        "109:17: error: endpoints.front.kind: `dns` is not a kind of endpoint",
    ),
    (
        "front: {kind: ip}",
        "front: {kind: ip}\n  F: {kind: ip}",
        "110:3: error: endpoints.F: `F` is not an endpoint's name",
    ),
    (
        "min_window: 24h",
        "min_window: 0s",
        "111:15: error: reclamation.min_window: the duration must be over 0",
    ),
    (
        "min_window: 24h",
        "min_window: 1d",
        "111:15: error: reclamation.min_window: `1d` is not a duration such as 30s, 10m o",
    ),
    (
        "bid_window: 45s",
        "bid_window: 45",
        "113:15: error: market.bid_window: `45` is not a duration such as 30s, 10m or 24h",
    ),
    (
        "auction: second_price",
        "auction: dutch",
        "114:12: error: market.auction: `dutch` is not an auction",
    ),
    (
        "sealed: true",
        "sealed: false",
        "115:11: error: market.sealed: a second-price auction is always sealed",
    ),
    (
        "reopen: true",
        "reopen: maybe",
        "116:11: error: market.reopen: true or false is expected here, not a word",
    ),
];

#[test]
fn every_rule_broken_once() {
    let mut wrong = Vec::new();
    for (from, to, expected) in REFUSALS {
        let errors = refused(&edited(from, to));
        let first = errors[0].to_string();
        if !first.starts_with(expected) {
            wrong.push(format!("`{to}`:\n  expected {expected}\n  found    {first}"));
        }
        let says_what_is_right = errors[0].help.is_some() || first.contains("YAML");
        if !says_what_is_right && !first.contains("alias") && !first.contains("NUL") {
            wrong.push(format!("`{to}`: no help: {first}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is changed in `full.yaml`, to what, and how its one warning begins.
const WARNINGS: &[(&str, &str, &str)] = &[
    (
        "    egress: none",
        "    egres: none",
        "39:5: warning: services.api.egres: the key `egres` is",
    ),
    ("- service: api", "- service: apis", "12:18: warning: services.web.dependencies[0].service"),
    (
        "units: 1.001,",
        "units: 0.001,",
        "60:22: warning: profiles.compute.small.resources.cpu.units",
    ),
    (
        "size: 1G}",
        "size: 1M}",
        "62:25: warning: profiles.compute.small.resources.storage.size: the",
    ),
    (
        "count: 3",
        "count: 51",
        "107:32: warning: deployment.worker.far.count: the count is 51, more",
    ),
    ("[logs, events]", "[log, events]", "44:28: warning: services.api.params.permissions.read[0]"),
    (
        "amount: 0.25",
        "amount: 1000000001",
        "91:42: warning: profiles.placement.near.pricing.stateful",
    ),
    (
        "bid_window: 45s",
        "bid_window: 1s",
        "113:15: warning: market.bid_window: the bid window is 1s",
    ),
    (
        "min_window: 24h",
        "min_window: 10m",
        "111:15: warning: reclamation.min_window: the window is",
    ),
    ("version: \"2.1\"", "version: v2.2", "2:10: warning: version: the published SDL schema knows"),
    ("market:", "include: [other.yaml]\nmarket:", "112:10: warning: include: `include` is ignored"),
    (
        "          - service: worker\n",
        "          - {}\n",
        "50:13: warning: services.api.expose[0].to[1]",
    ),
];

#[test]
fn what_is_doubtful_is_accepted_with_a_warning() {
    for (from, to, expected) in WARNINGS {
        let parsed = accepted(&edited(from, to));
        let [warning] = parsed.warnings.as_slice() else {
            panic!("`{to}`: one warning is due: {}", common::shown(&parsed.warnings));
        };
        assert!(warning.to_string().starts_with(expected), "`{to}`:\n{warning}");
    }
}

#[test]
fn says_which_word_was_meant() {
    let cases = [
        ("    egress: none", "    egres: none", "did you mean `egress`?"),
        ("- service: web\n", "- service: wep\n", "did you mean `web`?"),
        ("profile: small, count: 2", "profile: smal, count: 2", "did you mean `small`?"),
        ("signedBy:", "signed_by:", "did you mean `signedBy`?"),
        ("reclamation:", "reclaimation:", "did you mean `reclamation`?"),
    ];
    for (from, to, help) in cases {
        let findings = match stoa_manifest::parse(&edited(from, to), &common::options()) {
            Ok(parsed) => parsed.warnings,
            Err(findings) => findings,
        };
        assert!(findings.iter().any(|f| f.help.as_deref() == Some(help)), "{to}: {findings:?}");
    }
}

#[test]
fn several_errors_are_told_at_once() {
    let text = edited("port: 8080\n", "port: 0\n").replace("units: 1500m", "units: x");
    let places: Vec<_> = refused(&text).iter().map(|error| error.line).collect();
    assert_eq!(places, [14, 65]);
}

#[test]
fn no_message_repeats_a_secret() {
    let secret = "hunter2-hunter2";
    for (from, to) in [
        ("- INHERITED", format!("- 9{secret}")),
        ("- INHERITED", format!("- 9A={secret}")),
        ("password: correct-horse", format!("password: [{secret}]")),
        ("password: correct-horse", format!("password: {secret}\n      hots: x")),
    ] {
        let text = edited(from, &to);
        let findings = match stoa_manifest::parse(&text, &common::options()) {
            Ok(parsed) => parsed.warnings,
            Err(findings) => findings,
        };
        assert!(!findings.is_empty());
        for finding in &findings {
            assert!(!finding.render("app.yaml", &text).contains(secret), "{finding}");
        }
    }
    let parsed = common::full();
    let debug = format!("{parsed:?}");
    assert!(!debug.contains("correct-horse") && !debug.contains("a=1&b"), "{debug}");
    assert!(!stoa_manifest::summary(&parsed).contains("correct-horse"));
}

#[test]
fn refuses_what_would_be_too_large() {
    let once = edited("- INHERITED", &format!("- A={}", "x".repeat(530_000)));
    // Small enough once, and too large at two placements.
    let twice = edited("env: []", &format!("env: [A={}]", "x".repeat(300_000)))
        .replace("tee: cpu-gpu", "permissions: {}")
        .replace(
            "    far: {profile: gpu, count: 3}",
            "    far: {profile: gpu, count: 3}\n    near: {profile: small, count: 1}",
        );
    for text in [once, twice] {
        let errors = refused(&text);
        assert!(errors[0].message.contains("at most 524288"), "{}", errors[0].message.len());
    }
}
