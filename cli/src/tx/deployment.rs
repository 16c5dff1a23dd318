//! Deployments, groups, escrow.

use std::path::PathBuf;

use clap::Subcommand;
use stoa_client::{convert::group_to_proto, tx::any};
use stoa_manifest::Options;
use stoa_proto::{
    cosmos::base::v1beta1::{Coin, DecCoin},
    deployment::v1::{
        Auction, MsgAddGroups, MsgCloseDeployment, MsgCloseGroup, MsgCreateDeployment,
        MsgPauseGroup, MsgReopenGroup, MsgStartGroup, MsgUpdateDeployment,
    },
    escrow::v1::MsgDepositDeployment,
    Any,
};

use super::{arguments, Sender};
use crate::{
    exit::Failure,
    manifest::{self, Mappings},
};

/// Deployment and escrow messages.
#[derive(Debug, Subcommand)]
pub enum DeploymentMessage {
    /// Post a deployment only; `stoa deploy` does that and everything after it
    CreateDeployment {
        file: PathBuf,
        #[arg(long, value_parser = arguments::coin)]
        deposit: Coin,
        /// Default: the height
        #[arg(long)]
        dseq: Option<u64>,
        #[command(flatten)]
        mappings: Mappings,
    },
    /// Add to a deployment's escrow
    Deposit {
        /// OWNER/DSEQ, or DSEQ of one's own
        deployment: String,
        #[arg(value_parser = arguments::coin)]
        amount: Coin,
    },
    /// Name a new version only; `stoa update` does that and everything after it
    UpdateDeployment {
        dseq: u64,
        file: PathBuf,
        #[command(flatten)]
        mappings: Mappings,
    },
    /// Add the groups that a file has and the deployment has not
    AddGroups {
        dseq: u64,
        file: PathBuf,
        #[command(flatten)]
        mappings: Mappings,
    },
    /// Close a deployment
    CloseDeployment { dseq: u64 },
    /// Pause a group: cancels its order, closes its lease
    PauseGroup { dseq: u64, gseq: u32 },
    /// Offer a paused group again
    StartGroup { dseq: u64, gseq: u32 },
    /// Close a group
    CloseGroup { dseq: u64, gseq: u32 },
    /// Offer an open group without order or lease again
    ReopenGroup {
        /// Of one's own deployment
        dseq: u64,
        /// The group, counted from 1
        gseq: u32,
        /// New max rates per second, one for each resource, in order
        #[arg(long = "max-rate", value_parser = arguments::dec_coin)]
        max_rates: Vec<DecCoin>,
    },
}

impl DeploymentMessage {
    pub async fn build(self, sender: &Sender) -> Result<Vec<Any>, Failure> {
        let owner = sender.address.clone();
        Ok(vec![match self {
            Self::CreateDeployment { file, deposit, dseq, mappings } => {
                create(sender, &file, &mappings, deposit, dseq).await?
            }
            Self::Deposit { deployment, amount } => any(&MsgDepositDeployment {
                depositor: owner,
                id: Some(sender.context.deployment_id(&deployment)?),
                amount: Some(amount),
            }),
            Self::UpdateDeployment { dseq, file, mappings } => {
                let sdl = manifest::read(&file, &mappings, Options::default(), false)?;
                any(&MsgUpdateDeployment {
                    owner,
                    dseq,
                    version: sdl.parsed.manifest.version().to_vec(),
                    manifest_root: sdl.parsed.manifest.root().as_bytes().to_vec(),
                })
            }
            Self::AddGroups { dseq, file, mappings } => {
                add_groups(sender, dseq, &file, &mappings).await?
            }
            Self::CloseDeployment { dseq } => any(&MsgCloseDeployment { owner, dseq }),
            Self::PauseGroup { dseq, gseq } => any(&MsgPauseGroup { owner, dseq, gseq }),
            Self::StartGroup { dseq, gseq } => any(&MsgStartGroup { owner, dseq, gseq }),
            Self::CloseGroup { dseq, gseq } => any(&MsgCloseGroup { owner, dseq, gseq }),
            Self::ReopenGroup { dseq, gseq, max_rates } => {
                any(&MsgReopenGroup { owner, dseq, gseq, max_rates })
            }
        }])
    }
}

async fn create(
    sender: &Sender,
    file: &std::path::Path,
    mappings: &Mappings,
    deposit: Coin,
    dseq: Option<u64>,
) -> Result<Any, Failure> {
    let sdl = manifest::read(file, mappings, Options::default(), false)?;
    let dseq = match dseq {
        Some(dseq) => dseq,
        None => sender.chain.rpc().status().await?.latest_height,
    };
    Ok(any(&creation(&sender.address, dseq, &sdl, deposit)?))
}

/// The message that posts a file's deployment.
pub fn creation(
    owner: &str,
    dseq: u64,
    sdl: &manifest::SdlFile,
    deposit: Coin,
) -> Result<MsgCreateDeployment, Failure> {
    let parsed = &sdl.parsed;
    let auction = match parsed.market.auction {
        stoa_manifest::Auction::FirstPrice => Auction::FirstPrice,
        stoa_manifest::Auction::SecondPrice => Auction::SecondPrice,
    };
    Ok(MsgCreateDeployment {
        owner: owner.into(),
        dseq,
        groups: parsed.groups.iter().map(group_to_proto).collect::<Result<_, _>>()?,
        version: parsed.manifest.version().to_vec(),
        manifest_root: parsed.manifest.root().as_bytes().to_vec(),
        deposit: Some(deposit),
        bid_window: parsed.market.bid_window.unwrap_or(0),
        auction: auction.into(),
        sealed: parsed.market.sealed,
        reopen: parsed.market.reopen,
    })
}

async fn add_groups(
    sender: &Sender,
    dseq: u64,
    file: &std::path::Path,
    mappings: &Mappings,
) -> Result<Any, Failure> {
    let sdl = manifest::read(file, mappings, Options::default(), false)?;
    let id = stoa_proto::types::v1::DeploymentId { owner: sender.address.clone(), dseq };
    let view = sender.chain.query().deployment(&id).await?;
    let known: Vec<&str> =
        view.groups.iter().filter_map(|g| g.spec.as_ref()).map(|s| s.name.as_str()).collect();
    let new = sdl.parsed.groups.iter().filter(|g| !known.contains(&g.name.as_str()));
    let groups = new.map(group_to_proto).collect::<Result<Vec<_>, _>>()?;
    if groups.is_empty() {
        return Err(Failure::new("the file has no group that the deployment has not"));
    }
    Ok(any(&MsgAddGroups {
        owner: sender.address.clone(),
        dseq,
        groups,
        version: sdl.parsed.manifest.version().to_vec(),
        manifest_root: sdl.parsed.manifest.root().as_bytes().to_vec(),
    }))
}
