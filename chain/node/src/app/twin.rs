//! Twin run: two nodes get the same random blocks, one of them is restarted at random.

use std::path::Path;

use cosmos_sdk_proto::cosmos::base::v1beta1::{Coin, DecCoin};
use rand::{rngs::StdRng, Rng, SeedableRng};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use stoa_chain::{
    app::{check_invariants, export},
    ctx::Block,
    genesis::Genesis,
    modules::provider::Provider,
    types::{Address, Amount},
};
use stoa_proto::{
    deployment::v1::{MsgCloseDeployment, MsgCreateDeployment},
    market::v1::{MsgCreateBid, MsgStartLease},
    types::v1::{BidId, Cpu, GroupResource, GroupSpec, Memory, OrderId, ResourceUnit, Volume},
};
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::ExecTxResult;

use crate::cmd::inspect::past;

use super::testing::{open, state_of, Consensus, Wallet, CHAIN, GENESIS_TIME};

const BLOCKS: usize = 90;
/// Height whose export is compared again at the end.
const EXPORT_AT: i64 = 50;
const TENANTS: usize = 3;
const PROVIDERS: usize = 3;

/// Who acts, and what they did.
struct Market {
    rng: StdRng,
    tenants: Vec<Wallet>,
    providers: Vec<Wallet>,
    /// Tenant and dseq of each deployment.
    posted: Vec<(usize, u64)>,
    next_dseq: u64,
}

impl Market {
    fn new(seed: u64) -> Self {
        let wallet = |number: usize| {
            let mut wallet = Wallet::new(CHAIN, u8::try_from(number + 1).unwrap());
            wallet.number = number as u64;
            wallet
        };
        Self {
            rng: StdRng::seed_from_u64(seed),
            tenants: (0..TENANTS).map(wallet).collect(),
            providers: (TENANTS..TENANTS + PROVIDERS).map(wallet).collect(),
            posted: Vec::new(),
            next_dseq: 1,
        }
    }

    fn genesis(&self) -> Vec<u8> {
        let wallets: Vec<&Wallet> = self.tenants.iter().chain(&self.providers).collect();
        let mut state = state_of(&wallets, 1_000_000_000);
        state.provider.providers = self.providers.iter().map(provider).collect();
        state.provider.providers.sort_by_key(|provider| provider.owner);
        serde_json::to_vec(&state).unwrap()
    }

    /// Transactions of one block; many fail, and must fail alike.
    fn block(&mut self) -> Vec<Vec<u8>> {
        (0..self.rng.gen_range(0..7)).map(|_| self.transaction()).collect()
    }

    fn transaction(&mut self) -> Vec<u8> {
        match self.rng.gen_range(0..10) {
            0 => (0..self.rng.gen_range(0..99)).map(|_| self.rng.gen()).collect(),
            1 => {
                let to = Address::new([self.rng.gen_range(0..9); 20]);
                let amount = self.rng.gen_range(1..2_000_000_000);
                self.tenant().send(to, amount)
            }
            2..=3 => self.post(),
            4..=6 => self.bid(),
            7..=8 => self.start(),
            _ => self.close(),
        }
    }

    fn tenant(&mut self) -> &mut Wallet {
        let index = self.rng.gen_range(0..TENANTS);
        &mut self.tenants[index]
    }

    fn post(&mut self) -> Vec<u8> {
        let (tenant, dseq) = (self.rng.gen_range(0..TENANTS), self.next_dseq);
        self.next_dseq += 1;
        self.posted.push((tenant, dseq));
        let wallet = &mut self.tenants[tenant];
        let message = MsgCreateDeployment {
            owner: wallet.address().to_string(),
            dseq,
            groups: vec![group()],
            version: vec![7; 32],
            manifest_root: vec![8; 32],
            deposit: Some(Coin { denom: "ustoa".to_owned(), amount: "5000000".to_owned() }),
            bid_window: 5,
            ..Default::default()
        };
        wallet.sign(&message)
    }

    /// One of the last deployments, or one that does not exist.
    fn some_order(&mut self) -> OrderId {
        let recent = self.posted.len().saturating_sub(6);
        let index = self.rng.gen_range(recent..=self.posted.len());
        let (tenant, dseq) = self.posted.get(index).copied().unwrap_or((0, 999_999));
        OrderId { owner: self.tenants[tenant].address().to_string(), dseq, gseq: 1, oseq: 1 }
    }

    fn bid(&mut self) -> Vec<u8> {
        let (order, rate) = (self.some_order(), self.rng.gen_range(1..1_500_u128));
        let provider = self.rng.gen_range(0..PROVIDERS);
        let wallet = &mut self.providers[provider];
        let provider = wallet.address().to_string();
        let rate = Some(per_second(rate));
        wallet.sign(&MsgCreateBid { provider, order: Some(order), rate, gpus: vec![] })
    }

