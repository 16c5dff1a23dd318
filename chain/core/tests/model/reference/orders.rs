//! Orders, bids, commitments and the match.

use sha2::{Digest, Sha256};
use stoa_chain::types::{Address, GroupId, OrderId};
use stoa_proto::market::v1 as mpb;

use super::spec::{address, fine, max_rate};
use super::{
    AccountState, Bid, BidState, Fine, Lease, LeaseState, Order, OrderState, Outcome, World, BP,
    ONE,
};

impl World {
    /// "`closes_at = opened_at + bid_window`".
    pub fn open_order(&mut self, id: GroupId) {
        let now = self.now;
        let market = self.params.market.clone();
        let deployment = &self.deployments[&id.deployment];
        let (window, sealed) = (deployment.window, deployment.sealed);
        let group = self.group_mut(id).unwrap();
        group.orders_so_far += 1;
        let max_rate = max_rate(&group.spec).unwrap();
        let by_rate = (max_rate * u128::from(market.lease_start_deadline)).div_ceil(ONE);
        let order = Order {
            state: OrderState::Open,
            spec: group.spec.clone(),
            max_rate,
            opened_at: now,
            closes_at: now + window,
            match_at: now + window + if sealed { market.reveal_window } else { 0 },
            // "max(`min_bid_deposit`, order max rate × `lease_start_deadline`),
            // rounded up".
            deposit_units: by_rate.max(fine(&market.min_bid_deposit).unwrap()),
            excluded: group.excluded.clone(),
            bids: Vec::new(),
            lease: None,
            revealing: false,
            prune_at: None,
        };
        group.orders.insert(group.orders_so_far, order);
    }

    fn sealed(&self, id: OrderId) -> bool {
        self.deployments[&id.deployment()].sealed
    }

    fn open_for_bids(&self, id: OrderId) -> Outcome {
        let order = self.order(id)?;
        if order.state != OrderState::Open {
            return Err("order not open");
        }
        // "Where `now >= closes_at`, bids, replacements and withdrawals are
        // refused".
        if self.now >= order.closes_at {
            return Err("bid window over");
        }
        Ok(())
    }

    pub fn create_bid(&mut self, msg: &mpb::MsgCreateBid) -> Outcome {
        let (provider, id) = (address(&msg.provider)?, order_id(msg.order.as_ref())?);
        self.open_for_bids(id)?;
        if self.sealed(id) {
            return Err("order is sealed");
        }
        let rate = self.check_rate(id, msg.rate.as_ref())?;
        let gpus = self.check_gpus(id, &msg.gpus)?;
        self.check_eligible(provider, id)?;
        let step = u128::from(self.params.market.bid_step);
        let low_enough = |under: Fine| rate * BP <= under * (BP - step);
        let order = self.order(id)?;
        let open: Vec<Bid> =
            order.bids.iter().filter(|bid| bid.state == BidState::Open).cloned().collect();
        let rates: Vec<Fine> = open.iter().filter_map(|bid| bid.rate).collect();
        let own = open.iter().find(|bid| bid.provider == provider);
        // "A bid under the lowest, and each replacement of one's own, is lower
        // by at least `bid_step`".
        if let Some(lowest) = rates.iter().min() {
            if rate < *lowest && !low_enough(*lowest) {
                return Err("under the lowest by less than the step");
            }
        }
        if own.is_some_and(|own| !low_enough(own.rate.unwrap())) {
            return Err("under one's own by less than the step");
        }
        let deposit = order.deposit_units;
        let denom = self.deployments[&id.deployment()].denom.clone();
        if own.is_some() {
            self.hit("bid replaced");
            self.order_mut(id)?.bids.retain(|bid| bid.provider != provider);
        } else {
            self.take_units(provider, &denom, deposit)?;
            if open.len() >= self.params.market.max_bids_per_order as usize {
                self.evict(id, rate)?;
            }
        }
        let bid = Bid {
            provider,
            state: BidState::Open,
            rate: Some(rate),
            place: self.place,
            commitment: Vec::new(),
            gpus,
        };
        self.order_mut(id)?.bids.push(bid);
        Ok(())
    }

