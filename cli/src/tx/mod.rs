//! `stoa tx`: transactions one by one.

mod arguments;
mod audit;
mod bank;
mod cert;
pub mod deployment;
mod gov;
mod grants;
mod market;
mod multisig;
mod raw;
mod send;
mod staking;

use clap::{Args, Subcommand};

pub use arguments::{attribute, order, parse_gas};
pub use send::{print as print_result, send, Sender};
pub use staking::validator_of;

use crate::{context::Context, exit::Failure};

/// What every transaction takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Transaction options")]
pub struct TxArgs {
    /// A note in the transaction, public
    #[arg(long, global = true, default_value = "")]
    pub memo: String,
    /// `auto` (simulated, plus 30 percent) or a number
    #[arg(long, global = true, default_value = "auto", value_parser = parse_gas)]
    pub gas: stoa_client::tx::Gas,
    /// Blocks until it can no longer land
    #[arg(long, global = true, default_value_t = 60)]
    pub timeout_blocks: u64,
    /// Only say what it would use of gas and cost
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Print the transaction of a threshold account, for its members to sign
    #[arg(long, global = true, conflicts_with = "dry_run")]
    pub generate_only: bool,
}

/// A transaction.
#[derive(Debug, Args)]
pub struct TxCommand {
    #[command(flatten)]
    pub tx: TxArgs,
    #[command(subcommand)]
    pub message: TxMessage,
}

/// The messages.
#[derive(Debug, Subcommand)]
pub enum TxMessage {
    #[command(flatten)]
    Bank(bank::BankMessage),
    #[command(flatten)]
    Deployment(deployment::DeploymentMessage),
    #[command(flatten)]
    Market(market::MarketMessage),
    #[command(flatten)]
    Audit(audit::AuditMessage),
    #[command(flatten)]
    Cert(cert::CertMessage),
    #[command(flatten)]
    Staking(staking::StakingMessage),
    #[command(flatten)]
    Gov(gov::GovMessage),
    #[command(flatten)]
    Grants(grants::GrantMessage),
    #[command(flatten)]
    Raw(raw::RawMessage),
    #[command(flatten)]
    Multisig(multisig::MultisigCommand),
}

/// Runs it.
pub async fn run(context: &Context, command: TxCommand) -> Result<(), Failure> {
    let message = match command.message {
        TxMessage::Multisig(command) => return multisig::run(context, command).await,
        message => message,
    };
    let sender = Sender::open(context, &command.tx).await?;
    let messages = match message {
        TxMessage::Bank(message) => message.build(&sender)?,
        TxMessage::Deployment(message) => message.build(&sender).await?,
        TxMessage::Market(message) => message.build(&sender)?,
        TxMessage::Audit(message) => message.build(&sender)?,
        TxMessage::Cert(message) => message.build(&sender)?,
        TxMessage::Staking(message) => message.build(&sender).await?,
        TxMessage::Gov(message) => message.build(&sender).await?,
        TxMessage::Grants(message) => message.build(&sender)?,
        TxMessage::Raw(message) => message.build()?,
        TxMessage::Multisig(_) => vec![],
    };
    send(&sender, messages).await
}
