//! Bids and leases.

use clap::Subcommand;
use stoa_client::tx::any;
use stoa_proto::{
    cosmos::base::v1beta1::DecCoin,
    market::v1::{
        GpuOffer, MsgCloseBid, MsgCloseLease, MsgCommitBid, MsgCreateBid, MsgRevealBid,
        MsgStartLease, MsgWithdrawBid, MsgWithdrawLease,
    },
    types::v1::{BidId, OrderId},
    Any,
};

use super::{arguments, Sender};
use crate::exit::Failure;

/// Market messages. Orders are OWNER/DSEQ/GSEQ/OSEQ, leases and bids have the
/// PROVIDER after it.
#[derive(Debug, Subcommand)]
pub enum MarketMessage {
    /// Bid on an order, or lower one's bid
    CreateBid {
        #[arg(value_parser = arguments::order)]
        order: OrderId,
        /// Per second, such as 12.5ustoa
        #[arg(value_parser = arguments::dec_coin)]
        rate: DecCoin,
        /// GPU model offered for a unit
        #[arg(long = "gpu", value_name = "UNIT=MODEL", value_parser = gpu)]
        gpus: Vec<GpuOffer>,
    },
    /// Take a bid back, in the first half of the window
    WithdrawBid {
        #[arg(value_parser = arguments::order)]
        order: OrderId,
    },
    /// Commit to a sealed bid
    CommitBid {
        #[arg(value_parser = arguments::order)]
        order: OrderId,
        /// SHA-256 in hex
        commitment: String,
        #[arg(long = "gpu", value_name = "UNIT=MODEL", value_parser = gpu)]
        gpus: Vec<GpuOffer>,
    },
    /// Reveal a sealed bid
    RevealBid {
        #[arg(value_parser = arguments::order)]
        order: OrderId,
        #[arg(value_parser = arguments::dec_coin)]
        rate: DecCoin,
        /// 16 to 64 bytes in hex
        salt: String,
    },
    /// Say that a lease's workloads run (provider)
    StartLease {
        #[arg(value_parser = arguments::bid)]
        lease: BidId,
    },
    /// End a lease (provider)
    CloseBid {
        #[arg(value_parser = arguments::bid)]
        lease: BidId,
    },
    /// End a lease (tenant)
    CloseLease {
        #[arg(value_parser = arguments::bid)]
        lease: BidId,
        /// Offer the group again
        #[arg(long)]
        reopen: bool,
        /// Keep this provider out of that
        #[arg(long)]
        exclude: bool,
    },
    /// Collect what leases have accrued (provider)
    WithdrawLease {
        #[arg(required = true, value_parser = arguments::bid)]
        leases: Vec<BidId>,
    },
}

impl MarketMessage {
    pub fn build(self, sender: &Sender) -> Result<Vec<Any>, Failure> {
        let provider = sender.address.clone();
        Ok(vec![match self {
            Self::CreateBid { order, rate, gpus } => {
                any(&MsgCreateBid { provider, order: Some(order), rate: Some(rate), gpus })
            }
            Self::WithdrawBid { order } => any(&MsgWithdrawBid { provider, order: Some(order) }),
            Self::CommitBid { order, commitment, gpus } => any(&MsgCommitBid {
                provider,
                order: Some(order),
                commitment: bytes(&commitment)?,
                gpus,
            }),
            Self::RevealBid { order, rate, salt } => any(&MsgRevealBid {
                provider,
                order: Some(order),
                rate: Some(rate),
                salt: bytes(&salt)?,
            }),
            Self::StartLease { lease } => any(&MsgStartLease { provider, lease: Some(lease) }),
            Self::CloseBid { lease } => any(&MsgCloseBid { provider, lease: Some(lease) }),
            Self::CloseLease { lease, reopen, exclude } => any(&MsgCloseLease {
                owner: sender.address.clone(),
                lease: Some(lease),
                reopen,
                exclude,
            }),
            Self::WithdrawLease { leases } => any(&MsgWithdrawLease { provider, leases }),
        }])
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, Failure> {
    hex::decode(text).map_err(|_| Failure::usage(format!("`{text}` is not hex")))
}

fn gpu(text: &str) -> Result<GpuOffer, String> {
    let wrong = || format!("`{text}` is not UNIT=MODEL, such as 1=a100");
    let (unit, model) = text.split_once('=').ok_or_else(wrong)?;
    let unit = unit.parse().map_err(|_| wrong())?;
    Ok(GpuOffer { unit, model: model.into() })
}
