//! "Every waiting state stands in one queue by (due time; kind [...]; id)."

use stoa_chain::types::{DeploymentId, GroupId, LeaseId, OrderId};
use stoa_proto::market::v1::CloseReason;

use super::{AccountState, GroupState, LeaseState, OrderState, World, GAP};

/// What is due, in the queue's order of kinds: those that the rules name, and
/// beside them a jailed provider's leases and overdrawn deployments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    Exhaustion(DeploymentId),
    Start(LeaseId),
    Reclamation(LeaseId),
    Expiry(LeaseId),
    Jailed(LeaseId),
    Reveal(OrderId),
    Match(OrderId),
    Overdrawn(DeploymentId),
    Pruning(Closed),
}

/// What leaves the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    Deployment(DeploymentId),
    Group(GroupId),
    Order(OrderId),
    /// With its order and bid.
    Lease(LeaseId),
}

impl Closed {
    fn id(&self) -> Vec<u8> {
        match self {
            Self::Deployment(id) => id.to_key(),
            Self::Group(id) => id.to_key(),
            Self::Order(id) => id.to_key(),
            Self::Lease(id) => id.to_key(),
        }
    }
}

impl PartialOrd for Closed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Closed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.id().cmp(&other.id())
    }
}

impl World {
    /// "In the first block after a gap of over 60 s": before its transactions,
    /// so that they find the deadlines where they are now.
    pub fn begin_block(&mut self) {
        if self.now - self.previous > GAP {
            self.hit("gap");
            self.move_out_of_the_gap();
        }
    }

    pub fn end_block(&mut self) {
        self.release_unbondings();
        let mut work = 0;
        self.left_over = false;
        while let Some((due, item)) = self.first_due() {
            // "up to `max_end_block_work`; the rest follows in the next block".
            if work >= self.params.market.max_end_block_work {
                self.hit("deadlines left to the next block");
                self.left_over = true;
                break;
            }
            if due < self.previous {
                self.hit("deadline worked in a later block");
            }
            work += 1 + self.work_off(due, item);
        }
        self.last_now = self.previous;
        self.previous = self.now;
    }

    fn first_due(&self) -> Option<(u64, Due)> {
        let mut all = self.waiting();
        for (id, deployment) in &self.deployments {
            if let Some(at) = deployment.exhausted_at(self.now) {
                all.push((at, Due::Exhaustion(*id)));
            }
        }
        all.into_iter().filter(|(at, _)| *at <= self.now).min()
    }

    /// All waiting states but exhaustion.
    fn waiting(&self) -> Vec<(u64, Due)> {
        let mut all = Vec::new();
        for (id, deployment) in &self.deployments {
            if deployment.escrow.state == AccountState::Overdrawn {
                all.push((deployment.escrow.overdrawn_until, Due::Overdrawn(*id)));
            }
            if !deployment.active && !deployment.pruned {
                all.push((deployment.prune_at, Due::Pruning(Closed::Deployment(*id))));
            }
            for (gseq, group) in &deployment.groups {
                let group_id = id.group(*gseq);
                if group.state == GroupState::Closed && !group.pruned {
                    all.push((group.prune_at, Due::Pruning(Closed::Group(group_id))));
                }
                for oseq in group.orders.keys() {
                    self.waiting_for(group_id.order(*oseq), &mut all);
                }
            }
        }
        all
    }

    fn waiting_for(&self, id: OrderId, all: &mut Vec<(u64, Due)>) {
        let order = self.order(id).unwrap();
        if order.state == OrderState::Open {
            let sealed = self.deployments[&id.deployment()].sealed;
            all.push(if sealed && !order.revealing {
                (order.closes_at, Due::Reveal(id))
            } else {
                (order.match_at, Due::Match(id))
            });
        }
        if let Some(prune_at) = order.prune_at {
            all.push((prune_at, Due::Pruning(Closed::Order(id))));
        }
        let Some(lease) = &order.lease else { return };
        let lease_id = id.lease(lease.provider);
        if lease.state == LeaseState::Closed {
            all.push((lease.prune_at, Due::Pruning(Closed::Lease(lease_id))));
            return;
        }
        if lease.state == LeaseState::Pending {
            all.push((lease.start_deadline, Due::Start(lease_id)));
        }
        all.extend(lease.reclaimed_at.map(|at| (at, Due::Reclamation(lease_id))));
        all.extend(lease.expires_at.map(|at| (at, Due::Expiry(lease_id))));
        all.extend(lease.jailed_at.map(|at| (at, Due::Jailed(lease_id))));
    }

