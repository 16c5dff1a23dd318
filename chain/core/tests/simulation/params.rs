//! The parameters of every module, as governance sets them, and whether they
//! are in force.

use cosmos_sdk_proto::cosmos::bank::v1beta1 as bank_pb;
use cosmos_sdk_proto::cosmos::distribution::v1beta1::MsgUpdateParams as Distribution;
use cosmos_sdk_proto::cosmos::gov::v1::MsgUpdateParams as Gov;
use cosmos_sdk_proto::cosmos::mint::v1beta1::MsgUpdateParams as Mint;
use cosmos_sdk_proto::cosmos::slashing::v1beta1::MsgUpdateParams as Slashing;
use cosmos_sdk_proto::cosmos::staking::v1beta1::MsgUpdateParams as Staking;
use cosmos_sdk_proto::tendermint::types::ConsensusParams;
use prost::{Message, Name};
use rand::Rng;
use stoa_chain::ctx::Ctx;
use stoa_chain::modules::gov::authority;
use stoa_chain::modules::{
    auth, bank, consensus, deployment, distribution, escrow, gov, market, mint, provider, slashing,
    staking,
};
use stoa_chain::types::Dec;
use stoa_proto::auth as auth_pb;
use stoa_proto::consensus::v1::MsgUpdateParams as Consensus;
use stoa_proto::deployment::v1::MsgUpdateParams as Deployment;
use stoa_proto::escrow::v1::MsgUpdateParams as Escrow;
use stoa_proto::market::v1::MsgUpdateParams as Market;
use stoa_proto::provider::v1::MsgUpdateParams as Provider;
use stoa_proto::Any;

use crate::sim::Sim;
use crate::transfers::any;

/// For the modules whose messages are of one form: a message that sets them
/// otherwise than they are, and whether what a message says is in force.
macro_rules! governed {
    ($($message:ident: $module:ident, |$params:ident, $rng:ident| $change:expr;)*) => {
        /// Names of the modules.
        pub const MODULES: [&str; 12] =
            [$(stringify!($message),)* "Auth", "Bank", "Consensus"];

        fn common(sim: &mut Sim, ctx: &Ctx<'_>, module: &str) -> Option<Any> {
            $(if module == stringify!($message) {
                let mut $params = $module::params(ctx);
                let $rng = &mut sim.rng;
                $change;
                let authority = authority().to_string();
                return Some(any(&$message { authority, params: Some($params.into()) }));
            })*
            None
        }

        fn common_in_force(ctx: &Ctx<'_>, message: &Any) -> Option<(&'static str, bool)> {
            $(if message.type_url == $message::type_url() {
                let sent = $message::decode(message.value.as_slice()).unwrap().params.unwrap();
                let sent = $module::Params::try_from(sent).unwrap();
                return Some((stringify!($message), $module::params(ctx) == sent));
            })*
            None
        }
    };
}

governed! {
    // Over 1 at times, which is refused.
    Distribution: distribution, |params, rng| {
        params.community_tax = Dec::percent(rng.gen_range(0..110));
        params.withdraw_addr_enabled = rng.gen();
    };
    Mint: mint, |params, rng| params.inflation_max = Dec::percent(rng.gen_range(5..60));
    Gov: gov, |params, rng| {
        params.voting_period = rng.gen_range(90..200);
        params.expedited_voting_period = rng.gen_range(40..90);
        params.burn_vote_veto = rng.gen();
    };
    Slashing: slashing, |params, rng| {
        params.signed_blocks_window = rng.gen_range(5..30);
        params.downtime_jail_duration = rng.gen_range(10..60);
    };
    Staking: staking, |params, rng| {
        params.unbonding_time = rng.gen_range(50..300);
        params.max_validators = rng.gen_range(2..7);
        params.max_entries = rng.gen_range(1..9);
    };
    Deployment: deployment, |params, rng| params.max_auditors = rng.gen_range(4..12);
    Escrow: escrow, |params, rng| {
        params.overdrawn_keep = rng.gen_range(1..500);
        params.max_depositors = rng.gen_range(2..20);
    };
    Market: market, |params, rng| {
        params.bid_step = rng.gen_range(0..200);
        params.keep_closed = rng.gen_range(1..500);
        params.max_end_block_work = *[6, 50, 20_000].get(rng.gen_range(0..3)).unwrap();
        params.max_bids_per_order = rng.gen_range(2..6);
    };
    Provider: provider, |params, rng| {
        params.unbonding = rng.gen_range(20..500);
        params.root_overlap = rng.gen_range(1..500);
        params.max_unbondings = rng.gen_range(1..9);
    };
}

