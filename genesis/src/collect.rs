//! Requests become validators: bonded, with what their operators delegate to them.

use std::collections::{BTreeMap, BTreeSet};

use stoa_chain::{
    app,
    modules::{
        auth::Account,
        staking::{self, Delegation, Description, Status},
    },
    types::{Address, Amount, Coin, Dec, Denom},
};

use crate::{document::ConsensusKey, Document, GenesisError, Gentx, GentxBody, Validator};

impl Document {
    /// Makes the validators of the document those of the requests, so that everybody who collects
    /// the same requests gets the same document, however often. What an operator delegates comes
    /// out of its account; the supply stays as it is.
    ///
    /// # Errors
    /// If a request is wrong, is meant for another chain, comes from an account that is not in
    /// the document or has less, or two of them share an operator or a key; or if the document is
    /// an export, whose validators stand. Then nothing is changed.
    pub fn collect(&mut self, gentxs: &[Gentx]) -> Result<(), GenesisError> {
        let mut collected = self.clone();
        collected.release()?;
        let mut sorted: Vec<&Gentx> = gentxs.iter().collect();
        sorted.sort_by_key(|gentx| gentx.body.operator);
        let (mut operators, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for gentx in sorted {
            gentx.verify()?;
            if !operators.insert(gentx.body.operator) {
                return Err(gentx.refuse("its operator has another request already"));
            }
            if !keys.insert(&gentx.body.consensus_key.value) {
                return Err(gentx.refuse("another request has the same consensus key"));
            }
            collected.add_validator(gentx)?;
        }
        collected.list_validators()?;
        *self = collected;
        Ok(())
    }

    /// Lists for CometBFT who votes by `app_state`.
    ///
    /// # Errors
    /// What the state machine refuses.
    pub fn list_validators(&mut self) -> Result<(), GenesisError> {
        self.validators = self.voting()?;
        Ok(())
    }

    /// Gives back what operators delegated when requests were collected before.
    fn release(&mut self) -> Result<(), GenesisError> {
        let state = &mut self.app_state.staking;
        let own = |delegation: &Delegation| delegation.delegator == delegation.validator;
        let moved = !state.unbondings.is_empty() || !state.redelegations.is_empty();
        if moved || !state.last_powers.is_empty() || !state.delegations.iter().all(own) {
            let reason = "validators and delegations of an export stand; collect requests into a \
                          document without them";
            return Err(GenesisError::field("app_state.staking", reason));
        }
        state.delegations.clear();
        for validator in std::mem::take(&mut state.validators) {
            let tokens = Coin::new(Denom::stake(), validator.tokens);
            let account = self.account_mut(validator.operator).ok_or_else(|| {
                let reason = format!("operator {} has no account", validator.operator);
                GenesisError::field("app_state.staking", reason)
            })?;
            let sum = account.balances.of(&tokens.denom).saturating_add(tokens.amount);
            account.balances.set(tokens.denom.clone(), sum);
            if let Some(vesting) = &mut account.vesting {
                vesting.track_undelegation(&tokens);
            }
        }
        Ok(())
    }

    fn account_mut(&mut self, address: Address) -> Option<&mut Account> {
        let mut accounts = self.app_state.auth.accounts.iter_mut();
        accounts.find(|known| known.address == address).map(|known| &mut known.account)
    }

    fn add_validator(&mut self, gentx: &Gentx) -> Result<(), GenesisError> {
        let GentxBody { chain_id, operator, amount, .. } = &gentx.body;
        if *chain_id != self.chain_id {
            let ours = &self.chain_id;
            return Err(gentx.refuse(format!("it is meant for chain {chain_id}, not {ours}")));
        }
        let now = self.genesis_block()?.now;
        self.pay(gentx, now)?;
        let shares = Dec::from_raw(amount.to_fine().raw());
        let key = gentx.body.consensus_key.bytes().map_err(|reason| gentx.refuse(reason))?;
        let state = &mut self.app_state.staking;
        state.validators.push(staking::Validator {
            operator: *operator,
            consensus_key: key,
            jailed: false,
            status: Status::Bonded,
            tokens: *amount,
            shares,
            description: Description { moniker: gentx.body.moniker.clone(), ..Default::default() },
            commission: gentx.body.commission.since(now),
            min_self_delegation: gentx.body.min_self_delegation,
        });
        state.delegations.push(Delegation { delegator: *operator, validator: *operator, shares });
        Ok(())
    }

    /// Takes what the operator delegates out of its account.
    fn pay(&mut self, gentx: &Gentx, now: u64) -> Result<(), GenesisError> {
        let GentxBody { operator, amount, .. } = &gentx.body;
        let account = self.account_mut(*operator).ok_or_else(|| {
            gentx.refuse(format!(
                "its operator {operator} has no account; add it with add-genesis-account"
            ))
        })?;
        let stake = Coin::new(Denom::stake(), *amount);
        let has = account.balances.of(&stake.denom);
        account.balances.checked_sub(&stake).ok_or_else(|| {
            let denom = &stake.denom;
            gentx.refuse(format!("its operator {operator} has {has}{denom}, less than {stake}"))
        })?;
        if let Some(vesting) = &mut account.vesting {
            vesting.track_delegation(&stake, now);
        }
        Ok(())
    }

    /// Who votes for the first blocks, as the state machine says, for CometBFT: the strongest
    /// first.
    ///
    /// # Errors
    /// What the state machine refuses.
    pub(crate) fn voting(&self) -> Result<Vec<Validator>, GenesisError> {
        let block = self.genesis_block()?;
        let beginning = app::init_chain(&self.app_state, block).map_err(GenesisError::State)?;
        let known = &self.app_state.staking.validators;
        let names: BTreeMap<[u8; 32], &str> = known
            .iter()
            .map(|known| (known.consensus_key, known.description.moniker.as_str()))
            .collect();
        let validator = |update: app::ValidatorUpdate| {
            let pub_key = ConsensusKey::ed25519(update.consensus_key);
            let state = |reason: String| GenesisError::State(reason);
            Ok(Validator {
                address: pub_key.address().map_err(state)?,
                pub_key,
                power: i64::try_from(update.power).map_err(|error| state(error.to_string()))?,
                name: names.get(&update.consensus_key).copied().unwrap_or_default().to_owned(),
            })
        };
        beginning.validators.into_iter().map(validator).collect()
    }
}

/// Stake of one vote, which is the least of a validator.
pub const ONE_VOTE: Amount = Amount::from_raw(staking::UNITS_PER_POWER);
