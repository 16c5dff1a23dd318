//! Settings that chains begin with.

use stoa_chain::modules::{bank, consensus};

use crate::{AppState, ConsensusParams};

/// Protocol version of the state machine, reported by Info.
pub const APP_VERSION: u64 = 1;

/// In seconds.
const MINUTE: u64 = 60;

const NANOSECONDS: u64 = 1_000_000_000;

/// A set of settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// For development: short windows, so that a deployment is matched within seconds.
    Devnet,
    /// The defaults of a real network.
    #[default]
    Mainnet,
}

impl std::str::FromStr for Preset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "devnet" => Ok(Self::Devnet),
            "mainnet" => Ok(Self::Mainnet),
            _ => Err(format!("{text:?} is no preset; there are devnet and mainnet")),
        }
    }
}

impl Preset {
    /// What CometBFT enforces. Evidence lives as long as stake stays bonded after it leaves.
    pub fn consensus_params(self) -> ConsensusParams {
        let mut params = consensus::Params::default();
        if matches!(self, Self::Devnet) {
            params.max_evidence_age_blocks = 1_200;
            params.max_evidence_age_nanos = 120 * NANOSECONDS;
        }
        ConsensusParams::from_state(&params)
    }

    /// The modules' parameters, without accounts.
    pub fn app_state(self) -> AppState {
        let mut state = AppState::default();
        state.bank.metadata = vec![bank::Metadata::stoa()];
        match self {
            Self::Devnet => shorten_windows(&mut state),
            // Some hours of blocks: a validator has time for repairs.
            Self::Mainnet => state.slashing.params.signed_blocks_window = 10_000,
        }
        state
    }
}

/// What takes hours on a real network takes seconds or minutes; amounts and fees stay.
fn shorten_windows(state: &mut AppState) {
    state.market.params.default_bid_window = 8;
    state.market.params.reveal_window = 6;
    state.market.params.lease_start_deadline = 2 * MINUTE;
    state.market.params.min_reclamation = MINUTE;
    state.provider.params.unbonding = 2 * MINUTE;
    state.provider.params.root_overlap = 10 * MINUTE;
    state.staking.params.unbonding_time = 2 * MINUTE;
    state.slashing.params.signed_blocks_window = 20;
    state.slashing.params.downtime_jail_duration = 20;
    state.escrow.params.overdrawn_keep = 60 * MINUTE;
}