impl Sim {
    /// Sets some of a module's parameters.
    pub fn params_message(&mut self, ctx: &Ctx<'_>, module: &str) -> Any {
        if let Some(message) = common(self, ctx, module) {
            return message;
        }
        match module {
            "Auth" => self.auth_params(),
            "Bank" => self.bank_params(),
            _ => self.consensus_params(ctx),
        }
    }

    fn auth_params(&mut self) -> Any {
        let params = auth_pb::Params {
            max_memo_characters: self.rng.gen_range(0..600),
            tx_sig_limit: self.rng.gen_range(1..9),
            tx_size_cost_per_byte: stoa_chain::gas::TX_BYTE,
            sig_verify_cost_ed25519: stoa_chain::gas::VERIFY_ED25519,
            sig_verify_cost_secp256k1: stoa_chain::gas::VERIFY_SECP256K1,
            max_unordered_seconds: self.rng.gen_range(60..900),
        };
        any(&auth_pb::MsgUpdateParams { authority: authority().to_string(), params: Some(params) })
    }

    fn bank_params(&mut self) -> Any {
        let default_send_enabled = self.rng.gen_bool(0.7);
        let params = bank_pb::Params { default_send_enabled, ..bank_pb::Params::default() };
        any(&bank_pb::MsgUpdateParams { authority: authority().to_string(), params: Some(params) })
    }

    fn consensus_params(&mut self, ctx: &Ctx<'_>) -> Any {
        let mut params = consensus::params(ctx);
        params.max_block_bytes = self.rng.gen_range(2 << 20..20 << 20);
        params.max_block_gas = self.rng.gen::<bool>().then_some(50_000_000);
        params.max_evidence_age_blocks = self.rng.gen_range(1..1_000);
        let ConsensusParams { block, evidence, validator, abci, .. } = params.into();
        let authority = authority().to_string();
        any(&Consensus { authority, block, evidence, validator, abci })
    }
}

/// Whose parameters the message sets, and whether what it says is in force;
/// none of another message.
pub fn in_force(ctx: &Ctx<'_>, message: &Any) -> Option<(&'static str, bool)> {
    let bytes = message.value.as_slice();
    if message.type_url == auth_pb::MsgUpdateParams::type_url() {
        let sent = auth_pb::MsgUpdateParams::decode(bytes).unwrap().params.unwrap();
        let found = auth::params(ctx);
        let same = u64::from(found.max_memo_bytes) == sent.max_memo_characters
            && u64::from(found.max_signers) == sent.tx_sig_limit
            && found.max_unordered_seconds == sent.max_unordered_seconds;
        return Some(("Auth", same));
    }
    if message.type_url == bank_pb::MsgUpdateParams::type_url() {
        let sent = bank_pb::MsgUpdateParams::decode(bytes).unwrap().params.unwrap();
        let found = bank::params(ctx).default_send_enabled;
        return Some(("Bank", found == sent.default_send_enabled));
    }
    if message.type_url == Consensus::type_url() {
        let Consensus { block, evidence, validator, abci, .. } = Consensus::decode(bytes).unwrap();
        let sent = ConsensusParams { block, evidence, validator, abci, version: None };
        let sent = consensus::Params::try_from(sent).unwrap();
        return Some(("Consensus", consensus::params(ctx) == sent));
    }
    common_in_force(ctx, message)
}
