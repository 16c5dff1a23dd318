//! The document itself, field by field as CometBFT 0.38 reads it.

use base64::{engine::general_purpose::STANDARD, Engine as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stoa_chain::{
    ctx::Block,
    modules::{
        auth::{Account, GenesisAccount, Vesting},
        consensus,
    },
    types::{Address, Amount, Coin, Coins},
};
use stoa_proto::{tendermint::types, Duration};
use time::{format_description::well_known::Rfc3339, OffsetDateTime};

use crate::{numbers, AppState, GenesisError, Preset};

/// CometBFT's name for ed25519 public keys in JSON.
pub const ED25519: &str = "tendermint/PubKeyEd25519";

const NANOSECONDS: i64 = 1_000_000_000;

/// The whole `genesis.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// When the chain begins; blocks are not older.
    #[serde(with = "time::serde::rfc3339")]
    pub genesis_time: OffsetDateTime,
    /// Name of the chain, part of everything that is signed.
    pub chain_id: String,
    /// Height of the first block.
    #[serde(with = "numbers")]
    pub initial_height: i64,
    /// What CometBFT enforces.
    pub consensus_params: ConsensusParams,
    /// Who validates the first blocks.
    #[serde(default)]
    pub validators: Vec<Validator>,
    /// Empty: the state machine computes it from `app_state`.
    #[serde(default)]
    pub app_hash: String,
    /// The state machine's state at the beginning.
    pub app_state: AppState,
}

/// CometBFT's consensus parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsensusParams {
    /// Bounds of a block.
    pub block: BlockParams,
    /// How long misbehavior can be shown.
    pub evidence: EvidenceParams,
    /// Kinds of validators' keys.
    pub validator: ValidatorKeyParams,
    /// Protocol version of the state machine.
    #[serde(default)]
    pub version: VersionParams,
    /// Vote extensions.
    #[serde(default)]
    pub abci: AbciParams,
}

impl ConsensusParams {
    /// What the state machine keeps of them.
    ///
    /// # Errors
    /// The field that CometBFT or the state machine refuses.
    pub fn to_state(&self) -> Result<consensus::Params, String> {
        let nanos = self.evidence.max_age_duration;
        let age = Duration {
            seconds: nanos / NANOSECONDS,
            nanos: i32::try_from(nanos % NANOSECONDS).unwrap_or_default(),
        };
        consensus::Params::try_from(types::ConsensusParams {
            block: Some(types::BlockParams {
                max_bytes: self.block.max_bytes,
                max_gas: self.block.max_gas,
            }),
            evidence: Some(types::EvidenceParams {
                max_age_num_blocks: self.evidence.max_age_num_blocks,
                max_age_duration: Some(age),
                max_bytes: self.evidence.max_bytes,
            }),
            validator: Some(types::ValidatorParams {
                pub_key_types: self.validator.pub_key_types.clone(),
            }),
            version: None,
            abci: Some(types::AbciParams {
                vote_extensions_enable_height: self.abci.vote_extensions_enable_height,
            }),
        })
    }

    /// Those that the state machine keeps, with this program's version.
    pub fn from_state(params: &consensus::Params) -> Self {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Self {
            block: BlockParams {
                max_bytes: signed(params.max_block_bytes),
                max_gas: params.max_block_gas.map_or(-1, signed),
            },
            evidence: EvidenceParams {
                max_age_num_blocks: signed(params.max_evidence_age_blocks),
                max_age_duration: signed(params.max_evidence_age_nanos),
                max_bytes: signed(params.max_evidence_bytes),
            },
            validator: ValidatorKeyParams { pub_key_types: vec!["ed25519".to_owned()] },
            version: VersionParams { app: crate::presets::APP_VERSION },
            abci: AbciParams::default(),
        }
    }
}

/// Bounds of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockParams {
    /// Bytes of a block; -1: CometBFT's own maximum.
    #[serde(with = "numbers")]
    pub max_bytes: i64,
    /// Gas of a block; -1: no bound of CometBFT's.
    #[serde(with = "numbers")]
    pub max_gas: i64,
}

/// How long misbehavior can be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceParams {
    /// In blocks.
    #[serde(with = "numbers")]
    pub max_age_num_blocks: i64,
    /// In nanoseconds.
    #[serde(with = "numbers")]
    pub max_age_duration: i64,
    /// Bytes of evidence in a block.
    #[serde(with = "numbers")]
    pub max_bytes: i64,
}

/// Kinds of validators' keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorKeyParams {
    /// `ed25519` alone is supported.
    pub pub_key_types: Vec<String>,
}

/// Protocol version of the state machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionParams {
    /// The number that Info reports too.
    #[serde(with = "numbers", default)]
    pub app: u64,
}

/// Vote extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbciParams {
    /// 0: never.
    #[serde(with = "numbers", default)]
    pub vote_extensions_enable_height: i64,
}

/// A validator's public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsensusKey {
    /// `tendermint/PubKeyEd25519`.
    #[serde(rename = "type")]
    pub kind: String,
    /// 32 bytes in base64.
    pub value: String,
}

