//! `stoa provider`: a provider's account on chain. The daemon that runs
//! workloads is `stoa-provider`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stoa_client::{
    gateway::GatewayAddress,
    tls::{self, Identity},
    tx::any,
};
use stoa_proto::{
    cosmos::base::v1beta1::Coin,
    provider::v1::{
        MsgCreateProvider, MsgDeleteProvider, MsgStakeProvider, MsgUnstakeProvider,
        MsgUpdateProvider, ProviderInfo,
    },
    types::v1::Attribute,
};

use crate::{
    context::Context,
    exit::Failure,
    out,
    screen::ScreenArgs,
    token::TokenArgs,
    tx::{attribute, send, Sender, TxArgs},
};

/// How long a new root certificate is valid.
const ROOT_DAYS: u32 = 3_650;

/// A provider's account.
#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// Register
    Create {
        /// Its gateway, such as https://stoa.example.org:8443
        host_uri: String,
        /// Its root certificate and key; made where the file is not there
        #[arg(long, value_name = "PEM")]
        root: PathBuf,
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Replace address, attributes and contact; what is not given stays
    Update {
        #[arg(long)]
        host_uri: Option<String>,
        /// Rotate to this root certificate; made where the file is not there
        #[arg(long, value_name = "PEM")]
        root: Option<PathBuf>,
        /// Drop the earlier root at once
        #[arg(long, requires = "root")]
        revoke_earlier: bool,
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Unregister; needs no live lease and no open bid
    Delete {
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Bond stake
    Stake {
        #[arg(value_parser = coin)]
        amount: Coin,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Take stake back, after the unbonding time
    Unstake {
        #[arg(value_parser = coin)]
        amount: Coin,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Make a token for a provider's gateway; it is printed, and asks nobody
    Token(TokenArgs),
    /// Ask providers whether they bid on an order, why not, and their price
    Screen(ScreenArgs),
    /// All providers
    List,
    /// One provider
    Show {
        /// Address or key name; default: the signer's
        address: Option<String>,
    },
}

/// What a provider says of itself.
#[derive(Clone, Debug, Args)]
pub struct About {
    /// Such as region=eu-west; may be repeated
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = attribute)]
    attributes: Vec<Attribute>,
    #[arg(long)]
    email: Option<String>,
    #[arg(long)]
    website: Option<String>,
}

fn coin(text: &str) -> Result<Coin, String> {
    stoa_client::money::parse_coin(text).map_err(|e| e.to_string())
}

/// Runs it.
pub async fn run(context: &Context, command: ProviderCommand) -> Result<(), Failure> {
    match command {
        ProviderCommand::Create { host_uri, root, about, tx } => {
            GatewayAddress::parse(&host_uri)?;
            let sender = Sender::open(context, &tx).await?;
            let message = MsgCreateProvider {
                owner: sender.address.clone(),
                host_uri,
                attributes: about.attributes,
                info: Some(ProviderInfo {
                    email: about.email.unwrap_or_default(),
                    website: about.website.unwrap_or_default(),
                }),
                root_certificate: root_certificate(&root, &sender.address)?,
            };
            send(&sender, vec![any(&message)]).await
        }
        ProviderCommand::Update { host_uri, root, revoke_earlier, about, tx } => {
            let sender = Sender::open(context, &tx).await?;
            let mut message = update(&sender, host_uri, about).await?;
            if let Some(root) = root {
                message.root_certificate = root_certificate(&root, &sender.address)?;
                message.revoke_earlier = revoke_earlier;
            }
            send(&sender, vec![any(&message)]).await
        }
        ProviderCommand::Delete { tx } => {
            let sender = Sender::open(context, &tx).await?;
            let owner = sender.address.clone();
            send(&sender, vec![any(&MsgDeleteProvider { owner })]).await
        }
        ProviderCommand::Stake { amount, tx } => {
            let sender = Sender::open(context, &tx).await?;
            let owner = sender.address.clone();
            send(&sender, vec![any(&MsgStakeProvider { owner, amount: Some(amount) })]).await
        }
        ProviderCommand::Unstake { amount, tx } => {
            let sender = Sender::open(context, &tx).await?;
            let owner = sender.address.clone();
            send(&sender, vec![any(&MsgUnstakeProvider { owner, amount: Some(amount) })]).await
        }
        ProviderCommand::Token(arguments) => crate::token::run(context, arguments),
        ProviderCommand::Screen(args) => crate::screen::run(context, args).await,
        ProviderCommand::List => {
            crate::query::run(context, crate::query::QueryCommand::Providers).await
        }
        ProviderCommand::Show { address } => {
            crate::query::run(context, crate::query::QueryCommand::Provider { address }).await
        }
    }
}

/// The record as it is, with what was given in its place.
async fn update(
    sender: &Sender,
    host_uri: Option<String>,
    about: About,
) -> Result<MsgUpdateProvider, Failure> {
    let now = sender.chain.query().provider(&sender.address).await?.provider.unwrap_or_default();
    let info = now.info.unwrap_or_default();
    if let Some(uri) = &host_uri {
        GatewayAddress::parse(uri)?;
    }
    let attributes = if about.attributes.is_empty() { now.attributes } else { about.attributes };
    Ok(MsgUpdateProvider {
        owner: sender.address.clone(),
        host_uri: host_uri.unwrap_or(now.host_uri),
        attributes,
        info: Some(ProviderInfo {
            email: about.email.unwrap_or(info.email),
            website: about.website.unwrap_or(info.website),
        }),
        root_certificate: vec![],
        revoke_earlier: false,
    })
}

fn root_certificate(path: &std::path::Path, owner: &str) -> Result<Vec<u8>, Failure> {
    if !path.exists() {
        let made = tls::provider_root(owner, ROOT_DAYS)?;
        made.save(path)?;
        out::step(&format!("made the root certificate {}", path.display()));
    }
    let identity = Identity::load(path)?;
    let name = tls::common_name(identity.certificate())?;
    if name != owner {
        return Err(Failure::new(format!(
            "{} is a certificate of {name}, not of {owner}",
            path.display()
        )));
    }
    Ok(identity.certificate().to_vec())
}