    /// Does what is due; answers how many leases it closed and bids it
    /// released.
    fn work_off(&mut self, due: u64, item: Due) -> u64 {
        match item {
            Due::Exhaustion(id) => self.touch(id, due),
            Due::Overdrawn(id) => {
                self.hit("overdrawn deployment closed");
                self.close_all(id, due)
            }
            Due::Start(id) => self.end_by_deadline(id, CloseReason::NotStarted, due),
            Due::Reclamation(id) => {
                let reason = self.lease(id).unwrap().reclaim_reason;
                self.hit("reclamation window over");
                self.end_by_deadline(id, reason, due)
            }
            Due::Jailed(id) => self.end_by_deadline(id, CloseReason::ProviderJailed, due),
            Due::Expiry(id) => self.end_by_deadline(id, CloseReason::Expired, due),
            Due::Reveal(id) => {
                self.order_mut(id).unwrap().revealing = true;
                0
            }
            Due::Match(id) => self.match_order(id),
            Due::Pruning(closed) => {
                self.prune(closed);
                0
            }
        }
    }

    /// "pays nothing past its due time".
    fn end_by_deadline(&mut self, id: LeaseId, reason: CloseReason, due: u64) -> u64 {
        let weight = self.touch(id.deployment(), due);
        let lease = self.lease(id).unwrap();
        if !lease.is_live() {
            self.hit("exhaustion found at a lease's end");
            return weight;
        }
        let (reopen, exclude) = (lease.reclaim_reopen, lease.reclaim_exclude);
        self.end_lease(id, reason, due);
        self.after_end(id, reason, reopen, exclude);
        weight + 1
    }

    fn prune(&mut self, closed: Closed) {
        match closed {
            Closed::Deployment(id) => {
                self.hit("deployment pruned");
                self.deployments.get_mut(&id).unwrap().pruned = true;
            }
            Closed::Group(id) => {
                self.hit("group pruned");
                self.group_mut(id).unwrap().pruned = true;
            }
            Closed::Order(id) => {
                self.hit("order pruned");
                self.remove_order(id);
            }
            Closed::Lease(id) => {
                self.hit("lease pruned");
                self.remove_order(id.order);
            }
        }
        // What is empty goes for good.
        for deployment in self.deployments.values_mut() {
            deployment.groups.retain(|_, group| !group.pruned || !group.orders.is_empty());
        }
        self.deployments
            .retain(|_, deployment| !deployment.pruned || !deployment.groups.is_empty());
    }

    fn remove_order(&mut self, id: OrderId) {
        let deployment = self.deployments.get_mut(&id.deployment()).unwrap();
        deployment.groups.get_mut(&id.group.gseq).unwrap().orders.remove(&id.oseq);
    }

    /// "deadlines other than exhaustion that fell into the gap move to `now` +
    /// 60 s."
    fn move_out_of_the_gap(&mut self) {
        let (previous, now) = (self.previous, self.now);
        let to = now + GAP;
        for (at, item) in self.waiting() {
            if at <= previous || at > now {
                continue;
            }
            let kind = format!("{item:?}");
            self.hit(&format!("moved out of a gap: {}", kind.split('(').next().unwrap()));
            match item {
                Due::Exhaustion(_) => {}
                Due::Overdrawn(id) => {
                    self.deployments.get_mut(&id).unwrap().escrow.overdrawn_until = to;
                }
                Due::Start(id) => self.lease_mut(id).unwrap().start_deadline = to,
                Due::Reclamation(id) => self.lease_mut(id).unwrap().reclaimed_at = Some(to),
                Due::Jailed(id) => self.lease_mut(id).unwrap().jailed_at = Some(to),
                Due::Expiry(id) => self.lease_mut(id).unwrap().expires_at = Some(to),
                Due::Reveal(id) => {
                    // The reveal window keeps its length.
                    let order = self.order_mut(id).unwrap();
                    order.match_at = to + (order.match_at - order.closes_at);
                    order.closes_at = to;
                }
                Due::Match(id) => {
                    let sealed = self.deployments[&id.deployment()].sealed;
                    let order = self.order_mut(id).unwrap();
                    order.match_at = to;
                    if !sealed {
                        order.closes_at = to;
                    }
                }
                Due::Pruning(Closed::Deployment(id)) => {
                    self.deployments.get_mut(&id).unwrap().prune_at = to;
                }
                Due::Pruning(Closed::Group(id)) => self.group_mut(id).unwrap().prune_at = to,
                Due::Pruning(Closed::Order(id)) => self.order_mut(id).unwrap().prune_at = Some(to),
                Due::Pruning(Closed::Lease(id)) => self.lease_mut(id).unwrap().prune_at = to,
            }
        }
    }
}
