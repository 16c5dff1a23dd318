//! The providers' homes and their place on the chain.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use stoa_client::{
    tls,
    tx::{any, TxOptions},
    Chain,
};
use stoa_proto::{
    audit::v1::MsgSignProviderAttributes,
    provider::v1::{MsgCreateProvider, ProviderInfo},
    types::v1::Attribute,
};

use crate::{
    homes::log,
    keys::{provider_name, store, AUDITOR},
    options::{Options, ProviderOptions},
    ports::Ports,
    process::Program,
    state::{private_dir, write_file, Keys, Node, Provider},
};

/// How long a root certificate is valid, in days.
const ROOT_DAYS: u32 = 365;

/// The usual prices a month, in millionths of a STOA: a core, a GiB of memory, a GiB of ephemeral
/// and of persistent storage, an endpoint.
const PRICES: [(&str, u64); 5] = [
    ("cpu", 200_000_000),
    ("memory", 200_000_000),
    ("ephemeral", 20_000_000),
    ("default", 40_000_000),
    ("endpoint", 5_000_000),
];

/// Makes the homes of all providers below `providers/`.
///
/// # Errors
/// If the disk refuses or no port is left.
pub fn make(
    options: &Options,
    ports: &mut Ports,
    keys: &Keys,
    nodes: &[Node],
) -> Result<Vec<Provider>> {
    let make = |(index, wanted)| make_one(options, ports, keys, nodes, index, wanted);
    options.providers.iter().enumerate().map(make).collect()
}

fn make_one(
    options: &Options,
    ports: &mut Ports,
    keys: &Keys,
    nodes: &[Node],
    index: usize,
    wanted: &ProviderOptions,
) -> Result<Provider> {
    let name = provider_name(index);
    let key = keys.funded.iter().find(|key| key.name == name);
    let address = key.with_context(|| format!("no key {name}"))?.address.clone();
    let home = options.dir.join("providers").join(&name);
    private_dir(&home)?;
    let (gateway, ingress, tunnels) = (ports.free()?, ports.free()?, ports.free()?);
    let provider = Provider {
        gateway: format!("https://127.0.0.1:{gateway}"),
        ingress: format!("http://127.0.0.1:{ingress}"),
        tunnels: format!("127.0.0.1:{tunnels}"),
        attributes: wanted.attributes.clone(),
        tunnel_name: format!("tunnel{index}"),
        process: None,
        tunnel: None,
        name,
        address,
        home,
    };
    let root = tls::provider_root(&provider.address, ROOT_DAYS)?;
    root.save(&provider.home.join("root.pem"))?;
    // Each begins with another node, so that losing one node does not stop all providers.
    let mut nodes: Vec<&Node> = nodes.iter().collect();
    let first = index % nodes.len().max(1);
    nodes.rotate_left(first);
    let text = settings(options, keys, &nodes, &provider, index, wanted.price_percent);
    write_file(&config_path(&provider), text.as_bytes(), 0o600)?;
    Ok(provider)
}

/// How a provider's control daemon is run.
pub fn daemon(options: &Options, provider: &Provider) -> Program {
    Program {
        name: provider.name.clone(),
        path: options.programs.path("stoa-provider"),
        args: vec!["run".into(), "--config".into(), config_path(provider).into()],
        env: vec![],
        log: log(&options.dir, &provider.name),
    }
}

/// How a provider's data plane is run.
pub fn tunnel(options: &Options, provider: &Provider) -> Program {
    let listen = provider.ingress.trim_start_matches("http://");
    let mut args: Vec<OsString> = vec!["--listen".into(), listen.into()];
    args.extend(["--control".into(), control_socket(provider).into()]);
    args.extend(["--state".into(), provider.home.join("tunnel").into()]);
    Program {
        name: provider.tunnel_name.clone(),
        path: options.programs.path("stoa-tunnel"),
        args,
        env: vec![],
        log: log(&options.dir, &provider.tunnel_name),
    }
}

/// The domain under which a provider's workloads get their names: browsers resolve whatever ends
/// in `localhost` to this machine.
pub fn domain(provider: &Provider) -> String {
    format!("{}.localhost", provider.name)
}

/// The file that a control daemon keeps while it is ready.
pub fn ready_file(provider: &Provider) -> PathBuf {
    provider.home.join("ready")
}

/// Where the data plane is told its routes.
pub fn control_socket(provider: &Provider) -> PathBuf {
    provider.home.join("tunnel.sock")
}

pub fn config_path(provider: &Provider) -> PathBuf {
    provider.home.join("provider.toml")
}

