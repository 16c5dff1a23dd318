//! Who takes part, and under which parameters: small ones, so that every path
//! is walked in a short run.

use ed25519_dalek::SigningKey;
use stoa_chain::modules::auth::PublicKey;
use stoa_chain::types::Address;
use stoa_proto::deployment::v1 as dpb;
use stoa_proto::escrow::v1 as epb;
use stoa_proto::market::v1 as mpb;

use crate::reference::Params;

/// The staking denom, and another that the market trades in.
pub const STOA: &str = "ustoa";
pub const OTHER: &str = "uother";
/// One that exists and is not traded.
pub const UNTRADED: &str = "ujunk";
/// What each actor begins with, of each denom.
pub const ENDOWMENT: u128 = 100_000_000_000_000;
/// Unix seconds of genesis: shortly before a day (and week) ends.
pub const GENESIS: u64 = 1_799_971_200 - 20_000;

/// Someone with a key.
#[derive(Clone)]
pub struct Actor {
    pub key: SigningKey,
    pub address: Address,
}

impl Actor {
    fn new(number: u8) -> Self {
        let key = SigningKey::from_bytes(&[number; 32]);
        let public = PublicKey::Ed25519(key.verifying_key().to_bytes());
        Self { key, address: public.address() }
    }
}

/// All who take part.
pub struct Cast {
    pub tenants: Vec<Actor>,
    pub providers: Vec<Actor>,
    pub auditors: Vec<Actor>,
    /// No provider, with little money.
    pub poor: Actor,
}

impl Cast {
    pub fn new() -> Self {
        let actors = |from: u8, count: u8| (from..from + count).map(Actor::new).collect();
        Self {
            tenants: actors(1, 5),
            providers: actors(50, 9),
            auditors: actors(100, 2),
            poor: Actor::new(120),
        }
    }

    pub fn everyone(&self) -> impl Iterator<Item = &Actor> {
        let many = self.tenants.iter().chain(&self.providers).chain(&self.auditors);
        many.chain(std::iter::once(&self.poor))
    }

    pub fn endowment(&self, actor: &Actor) -> u128 {
        if actor.address == self.poor.address {
            700
        } else {
            ENDOWMENT
        }
    }
}

/// What differs from run to run.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub seed: u64,
    pub operations: usize,
    pub max_end_block_work: u64,
    pub max_bids_per_order: u32,
    pub second_price_fee_cap: u32,
}

impl Setting {
    pub fn params(&self) -> Params {
        Params {
            market: mpb::Params {
                min_bid_window: 5,
                max_bid_window: 600,
                default_bid_window: 30,
                reveal_window: 40,
                bid_step: 10,
                max_bids_per_order: self.max_bids_per_order,
                min_bid_deposit: "500".into(),
                lease_start_deadline: 90,
                max_end_block_work: self.max_end_block_work,
                second_price_fee_cap: self.second_price_fee_cap,
                keep_closed: 300,
                max_reopens: 2,
                max_leases_per_withdrawal: 3,
                min_reclamation: 10,
                max_reclamation: 500,
                rep_half_stake: "10000".into(),
                rep_min_fee: "200".into(),
            },
            escrow: epb::Params {
                market_denoms: vec![
                    epb::MarketDenom {
                        denom: STOA.into(),
                        take_rate: 200,
                        min_deposit: "1000".into(),
                    },
                    epb::MarketDenom {
                        denom: OTHER.into(),
                        take_rate: 333,
                        min_deposit: "2000".into(),
                    },
                ],
                overdrawn_keep: 400,
                max_depositors: 3,
            },
            deployment: dpb::Params {
                max_groups: 4,
                max_units_per_group: 3,
                max_count: 5,
                min_cpu: 10,
                max_cpu: 512_000,
                min_memory: 1 << 20,
                max_memory: 1 << 40,
                min_storage: 5 << 20,
                max_storage: 32 << 40,
                max_volumes: 2,
                max_endpoints: 4,
                max_gpu_units: 100,
                max_gpu_models: 4,
                max_attributes: 4,
                max_attribute_bytes: 32,
                max_auditors: 4,
                max_listed_providers: 4,
            },
            unbonding: 200,
            max_unbondings: 2,
        }
    }
}
