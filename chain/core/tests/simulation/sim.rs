//! One run.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use stoa_chain::ctx::Ctx;
use stoa_chain::event::Event;
use stoa_chain::genesis::Genesis;
use stoa_chain::input::{Misbehavior, Vote};
use stoa_chain::modules::auth::{self, GenesisAccount, PublicKey};
use stoa_chain::modules::check_invariants;
use stoa_chain::types::{Address, Amount, Coin, Coins, ConsAddress};
use stoa_proto::Any;

use crate::chain::{begin, deliver, end, Chain, Terms};
use crate::grants::Grants;
use crate::machine::{self, denom};
use crate::market::Market;
use crate::proposals::Proposals;
use crate::scenario::{Actor, Cast, Setting, ENDOWMENT, STOA};

/// Accounts that may operate a validator.
pub const OPERATORS: u8 = 7;

pub struct Sim {
    pub seed: u64,
    pub rng: ChaCha8Rng,
    pub chain: Chain,
    /// All who have a key; the operators stand last.
    pub actors: Vec<Actor>,
    pub grants: Grants,
    pub proposals: Proposals,
    market: Market,
    /// Voters that are away, until which height.
    away: BTreeMap<ConsAddress, u64>,
    /// Owner and serial number of each certificate so far.
    pub certificates: Vec<(Address, String)>,
    /// All that was sent, for who varies it.
    #[allow(dead_code)]
    pub sent: Vec<Sent>,
    /// By message: done, refused.
    pub messages: BTreeMap<String, (u32, u32)>,
    pub events: BTreeMap<String, u32>,
}

/// A message and who sends it.
pub type Sent = (Address, Any);

impl Sim {
    pub fn new(seed: u64) -> Self {
        let setting = Setting {
            seed,
            operations: 0,
            max_end_block_work: [20_000, 6][seed as usize % 2],
            max_bids_per_order: 4,
            second_price_fee_cap: 500,
        };
        let cast = Cast::new();
        let operators = (0..OPERATORS).map(|number| {
            let key = SigningKey::from_bytes(&[150 + number; 32]);
            let address = PublicKey::Ed25519(key.verifying_key().to_bytes()).address();
            Actor { key, address }
        });
        let operators: Vec<Actor> = operators.collect();
        let genesis = genesis(&setting, &cast, &operators);
        let actors = cast.everyone().cloned().chain(operators).collect();
        Self {
            seed,
            rng: ChaCha8Rng::seed_from_u64(seed),
            chain: Chain::new(&genesis),
            actors,
            grants: Grants::default(),
            proposals: Proposals::default(),
            market: Market::new(setting),
            away: BTreeMap::new(),
            certificates: Vec::new(),
            sent: Vec::new(),
            messages: BTreeMap::new(),
            events: BTreeMap::new(),
        }
    }

    pub fn anyone(&mut self) -> Address {
        self.actors.choose(&mut self.rng).unwrap().address
    }

    pub fn operator(&mut self) -> Address {
        let number = self.rng.gen_range(1..=usize::from(OPERATORS));
        self.actors[self.actors.len() - number].address
    }

    /// From one unit to 10^13, each order of magnitude as often.
    pub fn amount(&mut self) -> u128 {
        let magnitude = 10u128.pow(self.rng.gen_range(0..13));
        self.rng.gen_range(magnitude..magnitude * 10)
    }

    /// A block of random transactions; every invariant must hold after it.
    pub fn block(&mut self) {
        let seconds = self.market.pause();
        let (votes, misbehavior) = (self.votes(), self.misbehavior());
        let input = self.chain.input(seconds, votes, misbehavior);
        // The context borrows its store, and operations borrow all of self.
        let store = self.chain.store.clone();
        let mut ctx = Ctx::new(&store, input.block.clone());
        begin(&mut ctx, &input);
        self.count(ctx.take_events());
        self.market.begin_block(&input.block);
        if input.block.height == 1 {
            self.first_transactions(&mut ctx);
        }
        for index in 0..self.rng.gen_range(0..16) {
            self.operate(&mut ctx, 100 + index);
        }
        let set = end(&mut ctx);
        let events = ctx.take_events();
        self.assert_passed_took_effect(&ctx, &events);
        self.count(events);
        self.market.end_block();
        let broken = check_invariants(&ctx);
        let (seed, height) = (self.seed, input.block.height);
        assert!(broken.is_empty(), "seed {seed}, height {height}: {broken:#?}");
        let changes = ctx.into_changes();
        self.chain.commit(input.block, &changes, set);
    }

    fn first_transactions(&mut self, ctx: &mut Ctx<'_>) {
        let operators: Vec<Address> =
            self.actors.iter().rev().take(4).map(|actor| actor.address).collect();
        for (index, operator) in (0..).zip(operators) {
            let sent = self.create_validator(operator);
            self.send(ctx, index, sent, &ordinary());
        }
        for (index, op) in (20..).zip(self.market.providers()) {
            let signer = op.signer().parse().unwrap();
            let done = self.send(ctx, index, (signer, op.to_any()), &ordinary());
            self.market.observe(&op, done, index);
        }
    }

