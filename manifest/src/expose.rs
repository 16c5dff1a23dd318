//! `services.NAME.expose`: ports, and who may reach them.

use crate::diagnostics::{Diags, Pos};
use crate::model::{HttpOptions, Proto};
use crate::names;
use crate::node::{Field, Map};
use crate::units::shown;

/// A port as the file states it.
pub(crate) struct ExposeSdl {
    pub port: u16,
    /// `as`: 0 means the same port.
    pub external: u16,
    pub proto: Proto,
    pub accept: Option<Vec<Host>>,
    pub to: Vec<ToSdl>,
    pub http: HttpOptions,
}

/// A host name, and where it stands.
#[derive(Clone)]
pub(crate) struct Host {
    pub at: Pos,
    pub path: String,
    pub name: String,
}

/// Who may reach a port.
pub(crate) struct ToSdl {
    pub at: Pos,
    pub path: String,
    pub service: String,
    pub global: bool,
    pub ip: String,
}

pub(crate) fn read(field: &Field<'_>, diags: &mut Diags) -> Vec<ExposeSdl> {
    let items = field.list(diags).unwrap_or_default();
    items.iter().filter_map(|item| expose(item, diags)).collect()
}

fn expose(field: &Field<'_>, diags: &mut Diags) -> Option<ExposeSdl> {
    let map = field.map(&["port", "as", "proto", "accept", "to", "http_options"], diags)?;
    let port = map
        .required("port", "name the port in the container: `port: 80`", diags)
        .and_then(|field| port(&field, 1, diags));
    Some(ExposeSdl {
        port: port.unwrap_or(0),
        external: map.get("as").and_then(|field| self::port(&field, 0, diags)).unwrap_or(0),
        proto: map.get("proto").map(|field| proto(&field, diags)).unwrap_or_default(),
        accept: map.get("accept").and_then(|field| accept(&field, diags)),
        to: map.get("to").map(|field| to(&field, diags)).unwrap_or_default(),
        http: map.get("http_options").map(|field| http(&field, diags)).unwrap_or_default(),
    })
}

fn port(field: &Field<'_>, least: u64, diags: &mut Diags) -> Option<u16> {
    let port = field.integer(least, u64::from(u16::MAX), diags)?;
    u16::try_from(port).ok()
}

fn proto(field: &Field<'_>, diags: &mut Diags) -> Proto {
    let Some(text) = field.text(diags) else { return Proto::Tcp };
    match text.to_ascii_lowercase().as_str() {
        "" | "tcp" => Proto::Tcp,
        "udp" => Proto::Udp,
        _ => {
            let message = format!("`{}` is not a protocol", shown(text));
            diags.push(field.error(message).help(
                "write tcp or udp; HTTP is tcp with `as: 80`, which the provider's ingress serves",
            ));
            Proto::Tcp
        }
    }
}

fn accept(field: &Field<'_>, diags: &mut Diags) -> Option<Vec<Host>> {
    let mut hosts = Vec::new();
    for item in field.list(diags)? {
        let Some(name) = item.text(diags) else { continue };
        if !names::is_hostname(name) {
            let message = format!("`{}` is not a host name by RFC 1123", shown(name));
            diags.push(item.error(message).help(
                "write lower-case letters, digits and inner hyphens between dots: www.example.com",
            ));
        }
        hosts.push(Host { at: item.at(), path: item.path.clone(), name: name.to_owned() });
    }
    Some(hosts)
}

fn to(field: &Field<'_>, diags: &mut Diags) -> Vec<ToSdl> {
    let items = field.list(diags).unwrap_or_default();
    items.iter().filter_map(|item| to_one(item, diags)).collect()
}

fn to_one(field: &Field<'_>, diags: &mut Diags) -> Option<ToSdl> {
    let map = field.map(&["service", "global", "ip"], diags)?;
    let text = |key: &str, diags: &mut Diags| {
        map.get(key).and_then(|field| field.text(diags)).unwrap_or_default().to_owned()
    };
    let service = text("service", diags);
    let ip = text("ip", diags);
    let global = map.get("global").and_then(|field| field.boolean(diags)).unwrap_or(false);
    if let Some(field) = map.get("ip").filter(|_| !ip.is_empty() && !global) {
        diags.push(
            field
                .error("a leased IP is reached by the world, and this entry is not global")
                .help("add `global: true` beside `ip`, or take `ip` away"),
        );
    }
    if service.is_empty() && ip.is_empty() && !global {
        diags.push(
            field
                .warning("this entry lets nobody in")
                .help("write `global: true` for the world or `service: NAME` for a service"),
        );
    }
    Some(ToSdl { at: field.at(), path: field.path.clone(), service, global, ip })
}

const HTTP_KEYS: &[&str] = &[
    "max_body_size",
    "read_timeout",
    "send_timeout",
    "next_tries",
    "next_timeout",
    "next_cases",
    "proxy_buffer_size",
];

const MAX_BODY_BYTES: u64 = 104_857_600;
const MAX_TIMEOUT_MS: u64 = 60_000;
const MAX_PROXY_BUFFER_BYTES: u64 = 1_048_576;

fn http(field: &Field<'_>, diags: &mut Diags) -> HttpOptions {
    let mut http = HttpOptions::default();
    let Some(map) = field.map(HTTP_KEYS, diags) else { return http };
    let unbounded = u64::from(u32::MAX);
    // 0 means the default, as everywhere that SDL is read.
    set(&map, "max_body_size", MAX_BODY_BYTES, &mut http.max_body_size, diags);
    set(&map, "read_timeout", MAX_TIMEOUT_MS, &mut http.read_timeout, diags);
    set(&map, "send_timeout", MAX_TIMEOUT_MS, &mut http.send_timeout, diags);
    set(&map, "next_tries", unbounded, &mut http.next_tries, diags);
    set(&map, "next_timeout", unbounded, &mut http.next_timeout, diags);
    set(&map, "proxy_buffer_size", MAX_PROXY_BUFFER_BYTES, &mut http.proxy_buffer_size, diags);
    if let Some(field) = map.get("next_cases") {
        let cases = next_cases(&field, diags);
        if !cases.is_empty() {
            http.next_cases = cases;
        }
    }
    http
}

fn set(map: &Map<'_>, key: &str, most: u64, target: &mut u32, diags: &mut Diags) {
    let number = map.get(key).and_then(|field| field.integer(0, most, diags));
    if let Some(number) = number.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0) {
        *target = number;
    }
}

const NEXT_CASES: &[&str] =
    &["error", "timeout", "500", "502", "503", "504", "403", "404", "429", "off"];

fn next_cases(field: &Field<'_>, diags: &mut Diags) -> Vec<String> {
    let mut cases = Vec::new();
    for item in field.list(diags).unwrap_or_default() {
        let Some(case) = item.text(diags) else { continue };
        if !NEXT_CASES.contains(&case) {
            let message = format!("`{}` is not a case for another try", shown(case));
            diags.push(item.error(message).help(format!("known: {}", NEXT_CASES.join(", "))));
        }
        cases.push(case.to_owned());
    }
    if cases.len() > 1 && cases.iter().any(|case| case == "off") {
        diags.push(field.error("`off` stands beside other cases").help("write `off` alone"));
    }
    cases
}
