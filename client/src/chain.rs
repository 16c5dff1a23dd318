//! A connection to one chain: signing context, broadcast, and what became of
//! a transaction.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use stoa_proto::Any;
use tokio::time::Instant;

use crate::{
    config::Config,
    error::{CODE_MEMPOOL_FULL, CODE_TX_IN_MEMPOOL},
    keys::{PublicKey, SecretKey},
    query::{AccountState, QueryClient},
    rpc::{Hints, RpcClient},
    tx::{self, Gas, GasPrice, SignInput, SignedTx, TxOptions, TxResult},
    Error, Refusal, Result,
};

/// How often inclusion is looked up without any announcement.
const POLL: Duration = Duration::from_millis(400);
/// The same bytes are sent again after so long without inclusion.
const REBROADCAST: Duration = Duration::from_secs(5);
/// How often a wrong sequence is corrected before giving up.
const SEQUENCE_ATTEMPTS: u32 = 12;
/// How long one transaction is waited for, from start to end.
const CONFIRM_DEADLINE: Duration = Duration::from_secs(180);

/// A connection to one chain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Chain(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    chain_id: String,
    rpc: RpcClient,
    query: QueryClient,
    gas_price: GasPrice,
    hints: OnceLock<Hints>,
}

/// What became of a transaction.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It is in a block (and may have failed there).
    Included(Box<TxResult>),
    /// It is in no block and can no longer be: its last height is past.
    Dropped,
    /// It may still land.
    Undecided,
}

/// What is remembered of a transaction that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Upper-case hex.
    pub hash: String,
    /// The newest height when it was signed: it can be in no earlier block,
    /// nor in this one.
    pub after_height: u64,
    /// The last height at which it may land.
    pub timeout_height: u64,
}

impl Chain {
    /// Connects as configured. Where the configuration names a chain id, a
    /// node of another chain is refused.
    pub async fn connect(config: &Config) -> Result<Self> {
        let rpc = RpcClient::new(&config.rpc)?;
        let query = QueryClient::new(&config.grpc)?;
        let gas_price = config.gas_price.parse()?;
        let actual = rpc.status().await?.chain_id;
        match &config.chain_id {
            Some(wanted) if *wanted != actual => Err(Error::Invalid(format!(
                "the node at {} is of chain `{actual}`, not `{wanted}`",
                config.rpc.join(", ")
            ))),
            _ => Ok(Self::new(actual, rpc, query, gas_price)),
        }
    }

    /// From parts.
    pub fn new(chain_id: String, rpc: RpcClient, query: QueryClient, gas_price: GasPrice) -> Self {
        Self(Arc::new(Inner { chain_id, rpc, query, gas_price, hints: OnceLock::new() }))
    }

    pub fn chain_id(&self) -> &str {
        &self.0.chain_id
    }

    pub fn rpc(&self) -> &RpcClient {
        &self.0.rpc
    }

    pub fn query(&self) -> &QueryClient {
        &self.0.query
    }

    pub fn gas_price(&self) -> &GasPrice {
        &self.0.gas_price
    }

    /// What running the messages would use of gas.
    ///
    /// # Errors
    /// The chain's refusal, which names the message that fails
    /// ([`Refusal::message_index`]).
    pub async fn simulate(
        &self,
        key: &PublicKey,
        sequence: u64,
        messages: Vec<Any>,
        memo: &str,
    ) -> Result<u64> {
        // Not looked at, but their bytes are counted: about as long as real ones.
        let input = SignInput {
            chain_id: self.chain_id(),
            account_number: 0,
            sequence,
            gas: 1_000_000,
            fee: 1_000_000,
            fee_denom: &self.0.gas_price.denom,
            memo,
            timeout_height: u64::from(u32::MAX),
        };
        let answer = self.query().simulate(tx::unsigned(key, messages, &input)?).await?;
        let gas = answer.gas_info.map(|g| g.gas_used);
        gas.ok_or_else(|| Error::BadAnswer("simulation named no gas".into()))
    }

    /// Simulates, prices and signs. Nothing is sent.
    pub async fn prepare(
        &self,
        key: &SecretKey,
        account: AccountState,
        messages: Vec<Any>,
        options: &TxOptions,
    ) -> Result<(SignedTx, Sent)> {
        let gas = match options.gas {
            Gas::Fixed(gas) => gas,
            Gas::Simulated { .. } => {
                let (public, memo) = (key.public(), options.memo.as_str());
                let used = self.simulate(&public, account.sequence, messages.clone(), memo).await?;
                options.gas.limit(used)
            }
        };
        let price = options.gas_price.as_ref().unwrap_or(&self.0.gas_price);
        let height = self.rpc().status().await?.latest_height;
        let input = SignInput {
            chain_id: self.chain_id(),
            account_number: account.number,
            sequence: account.sequence,
            gas,
            fee: price.fee(gas)?,
            fee_denom: &price.denom,
            memo: &options.memo,
            timeout_height: height.saturating_add(options.timeout_blocks.max(1)),
        };
        let signed = tx::sign(key, messages, &input)?;
        let sent = Sent {
            hash: signed.hash.clone(),
            after_height: height,
            timeout_height: signed.timeout_height,
        };
        Ok((signed, sent))
    }

    /// Hands it to a node's mempool. Doing so twice is the same as once.
    ///
    /// # Errors
    /// [`Error::Refused`] where CheckTx refuses it, [`Error::Unreachable`]
    /// where it is not known whether a node has it.
    pub async fn broadcast(&self, signed: &SignedTx) -> Result<()> {
        let answer = self.rpc().broadcast(&signed.bytes).await?;
        let refusal = Refusal {
            codespace: answer.codespace,
            code: answer.code,
            message: answer.log,
            hash: None,
            height: None,
        };
        match refusal.code {
            0 => Ok(()),
            _ if refusal.is_sdk(CODE_TX_IN_MEMPOOL) => Ok(()),
            _ if refusal.is_sdk(CODE_MEMPOOL_FULL) => Err(Error::Unreachable {
                what: "the node's mempool".into(),
                cause: refusal.message,
            }),
            _ => Err(refusal.into()),
        }
    }