/// The daemon's settings. Capacity is declared, far over what the machine has: several providers
/// share it, and what a development network runs is small.
fn settings(
    options: &Options,
    keys: &Keys,
    nodes: &[&Node],
    provider: &Provider,
    index: usize,
    percent: u64,
) -> String {
    let all = |of: fn(&Node) -> &str| {
        nodes.iter().map(|node| quoted(of(node))).collect::<Vec<_>>().join(", ")
    };
    let price = |name: &str| {
        let usual = PRICES.iter().find(|(known, _)| *known == name).map_or(0, |(_, price)| *price);
        quoted(&(usual.saturating_mul(percent) / 100).to_string())
    };
    let path = |path: &Path| quoted(&path.display().to_string());
    let attributes: String = provider
        .attributes
        .iter()
        .map(|(key, value)| format!("{} = {}\n", quoted(key), quoted(value)))
        .collect();
    format!(
        "# A provider of a local network; written by stoa-localnet.
data_dir = {data}

[chain]
id = {chain}
rpc = [{rpc}]
grpc = [{grpc}]

[key]
name = {name}
dir = {keys}
backend = {backend}

[gateway]
listen = {gateway}
host_uri = {host_uri}

[ingress]
listen = {ingress}
domain = {domain}
tunnel_binary = {tunnel}

[overlay]
listen = [{tunnels}]

[ports]
range = \"28000-31999\"
listen = \"127.0.0.1\"
host = \"127.0.0.1\"

[attributes]
{attributes}
[capacity]
cpu = \"16\"
memory = \"8Gi\"
storage = \"64Gi\"
storage_classes = [\"default\"]

[overcommit]
cpu = 100.0
memory = 100.0
storage = 100.0

[pricing]
denom = \"ustoa\"
per = \"month\"
cpu = {cpu}
memory = {memory}
endpoint = {endpoint}

[pricing.storage]
ephemeral = {ephemeral}
default = {persistent}

[engine]
socket = {socket}
network_pool = \"10.{pool}.0.0/16\"
stop_grace_seconds = 2

[timing]
poll_seconds = 1
withdraw_seconds = 20
update_seconds = 30
settle_seconds = 1
storage_check_seconds = 3
",
        socket = path(options.engine.as_deref().unwrap_or(Path::new("/var/run/docker.sock"))),
        data = path(&provider.home),
        chain = quoted(&options.chain_id),
        rpc = all(|node| &node.rpc),
        grpc = all(|node| &node.grpc),
        name = quoted(&provider.name),
        keys = path(&keys.dir),
        backend = quoted(&keys.backend),
        gateway = quoted(provider.gateway.trim_start_matches("https://")),
        host_uri = quoted(&provider.gateway),
        ingress = quoted(provider.ingress.trim_start_matches("http://")),
        tunnels = quoted(&provider.tunnels),
        domain = quoted(&domain(provider)),
        tunnel = path(&options.programs.path("stoa-tunnel")),
        cpu = price("cpu"),
        memory = price("memory"),
        endpoint = price("endpoint"),
        ephemeral = price("ephemeral"),
        persistent = price("default"),
        pool = FIRST_POOL + index,
    )
}

/// The second byte of the first provider's container addresses; each has its own 65,536.
const FIRST_POOL: usize = 200;

/// A TOML string.
fn quoted(text: &str) -> String {
    // JSON's escapes are a subset of TOML's.
    serde_json::Value::from(text).to_string()
}

/// Puts a provider on the chain, and the auditor's word beside it.
///
/// # Errors
/// What the chain refuses.
pub async fn register(chain: &Chain, keys: &Keys, provider: &Provider) -> Result<()> {
    let key = store(&keys.dir).get(&provider.name)?;
    let root = tls::Identity::load(&provider.home.join("root.pem"))?;
    let create = MsgCreateProvider {
        owner: provider.address.clone(),
        host_uri: provider.gateway.clone(),
        attributes: attributes(provider),
        info: Some(ProviderInfo::default()),
        root_certificate: root.certificate().to_vec(),
    };
    let options = TxOptions::default();
    let sent = chain.execute(&key, vec![any(&create)], &options, |_, _| Ok(()));
    sent.await.with_context(|| format!("registering {}", provider.name))?;
    Ok(())
}

/// The auditor confirms, in one transaction, what all providers say of themselves.
///
/// # Errors
/// What the chain refuses.
pub async fn audit(chain: &Chain, keys: &Keys, providers: &[Provider]) -> Result<()> {
    let key = store(&keys.dir).get(AUDITOR)?;
    let sign = |provider: &Provider| MsgSignProviderAttributes {
        auditor: key.address().to_string(),
        provider: provider.address.clone(),
        attributes: attributes(provider),
    };
    let messages = providers.iter().map(|provider| any(&sign(provider))).collect();
    let options = TxOptions::default();
    let sent = chain.execute(&key, messages, &options, |_, _| Ok(()));
    sent.await.context("signing the providers' attributes")?;
    Ok(())
}

fn attributes(provider: &Provider) -> Vec<Attribute> {
    let pairs = provider.attributes.iter();
    pairs.map(|(key, value)| Attribute { key: key.clone(), value: value.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_for_toml() {
        assert_eq!(quoted("a\"b\\c\n"), r#""a\"b\\c\n""#);
    }
}