impl ConsensusKey {
    /// The key of these bytes.
    pub fn ed25519(bytes: [u8; 32]) -> Self {
        Self { kind: ED25519.to_owned(), value: STANDARD.encode(bytes) }
    }

    /// The bytes.
    ///
    /// # Errors
    /// If it is no ed25519 key of 32 bytes; the text says what is wrong.
    pub fn bytes(&self) -> Result<[u8; 32], String> {
        if self.kind != ED25519 {
            return Err(format!("key type {:?}; validators have {ED25519:?}", self.kind));
        }
        let bytes = STANDARD.decode(&self.value).map_err(|error| format!("the key: {error}"))?;
        let len = bytes.len();
        bytes.try_into().map_err(|_| format!("the key has {len} bytes; ed25519 keys have 32"))
    }

    /// CometBFT's address of the key: 20 bytes of SHA-256, in upper-case hex.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub fn address(&self) -> Result<String, String> {
        let hash = Sha256::digest(self.bytes()?);
        Ok(hash.iter().take(20).map(|byte| format!("{byte:02X}")).collect())
    }
}

/// A validator of the first blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validator {
    /// CometBFT's address; may be left empty.
    #[serde(default)]
    pub address: String,
    /// Whose votes count.
    pub pub_key: ConsensusKey,
    /// How much they count.
    #[serde(with = "numbers")]
    pub power: i64,
    /// For people.
    #[serde(default)]
    pub name: String,
}

impl Document {
    /// A document without accounts and validators.
    pub fn new(chain_id: &str, genesis_time: OffsetDateTime, preset: Preset) -> Self {
        Self {
            genesis_time,
            chain_id: chain_id.to_owned(),
            initial_height: 1,
            consensus_params: preset.consensus_params(),
            validators: Vec::new(),
            app_hash: String::new(),
            app_state: preset.app_state(),
        }
    }

    /// Takes an exported state: what the engine enforces goes where the engine reads it.
    pub fn adopt_state(&mut self, mut state: AppState) {
        if let Some(params) = state.consensus.params.take() {
            self.consensus_params = ConsensusParams::from_state(&params);
        }
        self.app_state = state;
    }

    /// Reads a document; that it makes sense, [`Self::validate`] says.
    ///
    /// # Errors
    /// If it is no JSON, lacks a field or has one that is not known.
    pub fn from_json(text: &str) -> Result<Self, GenesisError> {
        Ok(serde_json::from_str(text)?)
    }

    /// Writes the document.
    ///
    /// # Errors
    /// None in practice: every field has a form in JSON.
    pub fn to_json(&self) -> Result<String, GenesisError> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }

    /// The block before the first, in which the state machine begins: height 0.
    ///
    /// # Errors
    /// If the chain would begin before 1970.
    pub fn genesis_block(&self) -> Result<Block, GenesisError> {
        let now = u64::try_from(self.genesis_time.unix_timestamp()).map_err(|_| {
            GenesisError::field("genesis_time", "it is before 1970; name the chain's first moment")
        })?;
        Ok(Block { chain_id: self.chain_id.clone(), height: 0, now })
    }

    /// The time as it stands in the file.
    pub fn time_text(&self) -> String {
        self.genesis_time.format(&Rfc3339).unwrap_or_default()
    }

    /// Gives an account coins that begin to exist with the chain.
    ///
    /// # Errors
    /// If the account is there already, the coins are none, or more of one would exist than may.
    pub fn add_account(&mut self, address: Address, coins: Coins) -> Result<(), GenesisError> {
        self.add_vesting_account(address, coins, None)
    }

    /// The same, for coins of which some come free later.
    ///
    /// # Errors
    /// As [`Self::add_account`], and if the vesting makes no sense or is of more than the coins.
    pub fn add_vesting_account(
        &mut self,
        address: Address,
        coins: Coins,
        vesting: Option<Vesting>,
    ) -> Result<(), GenesisError> {
        let refuse = |reason: String| GenesisError::field(format!("account {address}"), reason);
        if coins.is_empty() {
            return Err(refuse("no coins; name some, as 1000000ustoa".to_owned()));
        }
        if let Some(vesting) = &vesting {
            vesting.validate().map_err(refuse)?;
            let over = |coin: &Coin| coin.amount > coins.of(&coin.denom);
            if let Some(coin) = vesting.original.iter().find(over) {
                return Err(refuse(format!("{coin} vest; the account has {coins}")));
            }
        }
        let accounts = &mut self.app_state.auth.accounts;
        let Err(place) = accounts.binary_search_by_key(&address, |known| known.address) else {
            return Err(refuse("it is in the document already".to_owned()));
        };
        for coin in coins.iter() {
            let supply = &mut self.app_state.bank.supply;
            let sum = supply.of(&coin.denom).checked_add(coin.amount);
            match sum.filter(|sum| *sum <= Amount::MAX_SUPPLY) {
                Some(sum) => supply.set(coin.denom, sum),
                None => return Err(refuse(format!("{coin} is more than may exist"))),
            }
        }
        let number = self.app_state.auth.next_number;
        let account = Account { vesting, ..Account::new(number, coins) };
        accounts.insert(place, GenesisAccount { address, account });
        self.app_state.auth.next_number = number.saturating_add(1);
        Ok(())
    }
}
