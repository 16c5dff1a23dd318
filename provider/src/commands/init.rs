//! `stoa-provider init`: settings, root certificate, record on chain. Each
//! part is left alone where it is there already, so it may be repeated.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::Context;
use clap::Args;
use stoa_client::proto::provider::v1::{
    MsgCreateProvider, MsgUpdateProvider, Provider, ProviderInfo,
};
use stoa_client::proto::types::v1::Attribute;
use stoa_client::tls::{self, Identity};
use stoa_client::tx::{any, TxOptions};
use stoa_client::{Chain, Error};

use super::features::{self, Features};
use super::Globals;
use crate::config::{render, Config, Setting};

/// Ten years: rotating a root takes a message to the chain.
const ROOT_DAYS: u32 = 3650;

/// What `init` puts into a new settings' file.
#[derive(Debug, Clone, Args)]
pub struct InitArguments {
    /// How tenants reach the gateway, such as https://stoa.example.org:8443.
    #[arg(long)]
    pub host_uri: Option<String>,
    /// Where the gateway listens.
    #[arg(long)]
    pub gateway_listen: Option<String>,
    /// Where the ingress listens.
    #[arg(long)]
    pub ingress_listen: Option<String>,
    /// Generated host names are under it.
    #[arg(long)]
    pub domain: Option<String>,
    /// key=value; several times.
    #[arg(long = "attribute", value_name = "KEY=VALUE")]
    pub attributes: Vec<String>,
    /// Any other setting, such as pricing.cpu=1000000; several times. A list
    /// is written as in TOML: capacity.storage_classes='["default"]'.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub settings: Vec<Setting>,
    /// Writes a new settings' file over an old one. Never touches keys.
    #[arg(long)]
    pub overwrite: bool,
    /// Only makes files; the chain is not asked.
    #[arg(long)]
    pub offline: bool,
}

pub(super) async fn run(globals: &Globals, arguments: &InitArguments) -> anyhow::Result<()> {
    write_settings(globals, arguments)?;
    let config = globals.load()?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data_dir)
        .with_context(|| config.data_dir.display().to_string())?;
    let info = config.key_store().show(&config.key.name)?;
    let root = ensure_root(&config, &info.address)?;
    if arguments.offline {
        println!("not registered on chain: run `stoa-provider init` again without --offline");
        return Ok(());
    }
    register(&config, &info.address, &root).await
}

fn write_settings(globals: &Globals, arguments: &InitArguments) -> anyhow::Result<()> {
    let path = &globals.config;
    if path.exists() && !arguments.overwrite {
        println!("settings: {} is there and stays as it is", path.display());
        return Ok(());
    }
    let text = render(&chosen(globals, arguments)?)?;
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    write_private(path, text.as_bytes()).with_context(|| path.display().to_string())?;
    println!("settings: wrote {}", path.display());
    Ok(())
}