    /// "a full open book takes a lower bid and puts out the highest, among
    /// equals the last placed, with its deposit."
    fn evict(&mut self, id: OrderId, rate: Fine) -> Outcome {
        let order = self.order(id)?;
        let worst = order.bids.iter().max_by_key(|bid| (bid.rate, bid.place)).unwrap().clone();
        if rate >= worst.rate.unwrap() {
            return Err("the book is full of bids that are as low");
        }
        let deposit = order.deposit_units;
        let denom = self.deployments[&id.deployment()].denom.clone();
        self.order_mut(id)?.bids.retain(|bid| bid.provider != worst.provider);
        self.give_units(worst.provider, &denom, deposit);
        self.hit("bid evicted");
        Ok(())
    }

    fn check_rate(
        &self,
        id: OrderId,
        rate: Option<&stoa_proto::cosmos::base::v1beta1::DecCoin>,
    ) -> Result<Fine, super::Refusal> {
        let rate = rate.ok_or("rate missing")?;
        if rate.denom != self.deployments[&id.deployment()].denom {
            return Err("rate in another denom");
        }
        let rate = fine(&rate.amount)?;
        if rate == 0 {
            return Err("rate of nothing");
        }
        if rate > self.order(id)?.max_rate {
            return Err("rate over the order's maximum");
        }
        Ok(rate)
    }

    /// "It names the GPU model that it offers for each unit."
    fn check_gpus(
        &self,
        id: OrderId,
        offers: &[mpb::GpuOffer],
    ) -> Result<Vec<(u32, String)>, super::Refusal> {
        let spec = &self.order(id)?.spec;
        let units = spec.resources.iter().filter_map(|resource| resource.unit.as_ref());
        let asking: Vec<_> = units
            .filter_map(|unit| Some((unit.id, unit.gpu.as_ref().filter(|gpu| gpu.units > 0)?)))
            .collect();
        if asking.len() != offers.len() {
            return Err("gpu offers do not fit the units");
        }
        for (unit, gpu) in asking {
            let offer = offers.iter().find(|offer| offer.unit == unit);
            let offer = offer.ok_or("gpu offers do not fit the units")?;
            let accepted = gpu.models.is_empty()
                || gpu.models.iter().any(|m| m.model == "*" || m.model == offer.model);
            if !accepted || offer.model.is_empty() {
                return Err("gpu model not acceptable");
            }
        }
        Ok(offers.iter().map(|offer| (offer.unit, offer.model.clone())).collect())
    }

    /// "After half the window a bid can be lowered and no longer withdrawn."
    pub fn withdraw_bid(&mut self, msg: &mpb::MsgWithdrawBid) -> Outcome {
        let (provider, id) = (address(&msg.provider)?, order_id(msg.order.as_ref())?);
        self.open_for_bids(id)?;
        let order = self.order(id)?;
        if !order.bids.iter().any(|bid| bid.provider == provider) {
            return Err("no such bid");
        }
        if (self.now - order.opened_at) * 2 >= order.closes_at - order.opened_at {
            return Err("half the window is over");
        }
        let deposit = order.deposit_units;
        let denom = self.deployments[&id.deployment()].denom.clone();
        self.order_mut(id)?.bids.retain(|bid| bid.provider != provider);
        self.give_units(provider, &denom, deposit);
        if self.sealed(id) {
            self.hit("commitment withdrawn");
        }
        Ok(())
    }

    pub fn commit_bid(&mut self, msg: &mpb::MsgCommitBid) -> Outcome {
        let (provider, id) = (address(&msg.provider)?, order_id(msg.order.as_ref())?);
        self.open_for_bids(id)?;
        if !self.sealed(id) {
            return Err("order is not sealed");
        }
        if msg.commitment.len() != 32 {
            return Err("hash not of 32 bytes");
        }
        let gpus = self.check_gpus(id, &msg.gpus)?;
        self.check_eligible(provider, id)?;
        let order = self.order(id)?;
        if order.bids.iter().any(|bid| bid.provider == provider) {
            return Err("committed already");
        }
        // "A full sealed book takes no more."
        if order.bids.len() >= self.params.market.max_bids_per_order as usize {
            return Err("the sealed book is full");
        }
        let deposit = order.deposit_units;
        let denom = self.deployments[&id.deployment()].denom.clone();
        self.take_units(provider, &denom, deposit)?;
        let bid = Bid {
            provider,
            state: BidState::Open,
            rate: None,
            place: self.place,
            commitment: msg.commitment.clone(),
            gpus,
        };
        self.order_mut(id)?.bids.push(bid);
        Ok(())
    }

