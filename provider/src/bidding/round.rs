//! One look at the open orders: which to bid on and at what rate, and why
//! the others are let pass. Pure.

use std::sync::Arc;

use stoa_client::ids::TextId;
use stoa_client::money::{show_dec_coin, Dec};
use stoa_client::proto::market::v1::{GpuOffer, Order};
use stoa_client::proto::types::v1::{GroupSpec, OrderId};

use super::capacity::Capacity;
use super::eligibility::{check_order, Offer};
use super::gpu::gpu_offers_left;
use super::intents::{Intent, IntentState, Intents, Seal};
use super::machines::fits;
use super::parts::{counted, each};
use super::prices::Prices;
use super::resources::Resources;
use super::standing::{may_win, unknown};
use super::Reason;
use crate::chain::View;
use crate::config::Config;
use crate::fleet::{pack, Room};

/// A bid in the next block still counts; later ones may not.
pub(super) const LEAST_SECONDS: u64 = 1;

/// What a round goes by besides the chain.
pub struct Rules<'a> {
    pub config: &'a Config,
    pub prices: &'a Arc<Prices>,
    pub capacity: Option<&'a Capacity>,
    pub max_exposure: Option<u128>,
    /// No new orders are taken.
    pub draining: bool,
}

impl Rules<'_> {
    /// None before the machine was measured.
    pub(super) fn offer(&self) -> Option<Offer<'_>> {
        let capacity = self.capacity?;
        Some(Offer { config: self.config, capacity, draining: self.draining })
    }
}

/// A bid to be placed.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    pub order: OrderId,
    /// Per second.
    pub rate: Dec,
    pub gpus: Vec<GpuOffer>,
    pub intent: Intent,
}

/// What a round decided.
#[derive(Debug, Default)]
pub struct Round {
    pub bids: Vec<Planned>,
    /// By order id as text.
    pub passed: Vec<(String, Reason)>,
}

/// What is still to be given away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    pub room: Resources,
    /// The same machine by machine.
    pub machines: Vec<Room>,
    pub open_bids: usize,
    /// Bids that may still become leases.
    pub may_win: usize,
    /// In open bids, in whole units.
    pub deposits: u128,
}

/// Decides on every open order.
pub fn plan_round(view: &View, intents: &Intents, rules: &Rules<'_>) -> Round {
    let mut round = Round::default();
    let mut left = Left::new(view, intents, rules);
    for order in &view.orders {
        let Some(id) = &order.id else { continue };
        match plan_one(order, id, view, intents, rules, &left) {
            Ok(planned) => {
                left.take(&planned.intent);
                round.bids.push(planned);
            }
            Err(reason) => round.passed.push((id.text(), reason)),
        }
    }
    round
}

fn plan_one(
    order: &Order,
    id: &OrderId,
    view: &View,
    intents: &Intents,
    rules: &Rules<'_>,
    left: &Left,
) -> Result<Planned, Reason> {
    let name = id.text();
    match intents.get(&name).map(|intent| &intent.state) {
        Some(IntentState::Refused(why)) => return Err(Reason::Refused(why.clone())),
        Some(IntentState::Withdrawn(why)) => return Err(Reason::Withdrawn(why.clone())),
        Some(_) => return Err(Reason::AlreadyBid),
        None if view.bids.contains_key(&name) => return Err(Reason::AlreadyBid),
        None => {}
    }
    let seconds = order.closes_at.saturating_sub(view.time);
    if seconds <= LEAST_SECONDS {
        return Err(Reason::TooLate(seconds));
    }
    let malformed = |what: &str| Reason::Malformed(what.into());
    let spec = order.spec.as_ref().ok_or_else(|| malformed("no spec"))?;
    let offer = rules.offer().ok_or(Reason::CapacityUnknown)?;
    check_order(order, spec, &view.standing, &offer)?;
    let resources = Resources::of_group(spec)?;
    left.check(view, order, resources, rules)?;
    let gpus = left.gpu_offers(spec, rules)?;
    let rate = rules.prices.rate(order, &gpus)?;
    check_price(order, rate, rules.prices.denom())?;
    let parts = counted(spec, &gpus);
    if !fits(&left.machines, &each(&parts)) {
        return Err(Reason::Machine);
    }
    let intent = Intent {
        rate: rate.to_string(),
        closes_at: order.match_at.max(order.closes_at),
        resources,
        parts,
        deposit: deposit_of(order)?,
        state: IntentState::Intended,
        seal: order.sealed.then(Seal::draw),
    };
    Ok(Planned { order: id.clone(), rate, gpus, intent })
}