/// Flags as settings, `--set` last.
fn chosen(globals: &Globals, arguments: &InitArguments) -> anyhow::Result<Vec<Setting>> {
    let over = &globals.overrides;
    let path = |p: &std::path::PathBuf| p.display().to_string();
    let list = |items: &Vec<String>| format!("{items:?}");
    let data_dir = over.data_dir.as_ref().map(path);
    let flags = [
        ("data_dir", data_dir.clone()),
        ("chain.id", over.chain_id.clone()),
        ("chain.rpc", over.rpc.as_ref().map(list)),
        ("chain.grpc", over.grpc.as_ref().map(list)),
        ("chain.gas_price", over.gas_price.clone()),
        ("key.name", over.key.clone()),
        ("key.dir", over.keyring_dir.as_ref().map(path).or(data_dir)),
        ("key.backend", over.keyring_backend.map(|b| b.to_string())),
        ("gateway.host_uri", arguments.host_uri.clone()),
        ("gateway.listen", arguments.gateway_listen.clone()),
        ("ingress.listen", arguments.ingress_listen.clone()),
        ("ingress.domain", arguments.domain.clone()),
    ];
    let mut settings: Vec<Setting> = flags
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| Setting::new(name, value)))
        .collect();
    for attribute in &arguments.attributes {
        let (key, value) = attribute.split_once('=').with_context(|| {
            format!("--attribute {attribute}: right is KEY=VALUE, such as region=athens")
        })?;
        settings.push(Setting::attribute(key, value));
    }
    settings.extend(arguments.settings.iter().cloned());
    Ok(settings)
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("toml.new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

fn ensure_root(config: &Config, address: &str) -> anyhow::Result<Identity> {
    let path = config.root_path();
    if path.exists() {
        let root = Identity::load(&path)?;
        let name = tls::common_name(root.certificate())?;
        anyhow::ensure!(
            name == address,
            "{} is a root of {name}, but the key {} is of {address}; move it away for a new one",
            path.display(),
            config.key.name
        );
        println!("root certificate: {} is there", path.display());
        return Ok(root);
    }
    let root = tls::provider_root(address, ROOT_DAYS)?;
    root.save(&path)?;
    println!("root certificate: wrote {}; keep a copy of it in a safe place", path.display());
    Ok(root)
}

async fn register(config: &Config, address: &str, root: &Identity) -> anyhow::Result<()> {
    let chain = Chain::connect(&config.client()).await?;
    let found = match chain.query().provider(address).await {
        Ok(answer) => answer.provider,
        Err(Error::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let features = features(config, address).await;
    let attributes = attributes(config, features.as_ref(), found.as_ref());
    let message = match &found {
        None => any(&created(config, address, root, attributes)),
        Some(record) if is_current(record, config, root, &attributes) => {
            println!("on chain: {address} is registered and up to date");
            return Ok(());
        }
        Some(record) => any(&updated(record, config, root, attributes)),
    };
    let options = TxOptions::default();
    let key = config.secret_key()?;
    let done = chain.execute(&key, vec![message], &options, |_, _| Ok(())).await?;
    let what = if found.is_some() { "updated" } else { "registered" };
    println!("on chain: {what} {address} in block {}", done.height);
    Ok(())
}

/// What the engines do for tenants; `None`, with a word, where they cannot be
/// asked.
async fn features(config: &Config, address: &str) -> Option<Features> {
    match features::ask(config, address).await {
        Ok(features) => Some(features),
        Err(error) => {
            println!(
                "engine: {error:#}; the attributes {} stay as they are on chain until `init` is \
                 run again",
                features::KEYS.join(", ")
            );
            None
        }
    }
}

fn attributes(
    config: &Config,
    features: Option<&Features>,
    record: Option<&Provider>,
) -> Vec<Attribute> {
    let record = record.map(|record| record.attributes.as_slice()).unwrap_or_default();
    let all = features::attributes(config, features, record);
    all.into_iter().map(|(key, value)| Attribute { key, value }).collect()
}

fn info(config: &Config) -> ProviderInfo {
    ProviderInfo { email: config.info.email.clone(), website: config.info.website.clone() }
}

fn created(
    config: &Config,
    address: &str,
    root: &Identity,
    attributes: Vec<Attribute>,
) -> MsgCreateProvider {
    MsgCreateProvider {
        owner: address.into(),
        host_uri: config.gateway.host_uri.clone(),
        attributes,
        info: Some(info(config)),
        root_certificate: root.certificate().to_vec(),
    }
}

fn is_current(
    record: &Provider,
    config: &Config,
    root: &Identity,
    attributes: &[Attribute],
) -> bool {
    let mut listed = record.attributes.clone();
    listed.sort_by(|a, b| a.key.cmp(&b.key));
    record.host_uri == config.gateway.host_uri
        && listed == attributes
        && record.info.clone().unwrap_or_default() == info(config)
        && record.root_certificate == root.certificate()
}

fn updated(
    record: &Provider,
    config: &Config,
    root: &Identity,
    attributes: Vec<Attribute>,
) -> MsgUpdateProvider {
    let same_root = record.root_certificate == root.certificate();
    MsgUpdateProvider {
        owner: record.owner.clone(),
        host_uri: config.gateway.host_uri.clone(),
        attributes,
        info: Some(info(config)),
        root_certificate: if same_root { vec![] } else { root.certificate().to_vec() },
        revoke_earlier: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Inventory;
    use crate::tests_support::{config, machine, me};

    /// What engines do was measured and told to nobody.
    #[test]
    fn the_record_is_brought_up_to_date_with_what_the_engines_do() {
        stoa_client::install_crypto();
        let (config, root) = (config(), tls::provider_root(&me(), 30).unwrap());
        let plain = Features::of(&[machine()]);
        let able = Features::of(&[Inventory { storage_quota: true, ..machine() }]);
        let of = |features: &Features| attributes(&config, Some(features), None);
        let before = created(&config, &me(), &root, of(&plain));
        let record = Provider {
            owner: me(),
            host_uri: before.host_uri,
            attributes: before.attributes,
            info: before.info,
            root_certificate: before.root_certificate,
            ..Provider::default()
        };
        assert!(is_current(&record, &config, &root, &of(&plain)));
        assert!(!is_current(&record, &config, &root, &of(&able)));
        let told = updated(&record, &config, &root, of(&able)).attributes;
        let quota = Attribute { key: "storage-quota".into(), value: "true".into() };
        assert_eq!(told, [quota]);
    }
}
