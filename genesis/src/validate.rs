//! Whether a document can begin a chain.

use std::collections::{BTreeMap, BTreeSet};

use crate::{document::Validator, AppState, ConsensusParams, Document, GenesisError};

/// Longest chain id in bytes, CometBFT's bound.
const MAX_CHAIN_ID: usize = 50;

/// Sum of voting powers that CometBFT can compute with.
const MAX_TOTAL_POWER: i64 = i64::MAX / 8;

/// Most validators; their votes have to fit in a block.
const MAX_VALIDATORS: usize = 1_000;

impl Document {
    /// Looks at every field, and lets the state machine begin with its part.
    ///
    /// # Errors
    /// The first field that is wrong, with what would be right.
    pub fn validate(&self) -> Result<(), GenesisError> {
        check_chain_id(&self.chain_id)?;
        if self.initial_height < 1 {
            return Err(GenesisError::field("initial_height", "the first block is at least 1"));
        }
        if !self.app_hash.is_empty() {
            let reason = "leave it empty: the state machine computes it from app_state";
            return Err(GenesisError::field("app_hash", reason));
        }
        check_params(&self.consensus_params, &self.app_state)?;
        check_validators(&self.validators)?;
        self.check_voting()
    }

    /// Whether CometBFT's list is what staking says: both begin with the same set.
    fn check_voting(&self) -> Result<(), GenesisError> {
        let listed: BTreeMap<&str, i64> = self.validators.iter().map(key_and_power).collect();
        let voting = self.voting()?;
        let voting: BTreeMap<&str, i64> = voting.iter().map(key_and_power).collect();
        let wrong = listed.iter().find(|(key, power)| voting.get(*key) != Some(power));
        if let Some((key, power)) = wrong {
            let says = voting.get(key).copied().unwrap_or_default();
            let reason = format!("the power of {key} is {power}; app_state.staking says {says}");
            return Err(GenesisError::field("validators", reason));
        }
        if let Some(key) = voting.keys().find(|key| !listed.contains_key(*key)) {
            let reason = format!("{key} is missing, which votes by app_state.staking");
            return Err(GenesisError::field("validators", reason));
        }
        Ok(())
    }

    /// Whether the state machine begins with `app_state`.
    ///
    /// # Errors
    /// What it refuses.
    pub fn check_state(&self) -> Result<(), GenesisError> {
        let block = self.genesis_block()?;
        stoa_chain::app::init_chain(&self.app_state, block).map_err(GenesisError::State).map(drop)
    }
}

fn key_and_power(validator: &Validator) -> (&str, i64) {
    (validator.pub_key.value.as_str(), validator.power)
}

/// Whether a text can name a chain.
///
/// # Errors
/// What would be right.
pub fn check_chain_id(chain_id: &str) -> Result<(), GenesisError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if chain_id.is_empty() || chain_id.len() > MAX_CHAIN_ID || !chain_id.bytes().all(fits) {
        return Err(GenesisError::field(
            "chain_id",
            format!("{chain_id:?}: use 1 to {MAX_CHAIN_ID} letters, digits or any of - _ ."),
        ));
    }
    Ok(())
}

/// Whether the engine and the state machine take them, and whether the state says the same of them
/// where it says something.
fn check_params(params: &ConsensusParams, state: &AppState) -> Result<(), GenesisError> {
    let kept = params
        .to_state()
        .map_err(|reason| GenesisError::field("consensus_params".to_owned(), reason))?;
    match &state.consensus.params {
        Some(said) if *said != kept => {
            let reason = "they are not those of consensus_params; leave them out";
            Err(GenesisError::field("app_state.consensus.params", reason))
        }
        _ => Ok(()),
    }
}

fn check_validators(validators: &[Validator]) -> Result<(), GenesisError> {
    if validators.is_empty() {
        let reason = "there is none; collect genesis transactions with collect-gentxs";
        return Err(GenesisError::field("validators", reason));
    }
    if validators.len() > MAX_VALIDATORS {
        let reason = format!("{} are more than {MAX_VALIDATORS}", validators.len());
        return Err(GenesisError::field("validators", reason));
    }
    let mut keys = BTreeSet::new();
    let mut total = 0_i64;
    for (index, validator) in validators.iter().enumerate() {
        let refuse = |reason: String| GenesisError::field(format!("validators[{index}]"), reason);
        let address = validator.pub_key.address().map_err(refuse)?;
        if !validator.address.is_empty() && validator.address != address {
            return Err(refuse(format!("address {}; its key's is {address}", validator.address)));
        }
        if !keys.insert(address) {
            return Err(refuse("the key is another validator's too".to_owned()));
        }
        if validator.power < 1 {
            return Err(refuse(format!("power {}; give at least 1", validator.power)));
        }
        total = total.saturating_add(validator.power);
    }
    if total > MAX_TOTAL_POWER {
        let reason = format!("their power sums to more than {MAX_TOTAL_POWER}");
        return Err(GenesisError::field("validators", reason));
    }
    Ok(())
}