    /// What became of a transaction, as of now.
    pub async fn fate(&self, sent: &Sent) -> Result<Fate> {
        // The height is read first: what is not found after it was passed
        // cannot come any more.
        let height = self.rpc().status().await?.latest_height;
        if let Some(found) = self.rpc().tx(&sent.hash).await? {
            return Ok(Fate::Included(Box::new(found.result)));
        }
        if height <= sent.timeout_height {
            return Ok(Fate::Undecided);
        }
        // The index may lag behind the blocks; the blocks do not lie.
        for height in sent.after_height + 1..=sent.timeout_height {
            let Some(transactions) = self.rpc().block_txs(height).await? else {
                return Err(Error::BadAnswer(format!(
                    "block {height} is not at the node any more: whether transaction {} is in it \
                     cannot be told; ask an archive node",
                    sent.hash
                )));
            };
            if transactions.iter().any(|t| tx::hash_of(t) == sent.hash) {
                return Ok(Fate::Undecided);
            }
        }
        Ok(Fate::Dropped)
    }

    /// Waits until it is decided, sending the same bytes again from time to
    /// time. Nodes that do not answer are waited for until `deadline`.
    ///
    /// # Errors
    /// [`Error::Timeout`] at the deadline.
    pub async fn confirm(
        &self,
        bytes: Option<&SignedTx>,
        sent: &Sent,
        deadline: Instant,
    ) -> Result<Fate> {
        let mut heights = self.hints().subscribe();
        let mut rebroadcast = Instant::now() + REBROADCAST;
        loop {
            match self.fate(sent).await {
                Ok(Fate::Undecided) => {}
                Err(e) if e.is_transient() => tracing::debug!("looking up {}: {e}", sent.hash),
                decided => return decided,
            }
            if Instant::now() >= deadline {
                return Err(Error::Timeout(format!(
                    "transaction {} is in no block yet; it may land until height {}; \
                     `stoa query tx {}` tells",
                    sent.hash, sent.timeout_height, sent.hash
                )));
            }
            if let (Some(signed), true) = (bytes, Instant::now() >= rebroadcast) {
                // Refused now may mean that it landed a moment ago; fate says.
                let _ = self.broadcast(signed).await;
                rebroadcast = Instant::now() + REBROADCAST;
            }
            let _ = tokio::time::timeout(POLL, heights.changed()).await;
        }
    }

    /// Signs, sends and waits: one transaction, start to end. `before` runs
    /// with what is about to be sent, before each new signing is sent; an
    /// error there stops it.
    ///
    /// # Errors
    /// The chain's refusal, or [`Error::Timeout`] where it is not in a block
    /// after all.
    pub async fn execute(
        &self,
        key: &SecretKey,
        messages: Vec<Any>,
        options: &TxOptions,
        mut before: impl FnMut(&SignedTx, &Sent) -> Result<()>,
    ) -> Result<TxResult> {
        let mut account = self.query().account(&key.address().to_string()).await?;
        for _ in 0..SEQUENCE_ATTEMPTS {
            let prepared = self.prepare(key, account, messages.clone(), options).await;
            let (signed, sent) = match prepared {
                // Simulation looks at the sequence too: at that of the last block, while the
                // mempool counts what waits there. A block brings the two together.
                Err(Error::Refused(refusal)) if refusal.expected_sequence().is_some() => {
                    account.sequence = refusal.expected_sequence().unwrap_or_default();
                    tokio::time::sleep(POLL).await;
                    continue;
                }
                prepared => prepared?,
            };
            before(&signed, &sent)?;
            if let Err(refusal) = self.send(&signed).await {
                account.sequence = refusal.expected_sequence().ok_or(refusal)?;
                continue;
            }
            let deadline = Instant::now() + CONFIRM_DEADLINE;
            return match self.confirm(Some(&signed), &sent, deadline).await? {
                Fate::Included(result) => result.succeeded(),
                Fate::Dropped | Fate::Undecided => Err(Error::Timeout(format!(
                    "transaction {} was not taken into a block by height {}; it can no longer \
                     be, so trying again is safe",
                    sent.hash, sent.timeout_height
                ))),
            };
        }
        Err(Error::Timeout(
            "the account's sequence keeps changing: another program signs with the same key".into(),
        ))
    }

    /// Broadcasts over a short absence of the node. Well means that it may be
    /// under way: [`Self::confirm`] tells (and sends again).
    ///
    /// # Errors
    /// Only where no node can have it.
    pub async fn send(&self, signed: &SignedTx) -> Result<(), Refusal> {
        let mut wait = Duration::from_millis(200);
        // After a lost answer a refusal proves nothing: the node may say "wrong
        // sequence" because this very transaction landed.
        let mut uncertain = false;
        loop {
            match self.broadcast(signed).await {
                Ok(()) => return Ok(()),
                Err(Error::Refused(refusal)) if !uncertain => return Err(*refusal),
                Err(Error::Refused(_)) => return Ok(()),
                Err(error) => {
                    tracing::debug!("broadcasting {}: {error}", signed.hash);
                    uncertain = true;
                }
            }
            if wait > Duration::from_secs(4) {
                return Ok(());
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }

    /// Announcements of new heights, shared by all that wait.
    pub fn hints(&self) -> &Hints {
        self.0.hints.get_or_init(|| Hints::start(&self.0.rpc))
    }
}