    fn operate(&mut self, ctx: &mut Ctx<'_>, index: u32) {
        let terms = self.terms(ctx);
        let sent = match self.rng.gen_range(0..100) {
            0..45 => {
                let op = self.market.operation();
                let Ok(signer) = op.signer().parse::<Address>() else { return };
                let done = self.send(ctx, index, (signer, op.to_any()), &terms);
                return self.market.observe(&op, done, index);
            }
            45..65 => self.stake_operation(ctx),
            65..73 => self.reward_operation(ctx),
            73..83 => self.proposal_operation(ctx),
            83..93 => self.grant_operation(ctx),
            _ => self.transfer_operation(),
        };
        let Some(sent) = sent else { return };
        let message = sent.1.clone();
        let done = self.send(ctx, index, sent, &terms);
        self.observe_proposal(&message, done);
    }

    /// Sends it; whether it was done.
    fn send(&mut self, ctx: &mut Ctx<'_>, index: u32, sent: Sent, terms: &Terms) -> bool {
        let (signer, message) = sent;
        self.sent.push((signer, message.clone()));
        let name = message.type_url.clone();
        let Some(actor) = self.actors.iter().find(|actor| actor.address == signer) else {
            return false;
        };
        // Mostly one that has granted the signer something.
        let granter = terms.granter.map(|any| self.grants.granter_for(&signer).unwrap_or(any));
        let result = deliver(ctx, index, actor, vec![message], granter, terms);
        let (done, refused) = self.messages.entry(name).or_default();
        *(if result.is_ok() { done } else { refused }) += 1;
        let done = result.is_ok();
        self.count(result.events);
        done
    }

    fn count(&mut self, events: Vec<Event>) {
        for event in events {
            if event.kind == "stoa.cert.v1.EventCertificateCreated" {
                let value = |name: &str| {
                    event.attributes.iter().find(|(found, _)| found == name).unwrap().1.clone()
                };
                self.certificates.push((value("owner").parse().unwrap(), value("serial")));
            }
            *self.events.entry(event.kind).or_default() += 1;
        }
    }

    /// Mostly sound; at times with a wrong sequence, too little gas, a bad
    /// signature, an allowance, or out of order.
    fn terms(&mut self, ctx: &Ctx<'_>) -> Terms {
        let mut terms = ordinary();
        terms.fee = self.rng.gen_range(0..3_000);
        match self.rng.gen_range(0..100) {
            0..2 => terms.ahead = 1,
            2..4 => terms.gas = self.rng.gen_range(1_000..150_000),
            4 => terms.signed = false,
            5..12 => terms.granter = self.grants.some_granter(&mut self.rng),
            12..17 => terms.unordered_until = Some(ctx.now() + self.rng.gen_range(0..600)),
            _ => {}
        }
        terms
    }

    fn votes(&mut self) -> Vec<Vote> {
        let height = self.chain.block.height + 1;
        let voters = self.chain.voters();
        if let Some((voter, _)) = voters.choose(&mut self.rng) {
            if self.rng.gen_bool(0.04) {
                self.away.insert(*voter, height + self.rng.gen_range(1..20));
            }
        }
        let away = |voter: &ConsAddress| self.away.get(voter).is_some_and(|until| *until > height);
        let vote = |(validator, power)| Vote { validator, power, signed: !away(&validator) };
        voters.into_iter().map(vote).collect()
    }

    fn misbehavior(&mut self) -> Vec<Misbehavior> {
        if !self.rng.gen_bool(0.01) {
            return Vec::new();
        }
        let voters = self.chain.voters();
        let Some((validator, power)) = voters.choose(&mut self.rng) else { return Vec::new() };
        let age = self.rng.gen_range(1..10);
        let height = self.chain.block.height.saturating_sub(age);
        let time = self.chain.block.now - age;
        vec![Misbehavior { validator: *validator, power: *power, height, time }]
    }
}

fn ordinary() -> Terms {
    Terms { fee: 7, gas: 20_000_000, granter: None, ahead: 0, signed: true, unordered_until: None }
}

/// The market model's genesis, with operators, and short times.
fn genesis(setting: &Setting, cast: &Cast, operators: &[Actor]) -> Genesis {
    let mut genesis = machine::genesis(setting, cast);
    for actor in operators {
        let number = genesis.auth.next_number;
        genesis.auth.next_number += 1;
        let coin = Coin::new(denom(STOA), Amount::from_raw(ENDOWMENT));
        genesis.bank.supply.checked_add(&coin).unwrap();
        let balances: Coins = [coin].into_iter().collect();
        let account = auth::Account::new(number, balances);
        genesis.auth.accounts.push(GenesisAccount { address: actor.address, account });
    }
    genesis.auth.accounts.sort_by_key(|account| account.address);
    genesis.staking.params.unbonding_time = 200;
    genesis.staking.params.max_validators = 4;
    genesis.slashing.params.signed_blocks_window = 10;
    genesis.slashing.params.downtime_jail_duration = 30;
    let gov = &mut genesis.gov.params;
    let deposit = |amount| -> Coins {
        [Coin::new(denom(STOA), Amount::from_raw(amount))].into_iter().collect()
    };
    gov.min_deposit = deposit(10_000);
    gov.expedited_min_deposit = deposit(20_000);
    gov.max_deposit_period = 200;
    gov.voting_period = 150;
    gov.expedited_voting_period = 80;
    gov.quorum = stoa_chain::types::Dec::percent(5);
    genesis
}
