//! Random operations, most of them sensible, many wrong on purpose.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use stoa_chain::types::{Address, DeploymentId, LeaseId, OrderId};
use stoa_proto::audit::v1 as apb;
use stoa_proto::cosmos::base::v1beta1::{Coin, DecCoin};
use stoa_proto::deployment::v1 as dpb;
use stoa_proto::escrow::v1 as epb;
use stoa_proto::market::v1 as mpb;
use stoa_proto::provider::v1 as ppb;
use stoa_proto::types::v1 as tpb;

use crate::reference::{
    commitment_of, BidState, GroupState, LeaseState, Op, Order, OrderState, World, ONE,
};
use crate::scenario::{Actor, Cast, OTHER, STOA, UNTRADED};

/// Makes operations that fit the world as it is.
pub struct Generator<'a> {
    pub rng: ChaCha8Rng,
    pub cast: &'a Cast,
    /// Root certificates that providers may register with.
    pub roots: BTreeMap<Address, Vec<u8>>,
    /// What was committed, to be revealed.
    secrets: BTreeMap<(OrderId, Address), (u128, Vec<u8>)>,
}

fn coin(denom: &str, amount: u128) -> Option<Coin> {
    Some(Coin { denom: denom.into(), amount: amount.to_string() })
}

pub fn dec_coin(denom: &str, amount: u128) -> Option<DecCoin> {
    Some(DecCoin { denom: denom.into(), amount: amount.to_string() })
}

fn attribute(key: &str, value: &str) -> tpb::Attribute {
    tpb::Attribute { key: key.into(), value: value.into() }
}

/// A group of one instance that may cost so much a second.
pub fn simple_group(name: &str, denom: &str, max_rate: u128) -> tpb::GroupSpec {
    let resource = tpb::GroupResource {
        unit: Some(unit(1, None)),
        count: 1,
        max_rate: dec_coin(denom, max_rate),
    };
    tpb::GroupSpec { name: name.into(), resources: vec![resource], ..Default::default() }
}

fn unit(id: u32, gpu: Option<tpb::Gpu>) -> tpb::ResourceUnit {
    let (name, class) = ("root".into(), "ephemeral".into());
    tpb::ResourceUnit {
        id,
        cpu: Some(tpb::Cpu { millicores: 500, arch: String::new() }),
        memory: Some(tpb::Memory { bytes: 64 << 20 }),
        storage: vec![tpb::Volume { name, bytes: 64 << 20, class }],
        gpu,
        endpoints: vec![tpb::Endpoint { kind: 0, sequence_number: 0 }],
        bandwidth: 0,
    }
}

impl<'a> Generator<'a> {
    pub fn new(rng: ChaCha8Rng, cast: &'a Cast, roots: BTreeMap<Address, Vec<u8>>) -> Self {
        Self { rng, cast, roots, secrets: BTreeMap::new() }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.gen_ratio(percent, 100)
    }

