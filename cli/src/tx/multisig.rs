//! Transactions of threshold accounts: made with `--generate-only`, signed by
//! members one by one, put together and sent.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Subcommand;
use stoa_client::{
    chain::{Fate, Sent},
    keys::MultisigKey,
    tx::{Gas, MemberSignature, SignInput, Unsigned},
};
use stoa_proto::Any;
use tokio::time::Instant;

use super::Sender;
use crate::{context::Context, exit::Failure, out};

/// How long a block is waited for.
const PATIENCE: Duration = Duration::from_secs(180);

/// Transactions of threshold accounts.
#[derive(Debug, Subcommand)]
pub enum MultisigCommand {
    /// Sign a threshold account's transaction as one of its members; the signature goes to stdout
    SignDoc {
        /// What --generate-only printed
        file: PathBuf,
    },
    /// Put members' signatures together, and send
    Multisign {
        /// What --generate-only printed
        file: PathBuf,
        /// The threshold account's name
        account: String,
        /// What sign-doc printed
        #[arg(required = true)]
        signatures: Vec<PathBuf>,
    },
}

/// Runs it.
pub async fn run(context: &Context, command: MultisigCommand) -> Result<(), Failure> {
    match command {
        MultisigCommand::SignDoc { file } => {
            let unsigned = Unsigned::from_json(&read(&file)?)?;
            // A member sees what it agrees to.
            out::note(&format!("signing {}", unsigned.document()?));
            out::print_json(&unsigned.sign(&context.signer()?)?)
        }
        MultisigCommand::Multisign { file, account, signatures } => {
            let unsigned = Unsigned::from_json(&read(&file)?)?;
            let key = context.config.key_store().find(&account)?.multisig()?;
            let parts = signatures
                .iter()
                .map(|path| Ok(MemberSignature::from_json(&read(path)?)?))
                .collect::<Result<Vec<_>, Failure>>()?;
            send(context, &unsigned, &key, &parts).await
        }
    }
}

async fn send(
    context: &Context,
    unsigned: &Unsigned,
    key: &MultisigKey,
    parts: &[MemberSignature],
) -> Result<(), Failure> {
    let signed = unsigned.assemble(key, parts)?;
    let chain = context.chain().await?;
    let after_height = chain.rpc().status().await?.latest_height;
    chain.send(&signed).await.map_err(stoa_client::Error::from)?;
    let (hash, timeout_height) = (signed.hash.clone(), signed.timeout_height);
    let sent = Sent { hash, after_height, timeout_height };
    match chain.confirm(Some(&signed), &sent, Instant::now() + PATIENCE).await? {
        Fate::Included(result) => super::print_result(context, &result.succeeded()?),
        Fate::Dropped | Fate::Undecided => Err(Failure::new(format!(
            "transaction {} was in no block by height {timeout_height}; make it anew",
            signed.hash
        ))),
    }
}

/// Prints the transaction for its members to sign.
pub async fn generate(
    sender: &Sender,
    key: &MultisigKey,
    messages: Vec<Any>,
) -> Result<(), Failure> {
    let account = sender.chain.query().account(&sender.address).await?;
    let height = sender.chain.rpc().status().await?.latest_height;
    let price = sender.price();
    let make = |gas: u64| -> Result<Unsigned, Failure> {
        let input = SignInput {
            chain_id: sender.chain.chain_id(),
            account_number: account.number,
            sequence: account.sequence,
            gas,
            fee: price.fee(gas)?,
            fee_denom: &price.denom,
            memo: &sender.options.memo,
            timeout_height: height.saturating_add(sender.options.timeout_blocks.max(1)),
        };
        Ok(Unsigned::new(&sender.address, messages.clone(), &input)?)
    };
    let gas = match sender.options.gas {
        Gas::Fixed(gas) => gas,
        gas @ Gas::Simulated { .. } => {
            let bytes = make(1_000_000)?.for_simulation(key)?;
            let answer = sender.chain.query().simulate(bytes).await?;
            gas.limit(answer.gas_info.map(|info| info.gas_used).unwrap_or_default())
        }
    };
    out::print_json(&make(gas)?)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| Failure::new(format!("{}: {e}", path.display())))
}