    fn start(&mut self) -> Vec<u8> {
        let OrderId { owner, dseq, gseq, oseq } = self.some_order();
        let provider = self.rng.gen_range(0..PROVIDERS);
        let wallet = &mut self.providers[provider];
        let provider = wallet.address().to_string();
        let lease = BidId { owner, dseq, gseq, oseq, provider: provider.clone() };
        wallet.sign(&MsgStartLease { provider, lease: Some(lease) })
    }

    fn close(&mut self) -> Vec<u8> {
        let (tenant, dseq) = match self.posted.len() {
            0 => (0, 1),
            len => self.posted[self.rng.gen_range(0..len)],
        };
        let wallet = &mut self.tenants[tenant];
        let owner = wallet.address().to_string();
        wallet.sign(&MsgCloseDeployment { owner, dseq })
    }
}

fn per_second(units: u128) -> DecCoin {
    DecCoin { denom: "ustoa".to_owned(), amount: (units * stoa_chain::types::ONE).to_string() }
}

fn group() -> GroupSpec {
    let volume = Volume { name: "default".into(), bytes: 1 << 30, class: "ephemeral".into() };
    let unit = ResourceUnit {
        id: 1,
        cpu: Some(Cpu { millicores: 100, arch: String::new() }),
        memory: Some(Memory { bytes: 1 << 28 }),
        storage: vec![volume],
        ..Default::default()
    };
    let resource = GroupResource { unit: Some(unit), count: 1, max_rate: Some(per_second(1_000)) };
    GroupSpec { name: "web".into(), resources: vec![resource], ..Default::default() }
}

fn provider(wallet: &Wallet) -> Provider {
    let owner = wallet.address();
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, owner.to_string());
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    Provider {
        owner,
        host_uri: "https://provider.example:8443".to_owned(),
        attributes: vec![],
        email: String::new(),
        website: String::new(),
        root_certificate: params.self_signed(&key).unwrap().der().to_vec(),
        earlier_root: None,
        jailed: false,
        created_at: u64::try_from(GENESIS_TIME).unwrap(),
        stake: Amount::ZERO,
    }
}

/// Executes a block on the twin that is restarted somewhere on the way.
fn with_restarts(
    mut twin: Consensus,
    dir: &Path,
    rng: &mut StdRng,
    txs: &[Vec<u8>],
) -> (Consensus, (Vec<ExecTxResult>, Vec<u8>)) {
    let restart = |twin: Consensus| {
        let height = twin.height;
        drop(twin);
        let twin = Consensus::connect(open(dir));
        assert_eq!(twin.height, height);
        twin
    };
    // Before the first commit CometBFT would begin the chain again; a test of its own does that.
    if twin.height > 0 && rng.gen_bool(0.15) {
        twin = restart(twin);
    }
    let mut executed = twin.execute(txs);
    if twin.height > 0 && rng.gen_bool(0.15) {
        twin = restart(twin);
        executed = twin.execute(txs);
    }
    twin.app.commit();
    twin.height += 1;
    (twin, executed)
}

#[test]
fn twins_agree_at_every_height() {
    for seed in 0..3 {
        let mut market = Market::new(seed);
        let mut rng = StdRng::seed_from_u64(seed + 100);
        let (left, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut steady = Consensus::connect(open(left.path()));
        let mut twin = Consensus::connect(open(right.path()));
        let genesis = market.genesis();
        assert_eq!(steady.begin(genesis.clone()), twin.begin(genesis));
        let (mut done, mut refused, mut past_export) = (0, 0, None);
        for _ in 0..BLOCKS {
            let txs = market.block();
            let expected = steady.execute(&txs);
            steady.app.commit();
            steady.height += 1;
            let (next, executed) = with_restarts(twin, right.path(), &mut rng, &txs);
            twin = next;
            assert_eq!(executed, expected, "height {}", steady.height);
            let failures = expected.0.iter().filter(|result| result.code != 0).count();
            refused += failures;
            done += expected.0.len() - failures;
            if steady.height == EXPORT_AT {
                let (base, block) = steady.app.machine.view();
                past_export = Some((export(&base, block.clone()), block));
            }
        }
        check_past(&twin, past_export.unwrap());
        assert!(done > 60 && refused > 20, "{done} transactions were done, {refused} refused");
        check_ends(&steady, &twin);
    }
}

/// A height's export is the same when it is past: history holds all that an export needs.
fn check_past(twin: &Consensus, (document, block): (Genesis, Block)) {
    let history = past(&twin.app.machine.latest(), block.height).unwrap();
    assert_eq!(export(&history, block), document);
}

/// The twins' states export alike, break no invariant, and had leases in them.
fn check_ends(steady: &Consensus, twin: &Consensus) {
    let (left, block) = steady.app.machine.view();
    let (right, _) = twin.app.machine.view();
    assert_eq!(check_invariants(&left, block.clone()), Vec::<String>::new());
    let document = export(&left, block.clone());
    assert!(!document.market.leases.is_empty(), "bids were matched");
    assert_eq!(document, export(&right, block));
}