    /// "in the `reveal_window` after it, `MsgRevealBid{rate, salt}`".
    pub fn reveal_bid(&mut self, msg: &mpb::MsgRevealBid) -> Outcome {
        let (provider, id) = (address(&msg.provider)?, order_id(msg.order.as_ref())?);
        let order = self.order(id)?;
        if order.state != OrderState::Open {
            return Err("order not open");
        }
        if !self.sealed(id) {
            return Err("order is not sealed");
        }
        if self.now < order.closes_at || self.now >= order.match_at {
            return Err("not in the reveal window");
        }
        let bid = order.bids.iter().find(|bid| bid.provider == provider).ok_or("no such bid")?;
        if bid.rate.is_some() {
            return Err("revealed already");
        }
        if !(16..=64).contains(&msg.salt.len()) {
            return Err("salt not of 16 to 64 bytes");
        }
        let commitment = bid.commitment.clone();
        let rate = self.check_rate(id, msg.rate.as_ref())?;
        if commitment_of(id, provider, rate, &msg.salt) != commitment {
            return Err("not what was committed");
        }
        let mut bids = self.order_mut(id)?.bids.iter_mut();
        bids.find(|bid| bid.provider == provider).unwrap().rate = Some(rate);
        Ok(())
    }

    /// "CANCELLED (all deposits return)". Answers how many bids it released.
    pub fn cancel(&mut self, id: OrderId) -> u64 {
        self.hit("order cancelled");
        let bids = self.close_order(id, OrderState::Cancelled);
        self.release(id, &bids);
        bids.len() as u64
    }

    fn close_order(&mut self, id: OrderId, state: OrderState) -> Vec<Bid> {
        let prune_at = self.now + self.params.market.keep_closed;
        let order = self.order_mut(id).unwrap();
        order.state = state;
        order.prune_at = Some(prune_at);
        std::mem::take(&mut order.bids)
    }

    fn release(&mut self, id: OrderId, bids: &[Bid]) {
        let deposit = self.order(id).unwrap().deposit_units;
        let denom = self.deployments[&id.deployment()].denom.clone();
        for bid in bids {
            self.give_units(bid.provider, &denom, deposit);
        }
    }

    /// The match. Answers its weight beside 1: the bids that were released.
    pub fn match_order(&mut self, id: OrderId) -> u64 {
        let denom = self.deployments[&id.deployment()].denom.clone();
        let deposit = self.order(id).unwrap().deposit_units;
        let released = self.order(id).unwrap().bids.len() as u64;
        // "An unrevealed bid loses its deposit to the community pool."
        let order = self.order_mut(id).unwrap();
        let (mut revealed, unrevealed): (Vec<Bid>, Vec<Bid>) =
            std::mem::take(&mut order.bids).into_iter().partition(|bid| bid.rate.is_some());
        for _ in &unrevealed {
            self.hit("unrevealed bid forfeited");
            self.give_pool(&denom, deposit * ONE);
        }
        // "the lowest rate wins, among equals the first placed".
        revealed.sort_by_key(|bid| (bid.rate, bid.place));
        if revealed.windows(2).any(|pair| pair[0].rate == pair[1].rate) {
            self.hit("bids at an equal rate");
        }
        let eligible: Vec<Bid> = revealed
            .iter()
            .filter(|bid| self.check_eligible(bid.provider, id).is_ok())
            .cloned()
            .collect();
        if eligible.len() < revealed.len() {
            self.hit("bid fails its second eligibility check");
        }
        let Some(winner) = eligible.first().cloned() else {
            self.hit("unmatched for want of an eligible bid");
            self.close_order(id, OrderState::Unmatched);
            self.release(id, &revealed);
            return released;
        };
        let lease = self.lease_of(id, &winner, eligible.get(1).and_then(|bid| bid.rate));
        let weight = self.touch(id.deployment(), self.now);
        if self.order(id).unwrap().state != OrderState::Open {
            self.hit("exhaustion found at a match");
            self.release(id, &revealed);
            return unrevealed.len() as u64 + revealed.len() as u64 + weight;
        }
        if !self.affords(id, &lease) {
            self.hit("unmatched for want of balance");
            self.close_order(id, OrderState::Unmatched);
            self.release(id, &revealed);
            return released;
        }
        revealed.retain(|bid| bid.provider != winner.provider);
        self.release(id, &revealed);
        let order = self.order_mut(id).unwrap();
        order.state = OrderState::Matched;
        order.bids = vec![Bid { state: BidState::Won, ..winner.clone() }];
        order.lease = Some(lease);
        self.provider_counters.entry(winner.provider).or_default().won += 1;
        self.tenant_counters.entry(id.owner()).or_default().won += 1;
        self.hit("order matched");
        released - 1
    }