/// The market refuses more.
pub(super) fn check_price(order: &Order, rate: Dec, denom: &str) -> Result<(), Reason> {
    let malformed = |what: &str| Reason::Malformed(what.into());
    let maximum = order.max_rate.as_ref().ok_or_else(|| malformed("no maximum rate"))?;
    let most = Dec::from_proto(&maximum.amount).map_err(|e| malformed(&e.to_string()))?;
    if rate > most {
        let price = format!("{rate}{denom}");
        return Err(Reason::Price { price, maximum: show_dec_coin(maximum) });
    }
    Ok(())
}

fn deposit_of(order: &Order) -> Result<u128, Reason> {
    let deposit = order.bid_deposit.as_ref().and_then(|coin| coin.amount.parse().ok());
    deposit.ok_or_else(|| Reason::Malformed("no bid deposit".into()))
}

impl Left {
    pub(super) fn new(view: &View, intents: &Intents, rules: &Rules<'_>) -> Self {
        let room = rules.capacity.map(|capacity| capacity.free(view, intents));
        let open = || {
            intents.iter().filter(|(_, intent)| intent.holds_room() && intent.closes_at > view.time)
        };
        let machines = rules.capacity.map(|capacity| capacity.machines.left(view, intents));
        Self {
            room: room.unwrap_or_default(),
            machines: machines.unwrap_or_default(),
            open_bids: open().count(),
            may_win: may_win(view, intents).count() + unknown(view, intents).count(),
            deposits: open().fold(0, |sum, (_, i)| sum.saturating_add(i.deposit)),
        }
    }

    fn take(&mut self, intent: &Intent) {
        self.room = self.room.minus(intent.resources);
        pack(&mut self.machines, &intent.instances());
        self.open_bids += 1;
        self.may_win += 1;
        self.deposits = self.deposits.saturating_add(intent.deposit);
    }

    /// Room and limits.
    pub(super) fn check(
        &self,
        view: &View,
        order: &Order,
        wanted: Resources,
        rules: &Rules<'_>,
    ) -> Result<(), Reason> {
        if !wanted.fits_in(self.room) {
            return Err(Reason::Room { wanted, free: self.room });
        }
        let limits = &rules.config.limits;
        if self.open_bids >= limits.max_open_bids {
            return Err(Reason::OpenBids(self.open_bids));
        }
        let leases = view.leases.len().saturating_add(self.may_win);
        if leases >= limits.max_leases {
            return Err(Reason::Leases(leases));
        }
        let exposed = self.deposits.saturating_add(deposit_of(order)?);
        if rules.max_exposure.is_some_and(|most| exposed > most) {
            return Err(Reason::Exposure(exposed));
        }
        match order.spec.as_ref().map(|spec| self.gpu_offers(spec, rules)) {
            Some(Err(reason @ Reason::GpuRoom(_))) => Err(reason),
            // Which are here at all is not for here.
            _ => Ok(()),
        }
    }

    /// Of those that are left.
    pub(super) fn gpu_offers(
        &self,
        spec: &GroupSpec,
        rules: &Rules<'_>,
    ) -> Result<Vec<GpuOffer>, Reason> {
        let here = rules.capacity.map(|capacity| capacity.gpus.as_slice()).unwrap_or_default();
        gpu_offers_left(spec, here, &rules.config.pricing, &self.machines)
    }
}

#[cfg(test)]
mod tests {
    use stoa_client::proto::types::v1::{Endpoint, Gpu, GpuModel};

    use super::*;
    use crate::runtime::{self, GpuDevice, Machine};
    use crate::tests_support::{bid, config, lease_view, machine, order, view};

    struct Case {
        view: View,
        config: Config,
        intents: Intents,
        _dir: tempfile::TempDir,
    }

