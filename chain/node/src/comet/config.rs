//! Edits of CometBFT's `config.toml` that keep its comments.

use std::{fs, path::Path};

use toml_edit::{value, DocumentMut, Item};

use super::CometError;

/// Addresses and peers; `None` leaves what stands in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct P2pSettings {
    /// Where peers connect, `tcp://host:port`.
    pub p2p_laddr: Option<String>,
    /// Where RPC clients connect, `tcp://host:port`.
    pub rpc_laddr: Option<String>,
    /// `ID@host:port`, by commas.
    pub persistent_peers: Option<String>,
    /// `ID@host:port`, by commas.
    pub seeds: Option<String>,
    /// Address that peers are told, `host:port`.
    pub external_address: Option<String>,
}

/// From where a new node takes the state, and what it trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSyncSettings {
    /// RPC servers, by commas.
    pub rpc_servers: String,
    /// Height of a trusted block.
    pub trust_height: u64,
    /// Its hash, 64 hex digits.
    pub trust_hash: String,
}

impl StateSyncSettings {
    /// The settings as CometBFT takes them from its environment, over its config file.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("CMT_STATESYNC_ENABLE", "true".to_owned()),
            ("CMT_STATESYNC_RPC_SERVERS", self.rpc_servers.clone()),
            ("CMT_STATESYNC_TRUST_HEIGHT", self.trust_height.to_string()),
            ("CMT_STATESYNC_TRUST_HASH", self.trust_hash.clone()),
        ]
    }
}

/// Transactions in the pool; after each block all of them are checked again.
const POOL_SIZE: usize = 10_000;

/// Where CometBFT serves its metrics.
const METRICS_LADDR: &str = "127.0.0.1:26660";

/// How fast blocks follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsensusPace {
    /// Pause after a commit, in milliseconds: the block time of a healthy network.
    pub block_ms: u64,
}

impl ConsensusPace {
    /// How long a proposal and each vote may take before a round fails, in milliseconds.
    fn step_timeouts(self) -> (u64, u64) {
        (self.block_ms.saturating_mul(3).max(600), self.block_ms.max(300))
    }
}

/// CometBFT's `config.toml`, open for edits.
pub struct FileSettings {
    document: DocumentMut,
}

impl FileSettings {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, CometError> {
        let text = fs::read_to_string(path)
            .map_err(|source| CometError::File { path: path.to_owned(), source })?;
        let document = text.parse::<DocumentMut>().map_err(|error| CometError::Format {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self { document })
    }

    /// Writes the file as a whole: a reader sees the old one or the new one.
    pub fn write(&self, path: &Path) -> Result<(), CometError> {
        crate::home::write_whole(path, self.document.to_string().as_bytes())
            .map_err(|source| CometError::File { path: path.to_owned(), source })
    }

    /// The RPC address in the file, `tcp://host:port`.
    pub fn rpc_laddr(&self) -> Option<&str> {
        self.document.get("rpc")?.get("laddr")?.as_str()
    }

    /// The peers' address in the file, `tcp://host:port`.
    pub fn p2p_laddr(&self) -> Option<&str> {
        self.document.get("p2p")?.get("laddr")?.as_str()
    }

    /// Where a remote signer connects; none where the home's own key signs.
    pub fn signer_laddr(&self) -> Option<&str> {
        let laddr = self.document.get("priv_validator_laddr")?.as_str()?;
        (!laddr.is_empty()).then_some(laddr)
    }

    /// The node's name in the file.
    pub fn moniker(&self) -> Option<&str> {
        self.document.get("moniker")?.as_str()
    }

    /// The node's name for people.
    pub fn set_moniker(&mut self, moniker: &str) {
        self.set(&["moniker"], value(moniker));
    }

    /// Sets the addresses and peers that are given.
    pub fn set_p2p(&mut self, settings: &P2pSettings) {
        let P2pSettings { p2p_laddr, rpc_laddr, persistent_peers, seeds, external_address } =
            settings;
        let all = [
            (["p2p", "laddr"], p2p_laddr),
            (["rpc", "laddr"], rpc_laddr),
            (["p2p", "persistent_peers"], persistent_peers),
            (["p2p", "seeds"], seeds),
            (["p2p", "external_address"], external_address),
        ];
        for (path, setting) in all {
            if let Some(setting) = setting {
                self.set(&path, value(setting));
            }
        }
    }

    /// Empty blocks stay on at every pace: orders close and escrows settle by blocks.
    pub fn set_pace(&mut self, pace: ConsensusPace) {
        let (propose, vote) = pace.step_timeouts();
        let ms = |ms: u64| value(format!("{ms}ms"));
        self.set(&["consensus", "timeout_propose"], ms(propose));
        self.set(&["consensus", "timeout_prevote"], ms(vote));
        self.set(&["consensus", "timeout_precommit"], ms(vote));
        self.set(&["consensus", "timeout_commit"], ms(pace.block_ms));
        self.set(&["consensus", "create_empty_blocks"], value(true));
    }

    /// Bounds of the pool: nothing larger than the state machine takes is passed on.
    pub fn set_pool(&mut self, max_tx_bytes: usize) {
        let number = |number: usize| value(i64::try_from(number).unwrap_or(i64::MAX));
        self.set(&["mempool", "max_tx_bytes"], number(max_tx_bytes));
        self.set(&["mempool", "size"], number(POOL_SIZE));
        self.set(&["mempool", "cache_size"], number(10 * POOL_SIZE));
    }

    /// Consensus' own metrics for Prometheus, on this machine alone.
    pub fn set_metrics(&mut self) {
        self.set(&["instrumentation", "prometheus"], value(true));
        self.set(&["instrumentation", "prometheus_listen_addr"], value(METRICS_LADDR));
    }

    /// Lets several nodes live on one machine's loopback.
    pub fn set_local(&mut self) {
        self.set(&["p2p", "addr_book_strict"], value(false));
        self.set(&["p2p", "allow_duplicate_ip"], value(true));
        self.set(&["p2p", "flush_throttle_timeout"], value("10ms"));
        self.set(&["consensus", "peer_gossip_sleep_duration"], value("10ms"));
        self.set(&["rpc", "cors_allowed_origins"], value(toml_edit::Array::from_iter(["*"])));
    }

    /// Sets a value in place; the table and its comments stay.
    fn set(&mut self, path: &[&str], new: Item) {
        let mut item = self.document.as_item_mut();
        for name in path {
            item = &mut item[*name];
        }
        let Some(new) = new.as_value() else { return };
        match item.as_value_mut() {
            Some(old) => {
                let decor = old.decor().clone();
                *old = new.clone();
                *old.decor_mut() = decor;
            }
            None => *item = Item::Value(new.clone()),
        }
    }
}
