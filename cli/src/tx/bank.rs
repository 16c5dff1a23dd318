//! Coins.

use clap::Subcommand;
use stoa_client::{money::parse_coins, tx::any};
use stoa_proto::{cosmos::bank::v1beta1::MsgSend, Any};

use super::Sender;
use crate::exit::Failure;

/// Bank messages.
#[derive(Debug, Subcommand)]
pub enum BankMessage {
    /// Send coins
    Send {
        /// Address or key name
        to: String,
        /// Such as 1000000ustoa; several with commas
        amount: String,
    },
}

impl BankMessage {
    pub fn build(self, sender: &Sender) -> Result<Vec<Any>, Failure> {
        let Self::Send { to, amount } = self;
        let amount = parse_coins(&amount).map_err(|e| Failure::usage(e.to_string()))?;
        Ok(vec![any(&MsgSend {
            from_address: sender.address.clone(),
            to_address: sender.context.address_of(Some(&to))?,
            amount,
        })])
    }
}