    /// "At the match the lease's cost rate is fixed".
    fn lease_of(&mut self, id: OrderId, winner: &Bid, second: Option<Fine>) -> Lease {
        let deployment = &self.deployments[&id.deployment()];
        let (denom, second_price) = (deployment.denom.clone(), deployment.second_price);
        let most = self.order(id).unwrap().max_rate;
        let lowest = winner.rate.unwrap();
        let mut fee = 0;
        let mut rate = lowest;
        if second_price {
            self.hit(if second.is_some() { "second price" } else { "second price alone" });
            // "paid the rate of the second eligible bid [...], or the order's
            // max rate where it stands alone".
            rate = second.unwrap_or(most);
            let cap = u128::from(self.params.market.second_price_fee_cap);
            fee = (rate - lowest).min(cap * rate / BP).min(most - rate);
            if fee > 0 {
                self.hit("second-price fee");
            }
        }
        let take = self.params.escrow.market_denoms.iter().find(|market| market.denom == denom);
        let take = (rate * u128::from(take.unwrap().take_rate)).div_ceil(BP);
        Lease {
            provider: winner.provider,
            state: LeaseState::Pending,
            rate,
            cost_rate: rate + fee,
            provider_rate: rate - take,
            matched_at: self.now,
            start_deadline: self.now + self.params.market.lease_start_deadline,
            started_at: 0,
            expires_at: None,
            reclaimed_at: None,
            reclaim_reason: mpb::CloseReason::Unspecified,
            reclaim_reopen: false,
            reclaim_exclude: false,
            jailed_at: None,
            accrued: 0,
            withdrawn_units: 0,
            closed_at: 0,
            reason: mpb::CloseReason::Unspecified,
            prune_at: 0,
        }
    }

    /// "a match that finds a balance under (total rate with the new lease's) ×
    /// `lease_start_deadline` + the bid deposit is UNMATCHED".
    fn affords(&self, id: OrderId, lease: &Lease) -> bool {
        let deployment = &self.deployments[&id.deployment()];
        assert_eq!(deployment.escrow.state, AccountState::Open, "overdrawn groups are paused");
        let rates = deployment.total_rate(self.now) + lease.cost_rate;
        let deadline = u128::from(self.params.market.lease_start_deadline);
        let deposit = self.order(id).unwrap().deposit_units * ONE;
        deployment.escrow.balance() >= rates * deadline + deposit
    }
}

pub fn order_id(id: Option<&stoa_proto::types::v1::OrderId>) -> Result<OrderId, super::Refusal> {
    OrderId::try_from(id.cloned()).map_err(|_| "malformed id")
}

/// SHA-256("stoa/bid/1" ‖ order id ‖ provider ‖ rate ‖ salt), the three in the
/// middle as text behind a byte of length.
pub fn commitment_of(id: OrderId, provider: Address, rate: Fine, salt: &[u8]) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(b"stoa/bid/1");
    for text in [id.to_string(), provider.to_string(), rate.to_string()] {
        hash.update([u8::try_from(text.len()).unwrap()]);
        hash.update(text);
    }
    hash.update(salt);
    hash.finalize().to_vec()
}