    fn one<'b, T>(&mut self, among: &'b [T]) -> Option<&'b T> {
        among.choose(&mut self.rng)
    }

    fn tenant(&mut self) -> Address {
        self.cast.tenants.choose(&mut self.rng).unwrap().address
    }

    fn provider(&mut self) -> Address {
        self.cast.providers.choose(&mut self.rng).unwrap().address
    }

    fn anyone(&mut self) -> Address {
        let all: Vec<&Actor> = self.cast.everyone().collect();
        all.choose(&mut self.rng).unwrap().address
    }

    fn hash(&mut self) -> Vec<u8> {
        vec![self.rng.gen(); 32]
    }

    fn denom(&mut self) -> &'static str {
        match self.rng.gen_range(0..20) {
            0 => UNTRADED,
            1..=7 => OTHER,
            _ => STOA,
        }
    }

    /// Seconds until the next block: mostly seconds, at times a gap.
    pub fn pause(&mut self) -> u64 {
        match self.rng.gen_range(0..100) {
            0..=9 => 0,
            10..=79 => self.rng.gen_range(1..=12),
            80..=95 => self.rng.gen_range(12..=60),
            96..=97 => self.rng.gen_range(61..=120),
            _ => self.rng.gen_range(121..=2_000),
        }
    }

    /// The next operation; about a third are spoiled or out of place.
    pub fn operation(&mut self, world: &World) -> Op {
        let op = loop {
            if let Some(op) = self.sensible(world) {
                break op;
            }
        };
        if self.chance(22) {
            return self.spoiled(op);
        }
        op
    }

    fn sensible(&mut self, world: &World) -> Option<Op> {
        let live = world.deployments.values().filter(|deployment| deployment.active).count();
        match self.rng.gen_range(0..100) {
            0..=6 if live < 22 => self.create_deployment(world),
            7..=49 => self.bid(world),
            50..=58 => self.reveal(world),
            59..=68 => self.start_lease(world),
            69..=72 => self.withdraw_lease(world),
            73 => self.close_lease(world),
            74 => self.close_bid(world),
            75 => self.withdraw_bid(world),
            76..=79 => self.deposit(world),
            80 => self.add_groups(world),
            81 => self.update_deployment(world),
            82 => self.close_deployment(world),
            83..=93 => self.group_operation(world),
            94..=95 => self.provider_operation(world),
            96..=97 => self.stake_operation(world),
            98 => self.audit_operation(),
            _ => self.delete_provider(),
        }
    }

    fn some_deployment(&mut self, world: &World) -> Option<DeploymentId> {
        let ids: Vec<_> = world.deployments.keys().copied().collect();
        self.one(&ids).copied()
    }

    fn active_deployment(&mut self, world: &World) -> Option<DeploymentId> {
        let active = world.deployments.iter().filter(|(_, deployment)| deployment.active);
        let ids: Vec<_> = active.map(|(id, _)| *id).collect();
        if self.chance(8) {
            return self.some_deployment(world);
        }
        self.one(&ids).copied()
    }

    fn orders(world: &World, wanted: impl Fn(&Order) -> bool) -> Vec<OrderId> {
        let mut found = Vec::new();
        for (id, deployment) in &world.deployments {
            for (gseq, group) in &deployment.groups {
                let orders = group.orders.iter().filter(|(_, order)| wanted(order));
                found.extend(orders.map(|(oseq, _)| id.group(*gseq).order(*oseq)));
            }
        }
        found
    }

    fn leases(world: &World, state: &[LeaseState]) -> Vec<LeaseId> {
        let mut found = Vec::new();
        for order in Self::orders(world, |order| order.lease.is_some()) {
            let lease = world.order(order).unwrap().lease.as_ref().unwrap();
            if state.contains(&lease.state) {
                found.push(order.lease(lease.provider));
            }
        }
        found
    }

    fn lease_in(&mut self, world: &World, usual: &[LeaseState]) -> Option<LeaseId> {
        use LeaseState::{Active, Closed, Pending, Reclaiming};
        let all = [Pending, Active, Reclaiming, Closed];
        let states = if self.chance(10) { &all[..] } else { usual };
        let leases = Self::leases(world, states);
        self.one(&leases).copied()
    }

    fn rate(&mut self) -> u128 {
        // Rates with and without fractions, of which few are equal.
        match self.rng.gen_range(0..4) {
            0 => u128::from(self.rng.gen_range(1..=20u32)) * ONE,
            1 => u128::from(self.rng.gen_range(1..=20u32)) * ONE / 7,
            2 => self.rng.gen_range(1..=5 * ONE),
            _ => u128::from(self.rng.gen_range(1..=1_000u32)) * (ONE / 1_000),
        }
    }

    fn spec(&mut self, name: &str, denom: &str) -> tpb::GroupSpec {
        let units = self.rng.gen_range(1..=2);
        let resources = (1..=units).map(|id| self.resource(id, denom)).collect();
        let requirements = self.requirements();
        tpb::GroupSpec {
            name: name.into(),
            requirements,
            resources,
            duration: if self.chance(12) { self.rng.gen_range(20..=900) } else { 0 },
            reclamation: if self.chance(35) { self.rng.gen_range(10..=200) } else { 0 },
        }
    }

    fn resource(&mut self, id: u32, denom: &str) -> tpb::GroupResource {
        let gpu = self.chance(15).then(|| tpb::Gpu {
            units: 1,
            vendor: "nvidia".into(),
            models: ["a100", "h100"]
                .map(|model| tpb::GpuModel { model: model.into(), ..Default::default() })
                .to_vec(),
        });
        tpb::GroupResource {
            unit: Some(unit(id, gpu)),
            count: self.rng.gen_range(1..=3),
            max_rate: dec_coin(denom, self.rate()),
        }
    }

    fn requirements(&mut self) -> Option<tpb::Requirements> {
        let mut needs = tpb::Requirements::default();
        match self.rng.gen_range(0..14) {
            0 => needs.attributes = vec![attribute("region", "eu*")],
            1 => needs.attributes = vec![attribute("region", "eu-west"), attribute("tier*", "*")],
            2 => {
                needs.attributes = vec![attribute("region", "eu*")];
                let auditor = self.cast.auditors[0].address.to_string();
                needs.signed_by = Some(tpb::SignedBy { all_of: vec![auditor], any_of: Vec::new() });
            }
            3 => {
                needs.attributes = vec![attribute("tier", "1")];
                let auditors = self.cast.auditors.iter().map(|a| a.address.to_string());
                let mut any_of: Vec<String> = auditors.collect();
                any_of.sort();
                needs.signed_by = Some(tpb::SignedBy { all_of: Vec::new(), any_of });
            }
            4 => needs.min_stake = "1000".into(),
            5 => needs.min_reputation = self.rng.gen_range(1..=600),
            6 => needs.excluded_providers = vec![self.provider().to_string()],
            7 => {
                let allowed = [0, 1, 2].map(|at: usize| self.cast.providers[at].address);
                needs.allowed_providers = allowed.iter().map(ToString::to_string).collect();
                needs.allowed_providers.sort();
            }
            _ => return None,
        }
        Some(needs)
    }

    fn create_deployment(&mut self, world: &World) -> Option<Op> {
        let owner = self.tenant();
        let last = world.last_dseq.get(&owner).copied().unwrap_or_default();
        let denom = self.denom();
        let count = self.rng.gen_range(1..=3);
        let groups: Vec<_> = (1..=count).map(|n| self.spec(&format!("group-{n}"), denom)).collect();
        let rates = groups.iter().map(|spec| crate::reference::max_rate(spec).unwrap()).sum();
        // Sometimes just enough, so that it runs dry.
        let least = world.min_deposit(denom, rates);
        let deposit = match self.rng.gen_range(0..10) {
            0 => least * 9 / 10,
            1..=7 => least,
            _ => least + self.rng.gen_range(0..=least),
        };
        let auction = i32::from(self.chance(30));
        Some(Op::CreateDeployment(dpb::MsgCreateDeployment {
            owner: owner.to_string(),
            dseq: last + self.rng.gen_range(1..=3),
            groups,
            version: self.hash(),
            manifest_root: self.hash(),
            deposit: coin(denom, deposit),
            bid_window: *self.one(&[0, 5, 7, 20, 45, 120]).unwrap(),
            auction,
            sealed: self.chance(30),
            reopen: self.chance(30),
        }))
    }

    fn add_groups(&mut self, world: &World) -> Option<Op> {
        let id = self.active_deployment(world)?;
        let deployment = &world.deployments[&id];
        let denom = deployment.denom.clone();
        let mut name = format!("group-{}", deployment.groups_so_far + 1);
        if self.chance(10) {
            name = "group-1".into();
        }
        Some(Op::AddGroups(dpb::MsgAddGroups {
            owner: id.owner.to_string(),
            dseq: id.dseq,
            groups: vec![self.spec(&name, &denom)],
            version: self.hash(),
            manifest_root: self.hash(),
        }))
    }

    fn update_deployment(&mut self, world: &World) -> Option<Op> {
        let id = self.active_deployment(world)?;
        Some(Op::UpdateDeployment(dpb::MsgUpdateDeployment {
            owner: id.owner.to_string(),
            dseq: id.dseq,
            version: self.hash(),
            manifest_root: self.hash(),
        }))
    }

    fn close_deployment(&mut self, world: &World) -> Option<Op> {
        let id = self.active_deployment(world)?;
        // Most are left to run dry.
        if world.deployments[&id].active && self.chance(75) {
            return None;
        }
        let owner = id.owner.to_string();
        Some(Op::CloseDeployment(dpb::MsgCloseDeployment { owner, dseq: id.dseq }))
    }

    fn group_operation(&mut self, world: &World) -> Option<Op> {
        let id = self.active_deployment(world)?;
        let groups: Vec<_> = world.deployments[&id].groups.iter().collect();
        let (gseq, group) = self.one(&groups).copied()?;
        let (owner, dseq, gseq) = (id.owner.to_string(), id.dseq, *gseq);
        let idle = !group.orders.values().any(|order| {
            order.state == OrderState::Open || order.lease.as_ref().is_some_and(|l| l.is_live())
        });
        let start = dpb::MsgStartGroup { owner: owner.clone(), dseq, gseq };
        let choice = self.rng.gen_range(0..100);
        Some(match group.state {
            GroupState::Paused if choice < 60 => Op::StartGroup(start),
            GroupState::Open if idle && choice < 75 => self.reopen_group(world, id, gseq),
            _ => match choice % 14 {
                0 => Op::PauseGroup(dpb::MsgPauseGroup { owner, dseq, gseq }),
                2 => Op::CloseGroup(dpb::MsgCloseGroup { owner, dseq, gseq }),
                3 => Op::StartGroup(start),
                4 => self.reopen_group(world, id, gseq),
                _ => return None,
            },
        })
    }

    fn reopen_group(&mut self, world: &World, id: DeploymentId, gseq: u32) -> Op {
        let deployment = &world.deployments[&id];
        let resources = deployment.groups[&gseq].spec.resources.len();
        let denom = deployment.denom.clone();
        let mut max_rates = Vec::new();
        if self.chance(40) {
            max_rates = (0..resources).filter_map(|_| dec_coin(&denom, self.rate())).collect();
        }
        let owner = id.owner.to_string();
        Op::ReopenGroup(dpb::MsgReopenGroup { owner, dseq: id.dseq, gseq, max_rates })
    }

    fn gpus(&mut self, world: &World, id: OrderId) -> Vec<mpb::GpuOffer> {
        let spec = &world.order(id).unwrap().spec;
        let units = spec.resources.iter().filter_map(|resource| resource.unit.as_ref());
        let asking: Vec<u32> =
            units.filter(|unit| unit.gpu.is_some()).map(|unit| unit.id).collect();
        let offer = |unit| {
            let models =
                ["a100", "h100", "a100", "h100", "a100", "h100", "a100", "h100", "a100", "t4"];
            let model = models[self.rng.gen_range(0..models.len())].to_owned();
            mpb::GpuOffer { unit, model }
        };
        asking.into_iter().map(offer).collect()
    }

    fn bid(&mut self, world: &World) -> Option<Op> {
        let now = world.now;
        let mut open =
            Self::orders(world, |order| order.state == OrderState::Open && now < order.closes_at);
        if self.chance(2) {
            open = Self::orders(world, |_| true);
        }
        let id = self.one(&open).copied()?;
        let registered: Vec<Address> = world.providers.keys().copied().collect();
        let provider = if self.chance(3) { self.anyone() } else { *self.one(&registered)? };
        let deployment = &world.deployments[&id.deployment()];
        let (denom, sealed) = (deployment.denom.clone(), deployment.sealed);
        let gpus = self.gpus(world, id);
        let rate = self.bid_rate(world, id, provider);
        if sealed != self.chance(3) {
            return Some(self.commit(id, provider, rate, gpus));
        }
        Some(Op::CreateBid(mpb::MsgCreateBid {
            provider: provider.to_string(),
            order: Some(id.into()),
            rate: dec_coin(&denom, rate),
            gpus,
        }))
    }

    /// Around the bounds that decide: the maximum, the lowest, one's own, the
    /// highest.
    fn bid_rate(&mut self, world: &World, id: OrderId, provider: Address) -> u128 {
        let order = world.order(id).unwrap();
        let max = order.max_rate;
        let open = || order.bids.iter().filter(|bid| bid.state == BidState::Open);
        let rates: Vec<u128> = open().filter_map(|bid| bid.rate).collect();
        let own = open().find(|bid| bid.provider == provider).and_then(|bid| bid.rate);
        let stepped = |rate: u128| rate * 9_990 / 10_000;
        match self.rng.gen_range(0..12) {
            0 => max,
            1 => max + 1,
            2 => rates.iter().min().map_or(max, |rate| stepped(*rate)),
            3 => rates.iter().min().map_or(max, |rate| stepped(*rate) + 1),
            4 => rates.iter().min().copied().unwrap_or(max),
            5 => own.map_or(max / 2, stepped),
            6 => own.map_or(max / 2, |rate| stepped(rate) + 1),
            7 => rates.iter().max().copied().unwrap_or(max),
            8 => rates.iter().max().map_or(max, |rate| rate - 1),
            9 => self.one(&rates).copied().unwrap_or(max),
            _ => self.rng.gen_range(max * 3 / 4..=max),
        }
        .max(1)
    }

    fn commit(
        &mut self,
        id: OrderId,
        provider: Address,
        rate: u128,
        gpus: Vec<mpb::GpuOffer>,
    ) -> Op {
        let salt = vec![self.rng.gen(); self.rng.gen_range(16..=64)];
        let commitment = commitment_of(id, provider, rate, &salt);
        // A second commitment is refused, so what it hides is not remembered.
        self.secrets.entry((id, provider)).or_insert((rate, salt));
        Op::CommitBid(mpb::MsgCommitBid {
            provider: provider.to_string(),
            order: Some(id.into()),
            commitment,
            gpus,
        })
    }

    fn reveal(&mut self, world: &World) -> Option<Op> {
        let now = world.now;
        let early = self.chance(3);
        let orders = Self::orders(world, |order| {
            let commitments = order.bids.iter().any(|bid| !bid.commitment.is_empty());
            order.state == OrderState::Open && commitments && (early || now >= order.closes_at)
        });
        let id = self.one(&orders).copied()?;
        let order = world.order(id).unwrap();
        let waiting = order.bids.iter().filter(|bid| bid.rate.is_none() || early);
        let providers: Vec<_> = waiting.map(|bid| bid.provider).collect();
        let provider = self.one(&providers).copied()?;
        let (rate, salt) = self.secrets.get(&(id, provider))?.clone();
        let denom = &world.deployments[&id.deployment()].denom;
        Some(Op::RevealBid(mpb::MsgRevealBid {
            provider: provider.to_string(),
            order: Some(id.into()),
            rate: dec_coin(denom, rate),
            salt,
        }))
    }

    fn withdraw_bid(&mut self, world: &World) -> Option<Op> {
        let orders =
            Self::orders(world, |order| order.bids.iter().any(|bid| bid.state == BidState::Open));
        let id = self.one(&orders).copied()?;
        let bids: Vec<_> = world.order(id).unwrap().bids.iter().map(|bid| bid.provider).collect();
        let provider = self.one(&bids).copied()?;
        self.secrets.remove(&(id, provider));
        Some(Op::WithdrawBid(mpb::MsgWithdrawBid {
            provider: provider.to_string(),
            order: Some(id.into()),
        }))
    }

    fn start_lease(&mut self, world: &World) -> Option<Op> {
        let id = self.lease_in(world, &[LeaseState::Pending])?;
        Some(Op::StartLease(mpb::MsgStartLease {
            provider: id.provider.to_string(),
            lease: Some(id.into()),
        }))
    }

    fn withdraw_lease(&mut self, world: &World) -> Option<Op> {
        let first = self.lease_in(world, &[LeaseState::Active, LeaseState::Reclaiming])?;
        let mut leases = vec![first];
        if self.chance(40) {
            let others = Self::leases(world, &[LeaseState::Active, LeaseState::Reclaiming]);
            let others = others.into_iter().filter(|id| id.provider == first.provider);
            leases.extend(others.filter(|id| *id != first).take(self.rng.gen_range(1..=3)));
        }
        Some(Op::WithdrawLease(mpb::MsgWithdrawLease {
            provider: first.provider.to_string(),
            leases: leases.into_iter().map(Into::into).collect(),
        }))
    }

    fn close_lease(&mut self, world: &World) -> Option<Op> {
        use LeaseState::{Active, Pending, Reclaiming};
        let id = self.lease_in(world, &[Pending, Active, Reclaiming])?;
        // Most should live until the funds are exhausted.
        if world.lease(id).unwrap().state != Reclaiming && self.chance(60) {
            return None;
        }
        Some(Op::CloseLease(mpb::MsgCloseLease {
            owner: id.owner().to_string(),
            lease: Some(id.into()),
            reopen: self.chance(40),
            exclude: self.chance(40),
        }))
    }

    fn close_bid(&mut self, world: &World) -> Option<Op> {
        use LeaseState::{Active, Pending, Reclaiming};
        let id = self.lease_in(world, &[Pending, Active, Active, Reclaiming])?;
        if world.lease(id).unwrap().state != Reclaiming && self.chance(60) {
            return None;
        }
        Some(Op::CloseBid(mpb::MsgCloseBid {
            provider: id.provider.to_string(),
            lease: Some(id.into()),
        }))
    }

    fn deposit(&mut self, world: &World) -> Option<Op> {
        let overdrawn = world.deployments.iter().filter(|(_, d)| d.escrow.overdrawn_until > 0);
        let overdrawn: Vec<DeploymentId> = overdrawn.map(|(id, _)| *id).collect();
        let id = match self.one(&overdrawn).copied() {
            Some(id) if self.chance(50) => id,
            _ => self.active_deployment(world)?,
        };
        let deployment = &world.deployments[&id];
        let overdrawn = deployment.escrow.overdrawn_until > 0;
        if !overdrawn && self.chance(75) {
            return None;
        }
        let depositor = if self.chance(50) { id.owner } else { self.anyone() };
        let least = world.min_deposit_of(deployment);
        let amount = match self.rng.gen_range(0..4) {
            0 if overdrawn => least,
            1 if overdrawn => least / 2,
            0..=2 => self.rng.gen_range(1..=100),
            _ => least.saturating_sub(1),
        };
        Some(Op::Deposit(epb::MsgDepositDeployment {
            depositor: depositor.to_string(),
            id: Some(id.into()),
            amount: coin(&deployment.denom, amount.max(1)),
        }))
    }

    fn attributes(&mut self) -> Vec<tpb::Attribute> {
        let region = *self.one(&["eu-west", "eu-west", "eu-north", "us"]).unwrap();
        let tier = *self.one(&["1", "1", "2"]).unwrap();
        vec![attribute("region", region), attribute("tier", tier)]
    }

    pub fn create_provider_msg(&mut self, owner: Address) -> ppb::MsgCreateProvider {
        ppb::MsgCreateProvider {
            owner: owner.to_string(),
            host_uri: "https://provider.example:8443".into(),
            attributes: self.attributes(),
            info: None,
            root_certificate: self.roots.get(&owner).cloned().unwrap_or_default(),
        }
    }

    fn provider_operation(&mut self, world: &World) -> Option<Op> {
        let owner = self.provider();
        let registered = world.providers.contains_key(&owner);
        if !registered || self.chance(10) {
            return Some(Op::CreateProvider(self.create_provider_msg(owner)));
        }
        Some(Op::UpdateProvider(ppb::MsgUpdateProvider {
            owner: owner.to_string(),
            host_uri: format!("https://provider-{}.example:8443", self.rng.gen_range(0..9)),
            attributes: self.attributes(),
            info: None,
            root_certificate: Vec::new(),
            revoke_earlier: false,
        }))
    }

    fn stake_operation(&mut self, world: &World) -> Option<Op> {
        let owner = self.provider();
        let staked = world.providers.get(&owner).map_or(0, |record| record.stake_units);
        let owner = owner.to_string();
        if staked == 0 || self.chance(50) {
            let amount = coin(STOA, self.rng.gen_range(1..=2_000));
            return Some(Op::StakeProvider(ppb::MsgStakeProvider { owner, amount }));
        }
        let amount = coin(STOA, if self.chance(60) { staked } else { staked / 2 + 1 });
        Some(Op::UnstakeProvider(ppb::MsgUnstakeProvider { owner, amount }))
    }

    fn audit_operation(&mut self) -> Option<Op> {
        let auditor = self.one(&self.cast.auditors).unwrap().address.to_string();
        let provider = self.provider().to_string();
        if self.chance(75) {
            let attributes = self.attributes();
            return Some(Op::SignAttributes(apb::MsgSignProviderAttributes {
                auditor,
                provider,
                attributes,
            }));
        }
        let keys = if self.chance(50) { vec!["tier".to_owned()] } else { Vec::new() };
        Some(Op::DeleteAttributes(apb::MsgDeleteProviderAttributes { auditor, provider, keys }))
    }

    fn delete_provider(&mut self) -> Option<Op> {
        if self.chance(60) {
            return None;
        }
        let owner = self.provider().to_string();
        Some(Op::DeleteProvider(ppb::MsgDeleteProvider { owner }))
    }

    /// Whom to jail or free before a block, if anyone.
    pub fn jailing(&mut self, world: &World) -> Option<(Address, bool)> {
        let jailed: Vec<Address> =
            world.providers.iter().filter(|(_, p)| p.jailed).map(|(id, _)| *id).collect();
        if !jailed.is_empty() && self.chance(8) {
            return Some((*self.one(&jailed).unwrap(), false));
        }
        let registered: Vec<Address> = world.providers.keys().copied().collect();
        (jailed.len() < 2 && self.chance(1)).then(|| (*self.one(&registered).unwrap(), true))
    }

    /// Makes something wrong with it.
    fn spoiled(&mut self, mut op: Op) -> Op {
        let stranger = self.anyone().to_string();
        let choice = self.rng.gen_range(0..6);
        match &mut op {
            Op::CreateDeployment(msg) => match choice {
                0 => msg.dseq = msg.dseq.saturating_sub(4),
                1 => msg.version.push(0),
                2 => msg.bid_window = *self.one(&[1, 4, 601, u64::MAX]).unwrap(),
                3 => msg.groups.clear(),
                4 => {
                    let first = msg.groups[0].clone();
                    msg.groups.push(first);
                }
                _ => self.spoil_spec(&mut msg.groups[0]),
            },
            Op::AddGroups(msg) => match choice {
                0 => msg.owner = stranger,
                1 => msg.dseq += 1_000,
                2 => msg.manifest_root.clear(),
                _ => self.spoil_spec(&mut msg.groups[0]),
            },
            Op::UpdateDeployment(msg) => match choice {
                0 => msg.owner = stranger,
                1 => msg.dseq += 1_000,
                _ => msg.version = vec![1; 31],
            },
            Op::CloseDeployment(msg) => match choice {
                0..=2 => msg.owner = stranger,
                _ => msg.dseq += 1_000,
            },
            Op::PauseGroup(msg) => msg.gseq += 10,
            Op::StartGroup(msg) => msg.owner = stranger,
            Op::CloseGroup(msg) => msg.gseq = 0,
            Op::ReopenGroup(msg) => match choice {
                0 => msg.owner = stranger,
                1 => msg.gseq += 10,
                _ => msg.max_rates = vec![DecCoin { denom: OTHER.into(), amount: "1".into() }; 3],
            },
            Op::CreateBid(msg) => match self.rng.gen_range(0..7) {
                0 => msg.provider = stranger,
                1 => msg.order.as_mut().unwrap().oseq += 100,
                2 => msg.rate.as_mut().unwrap().denom = UNTRADED.into(),
                3 => msg.gpus.push(mpb::GpuOffer { unit: 9, model: "a100".into() }),
                4 => msg.rate = None,
                _ => msg.rate.as_mut().unwrap().amount.push_str("00"),
            },
            Op::WithdrawBid(msg) => msg.provider = stranger,
            Op::CommitBid(msg) => match choice {
                0 | 1 => msg.provider = stranger,
                2 | 3 => msg.commitment.truncate(31),
                _ => msg.gpus.push(mpb::GpuOffer { unit: 9, model: "a100".into() }),
            },
            Op::RevealBid(msg) => match choice {
                0 | 1 => msg.salt[0] ^= 1,
                2 | 3 => msg.salt.truncate(15),
                4 => msg.rate.as_mut().unwrap().amount.push('1'),
                _ => msg.provider = stranger,
            },
            Op::StartLease(msg) => match choice {
                0..=2 => msg.provider = stranger,
                _ => msg.lease.as_mut().unwrap().oseq += 100,
            },
            Op::WithdrawLease(msg) => match choice {
                0..=2 => msg.provider = stranger,
                3 => msg.leases.clear(),
                _ => msg.leases = vec![msg.leases[0].clone(); 4],
            },
            Op::CloseLease(msg) => msg.owner = stranger,
            Op::CloseBid(msg) => msg.provider = stranger,
            Op::Deposit(msg) => match choice {
                0 | 1 => msg.amount = coin(UNTRADED, 5),
                2 => msg.amount = coin(STOA, 0),
                3 => msg.id.as_mut().unwrap().dseq += 1_000,
                _ => msg.amount.as_mut().unwrap().amount.push_str("000000000"),
            },
            Op::StakeProvider(msg) => match choice {
                0..=2 => msg.amount = coin(OTHER, 5),
                _ => msg.owner = self.tenant().to_string(),
            },
            Op::UnstakeProvider(msg) => msg.amount = coin(STOA, 1_000_000_000),
            Op::UpdateProvider(msg) => msg.owner = stranger,
            Op::SignAttributes(msg) => msg.attributes.clear(),
            Op::DeleteAttributes(msg) => msg.keys = vec!["nothing".into()],
            Op::CreateProvider(_) | Op::DeleteProvider(_) => {}
        }
        op
    }

    fn spoil_spec(&mut self, spec: &mut tpb::GroupSpec) {
        let choice = self.rng.gen_range(0..14);
        let resource = &mut spec.resources[0];
        let unit = resource.unit.as_mut().unwrap();
        match choice {
            0 => resource.count = 0,
            1 => resource.count = 6,
            2 => unit.cpu = Some(tpb::Cpu { millicores: 9, arch: String::new() }),
            3 => unit.memory = None,
            4 => unit.storage[0].bytes = 1,
            5 => unit.storage[0].class = "tape".into(),
            6 => resource.max_rate = dec_coin(UNTRADED, ONE),
            7 => resource.max_rate.as_mut().unwrap().amount = (1_000_000_001 * ONE).to_string(),
            8 => spec.resources.clear(),
            9 => spec.reclamation = 9,
            10 => spec.reclamation = 501,
            11 => spec.name.clear(),
            12 => {
                let mut needs = spec.requirements.clone().unwrap_or_default();
                needs.attributes = vec![attribute("a*b", "c")];
                spec.requirements = Some(needs);
            }
            _ => {
                let copy = resource.clone();
                spec.resources.push(copy);
            }
        }
    }
}
