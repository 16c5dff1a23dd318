//! Signing, sending, telling how it went.

use serde_json::json;
use stoa_client::{
    keys::{MultisigKey, SecretKey},
    tx::{GasPrice, TxOptions, TxResult},
    Chain,
};
use stoa_proto::{cosmos::base::v1beta1::Coin, Any};

use super::TxArgs;
use crate::{context::Context, exit::Failure, out, text};

/// With what it is signed.
enum Signer {
    Key(Box<SecretKey>),
    /// Later, by members.
    Members(MultisigKey),
}

/// Who sends, and how.
pub struct Sender {
    pub chain: Chain,
    signer: Signer,
    pub address: String,
    pub options: TxOptions,
    pub context: Context,
    dry_run: bool,
}

impl Sender {
    /// Opens the key and connects.
    pub async fn open(context: &Context, args: &TxArgs) -> Result<Self, Failure> {
        let (signer, address) = if args.generate_only {
            let info = context.key_info()?;
            (Signer::Members(info.multisig()?), info.address)
        } else {
            let key = context.signer()?;
            let address = key.address().to_string();
            (Signer::Key(Box::new(key)), address)
        };
        let options = TxOptions {
            memo: args.memo.clone(),
            gas: args.gas,
            gas_price: None,
            timeout_blocks: args.timeout_blocks,
        };
        Ok(Self {
            chain: context.chain().await?,
            address,
            signer,
            options,
            context: context.clone(),
            dry_run: args.dry_run,
        })
    }

    pub fn price(&self) -> &GasPrice {
        self.options.gas_price.as_ref().unwrap_or(self.chain.gas_price())
    }
}

/// Sends messages in one transaction and prints what came of it.
pub async fn send(sender: &Sender, messages: Vec<Any>) -> Result<(), Failure> {
    let key = match &sender.signer {
        Signer::Members(key) => return super::multisig::generate(sender, key, messages).await,
        Signer::Key(key) if sender.dry_run => return estimate(sender, key, messages).await,
        Signer::Key(key) => key,
    };
    let result = sender.chain.execute(key, messages, &sender.options, |_, _| Ok(())).await?;
    print(&sender.context, &result)
}

/// Without sending: what it would use of gas and cost.
async fn estimate(sender: &Sender, key: &SecretKey, messages: Vec<Any>) -> Result<(), Failure> {
    let account = sender.chain.query().account(&sender.address).await?;
    let (signed, _) = sender.chain.prepare(key, account, messages, &sender.options).await?;
    let fee = Coin { denom: sender.price().denom.clone(), amount: signed.fee.to_string() };
    if sender.context.is_json() {
        let fee = json!({ "denom": fee.denom, "amount": fee.amount });
        return out::print_json(&json!({ "gas": signed.gas.to_string(), "fee": fee }));
    }
    out::print_lines(&format!("gas  {}\nfee  {}", signed.gas, text::coin(&fee)));
    Ok(())
}

/// Prints a transaction's result.
pub fn print(context: &Context, result: &TxResult) -> Result<(), Failure> {
    if context.is_json() {
        return out::print_json(result);
    }
    out::print_lines(&format!(
        "transaction  {}\nheight       {}\ngas          {} of {}",
        result.hash, result.height, result.gas_used, result.gas_wanted
    ));
    if result.code != 0 {
        let (code, space, log) = (result.code, &result.codespace, &result.log);
        out::print_lines(&format!("FAILED       code {code} of {space}: {log}"));
    }
    for event in result.events.iter().filter(|e| e.kind.starts_with("stoa.")) {
        out::print_lines(&format!("  {}", crate::events::line(event)));
    }
    Ok(())
}