    impl Case {
        fn new(orders: Vec<Order>) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let intents = Intents::open(&dir.path().join("bids.json")).unwrap();
            let mut view = view();
            view.orders = orders;
            Self { view, config: config(), intents, _dir: dir }
        }

        fn round(&self) -> Round {
            self.round_on(&Capacity::new(&self.config, &machine()))
        }

        fn round_on(&self, capacity: &Capacity) -> Round {
            let rules = Rules {
                config: &self.config,
                prices: &Arc::new(Prices::new(&self.config).unwrap()),
                capacity: Some(capacity),
                max_exposure: self.config.max_exposure().unwrap(),
                draining: false,
            };
            plan_round(&self.view, &self.intents, &rules)
        }

        fn reasons(&self) -> Vec<Reason> {
            self.round().passed.into_iter().map(|(_, reason)| reason).collect()
        }
    }

    #[test]
    fn bids_once_whatever_becomes_of_the_bid() {
        let mut case = Case::new(vec![order(1)]);
        let round = case.round();
        assert_eq!(round.bids.len(), 1, "{:?}", round.passed);
        let name = round.bids[0].order.text();
        case.intents.intend([(name.clone(), round.bids[0].intent.clone())]).unwrap();
        assert_eq!(case.reasons(), [Reason::AlreadyBid]);
        case.intents.settle([(name.clone(), Some(IntentState::Placed))]).unwrap();
        assert_eq!(case.reasons(), [Reason::AlreadyBid], "an evicted bid is not placed again");
        case.intents.settle([(name.clone(), Some(IntentState::Refused("x".into())))]).unwrap();
        assert_eq!(case.reasons(), [Reason::Refused("x".into())]);
        case.intents.settle([(name, None)]).unwrap();
        assert_eq!(case.round().bids.len(), 1, "what never reached the chain is tried anew");

        // A journal that was lost: the chain's own list holds.
        let mut case = Case::new(vec![order(1)]);
        let (name, bid) = bid(&order(1));
        case.view.bids.insert(name, bid);
        assert_eq!(case.reasons(), [Reason::AlreadyBid]);
    }

    #[test]
    fn a_sealed_order_gets_a_commitment_whose_salt_is_in_the_journal() {
        let mut sealed = order(1);
        sealed.sealed = true;
        sealed.match_at = sealed.closes_at + 15;
        let case = Case::new(vec![sealed.clone()]);
        let round = case.round();
        let intent = &round.bids[0].intent;
        assert!(intent.seal.is_some());
        assert_eq!(intent.closes_at, sealed.match_at, "its room is kept over the reveal");
        assert_eq!(Case::new(vec![order(1)]).round().bids[0].intent.seal, None);
    }

    #[test]
    fn a_withdrawn_bid_is_not_placed_again() {
        let mut case = Case::new(vec![order(1)]);
        let round = case.round();
        let name = round.bids[0].order.text();
        case.intents.intend([(name.clone(), round.bids[0].intent.clone())]).unwrap();
        case.intents.settle([(name, Some(IntentState::Withdrawn("x".into())))]).unwrap();
        assert_eq!(case.reasons(), [Reason::Withdrawn("x".into())]);
    }

    #[test]
    fn room_is_taken_by_leases_bids_and_intents_and_comes_back() {
        // Room for two of them.
        let mut case = Case::new(vec![order(1), order(2), order(3)]);
        case.config.capacity.cpu = crate::config::Cores(2_000);
        let round = case.round();
        assert_eq!(round.bids.len(), 2);
        assert!(matches!(round.passed[0].1, Reason::Room { .. }));

        let entries = round.bids.iter().map(|p| (p.order.text(), p.intent.clone()));
        case.intents.intend(entries).unwrap();
        assert!(case.reasons().iter().any(|r| matches!(r, Reason::Room { .. })));
        // Both orders close and are lost: no bid, no lease.
        case.view.time = order(1).closes_at;
        case.view.orders = vec![order(3)];
        case.view.orders[0].closes_at += 60;
        assert_eq!(case.round().bids.len(), 1);
        // One is won: its bid stands, then its lease; it counts once.
        let (name, won) = bid(&order(1));
        case.view.bids.insert(name, won);
        case.config.capacity.cpu = crate::config::Cores(1_000);
        assert!(matches!(case.reasons()[..], [Reason::Room { .. }]));
        let lease = lease_view(&order(1));
        case.view.leases.insert(lease.name.clone(), lease);
        case.config.capacity.cpu = crate::config::Cores(2_000);
        assert_eq!(case.round().bids.len(), 1);
    }

    #[test]
    fn an_order_that_fits_only_the_sum_of_machines_is_let_pass() {
        let mut case = Case::new(vec![order(1)]);
        case.view.orders[0].spec.as_mut().unwrap().resources[0].count = 2;
        let half = |name: &str| Machine {
            name: name.into(),
            declared: Some([Some(1_500), None, None]),
            ..Machine::alone(machine())
        };
        let two = Capacity::of_machines(&case.config, &[half("a"), half("b")]).unwrap();
        let round = |order: &Order| {
            let mut view = case.view.clone();
            view.orders = vec![order.clone()];
            let prices = Arc::new(Prices::new(&case.config).unwrap());
            let rules = Rules {
                config: &case.config,
                prices: &prices,
                capacity: Some(&two),
                max_exposure: None,
                draining: false,
            };
            plan_round(&view, &case.intents, &rules)
        };
        assert_eq!(round(&case.view.orders[0]).bids.len(), 1, "one instance on each");
        let mut whole = order(1);
        let unit = whole.spec.as_mut().unwrap().resources[0].unit.as_mut().unwrap();
        unit.cpu.as_mut().unwrap().millicores = 2_000;
        let round = round(&whole);
        assert_eq!(round.bids.len(), 0);
        assert_eq!(round.passed[0].1, Reason::Machine);
    }

    /// An order for GPUs of a model; `*` is any.
    fn gpu_order(dseq: u64, units: u32, model: &str) -> Order {
        let mut order = order(dseq);
        let unit = order.spec.as_mut().unwrap().resources[0].unit.as_mut().unwrap();
        let models = vec![GpuModel { model: model.into(), ..GpuModel::default() }];
        unit.gpu = Some(Gpu { units, vendor: "nvidia".into(), models });
        order
    }

    /// Machines with GPUs of these models each.
    fn with_gpus(case: &mut Case, machines: &[&[&str]]) -> Capacity {
        case.config.capacity.gpu = 99;
        case.config.pricing.gpu =
            [("a100", "3"), ("t4", "1")].map(|(m, p)| (m.into(), p.into())).into();
        let device = |model: &&str| GpuDevice {
            id: String::new(),
            vendor: "nvidia".into(),
            model: runtime::GpuModel { model: (*model).into(), ..Default::default() },
        };
        let of = |(number, models): (usize, &&[&str])| {
            let gpus = models.iter().map(device).collect();
            let alone = Machine::alone(runtime::Inventory { gpus, ..machine() });
            Machine { name: number.to_string(), ..alone }
        };
        let machines: Vec<Machine> = machines.iter().enumerate().map(of).collect();
        Capacity::of_machines(&case.config, &machines).unwrap()
    }

    #[test]
    fn a_gpu_that_is_bid_for_is_not_sold_again_because_one_of_another_model_is_free() {
        let orders = vec![gpu_order(1, 1, "a100"), gpu_order(2, 1, "a100"), gpu_order(3, 1, "*")];
        let mut case = Case::new(orders);
        let capacity = with_gpus(&mut case, &[&["a100", "t4"]]);
        let round = case.round_on(&capacity);
        let offered: Vec<_> = round.bids.iter().map(|bid| bid.gpus[0].model.as_str()).collect();
        assert_eq!(offered, ["a100", "t4"], "{:?}", round.passed);
        assert_eq!(round.passed[0].1, Reason::GpuRoom("nvidia a100".into()));
        // The journal remembers the model when its order is not told any more.
        let bid = &round.bids[0];
        case.intents.intend([(bid.order.text(), bid.intent.clone())]).unwrap();
        case.view.orders = vec![gpu_order(2, 1, "a100")];
        let passed = case.round_on(&capacity).passed;
        assert_eq!(passed[0].1, Reason::GpuRoom("nvidia a100".into()));
        // So does a lease, by what its bid named.
        case.intents.settle([(bid.order.text(), None)]).unwrap();
        let mut lease = lease_view(&gpu_order(3, 1, "*"));
        lease.lease.gpus = vec![GpuOffer { unit: 1, model: "a100".into() }];
        case.view.leases.insert(lease.name.clone(), lease.clone());
        assert_eq!(case.round_on(&capacity).passed[0].1, Reason::GpuRoom("nvidia a100".into()));
        case.view.leases.get_mut(&lease.name).unwrap().lease.gpus[0].model = "t4".into();
        assert_eq!(case.round_on(&capacity).bids.len(), 1);
    }

    #[test]
    fn the_cheapest_model_is_offered_of_which_enough_are_left_on_one_machine() {
        let mut case = Case::new(vec![gpu_order(1, 2, "*"), gpu_order(2, 1, "*")]);
        let capacity = with_gpus(&mut case, &[&["t4", "a100", "a100"], &["t4"]]);
        let round = case.round_on(&capacity);
        let offered: Vec<_> = round.bids.iter().map(|bid| bid.gpus[0].model.as_str()).collect();
        assert_eq!(offered, ["a100", "t4"], "two t4 are not on one machine: {:?}", round.passed);
        case.view.orders = vec![gpu_order(1, 3, "*")];
        assert_eq!(case.round_on(&capacity).passed[0].1, Reason::GpuRoom("nvidia *".into()));
    }

    #[test]
    fn open_bids_count_against_the_most_leases() {
        let mut case = Case::new(vec![order(1), order(2), order(3)]);
        case.config.limits.max_leases = 3;
        let lease = lease_view(&order(9));
        case.view.leases.insert(lease.name.clone(), lease);
        let round = case.round();
        assert_eq!(round.bids.len(), 2, "each may be won");
        assert_eq!(round.passed[0].1, Reason::Leases(3));
        let entries = round.bids.iter().map(|p| (p.order.text(), p.intent.clone()));
        case.intents.intend(entries).unwrap();
        assert!(case.reasons().contains(&Reason::Leases(3)));
        // Lost, both of them.
        case.view.time = order(1).closes_at;
        case.view.orders = vec![order(3)];
        case.view.orders[0].closes_at += 60;
        assert_eq!(case.round().bids.len(), 1);
    }

    #[test]
    fn ports_are_the_fronts_whatever_machines_there_are() {
        let mut case = Case::new(vec![order(1)]);
        case.config.ports.range = "30000-30001".into();
        let unit = case.view.orders[0].spec.as_mut().unwrap().resources[0].unit.as_mut().unwrap();
        unit.endpoints.push(Endpoint { kind: 1, sequence_number: 0 });
        let machines = [Machine::alone(machine())];
        let capacity = Capacity::of_machines(&case.config, &machines).unwrap();
        let rules = Rules {
            config: &case.config,
            prices: &Arc::new(Prices::new(&case.config).unwrap()),
            capacity: Some(&capacity),
            max_exposure: None,
            draining: false,
        };
        let round = plan_round(&case.view, &case.intents, &rules);
        assert_eq!(round.bids.len(), 1, "{:?}", round.passed);
    }

    #[test]
    fn limits_prices_and_time() {
        let mut case = Case::new(vec![order(1), order(2)]);
        case.config.limits.max_open_bids = 1;
        assert_eq!(case.reasons(), [Reason::OpenBids(1)]);
        case.config.limits.max_open_bids = 9;
        case.config.limits.max_exposure = "500000".into();
        assert_eq!(case.reasons(), [Reason::Exposure(1_000_000)]);
        case.config.limits.max_exposure.clear();
        case.config.limits.max_leases = 0;
        assert_eq!(case.reasons(), [Reason::Leases(0), Reason::Leases(0)]);
        case.config.limits.max_leases = 9;
        case.view.time = order(1).closes_at - 1;
        assert_eq!(case.reasons(), [Reason::TooLate(1), Reason::TooLate(1)]);
        case.view.time = order(1).closes_at - 2;
        case.config.pricing.minimum = "99999999999999".into();
        assert!(case.reasons().iter().all(|r| matches!(r, Reason::Price { .. })));
    }
}
