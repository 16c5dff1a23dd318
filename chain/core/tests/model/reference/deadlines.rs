//! "Every waiting state stands in one queue by (due time; kind [...]; id)."

use stoa_chain::types::{DeploymentId, GroupId, LeaseId, OrderId};
use stoa_proto::market::v1::CloseReason;

use super::{AccountState, GroupState, LeaseState, OrderState, World, GAP};

/// What is due, in the queue's order of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    Exhaustion(DeploymentId),
    /// `overdrawn_keep` after exhaustion.
    Overdrawn(DeploymentId),
    Start(LeaseId),
    Reclamation(LeaseId),
    Jailed(LeaseId),
    Expiry(LeaseId),
    Match(OrderId),
    PruneOrder(OrderId),
    PruneGroup(GroupId),
    PruneDeployment(DeploymentId),
}

impl World {
    pub fn end_block(&mut self) {
        if self.now - self.previous > GAP {
            self.hit("gap");
            self.move_out_of_the_gap();
        }
        let mut work = 0;
        self.left_over = false;
        while let Some((due, item)) = self.first_due() {
            // "up to `max_end_block_work`; the rest follows in the next block".
            if work >= self.params.market.max_end_block_work {
                self.hit("deadlines left to the next block");
                self.left_over = true;
                break;
            }
            work += 1 + self.work_off(due, item);
        }
        self.release_unbondings();
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
        let keep = self.params.market.keep_closed;
        for (id, deployment) in &self.deployments {
            if deployment.escrow.state == AccountState::Overdrawn {
                all.push((deployment.escrow.overdrawn_until, Due::Overdrawn(*id)));
            }
            if !deployment.active {
                all.push((deployment.closed_at + keep, Due::PruneDeployment(*id)));
            }
            for (gseq, group) in &deployment.groups {
                if group.state == GroupState::Closed {
                    all.push((group.closed_at + keep, Due::PruneGroup(id.group(*gseq))));
                }
                for oseq in group.orders.keys() {
                    self.waiting_for(id.group(*gseq).order(*oseq), &mut all);
                }
            }
        }
        all
    }

    fn waiting_for(&self, id: OrderId, all: &mut Vec<(u64, Due)>) {
        let keep = self.params.market.keep_closed;
        let order = self.order(id).unwrap();
        if order.state == OrderState::Open {
            all.push((order.match_at, Due::Match(id)));
        }
        if let Some(closed_at) = order.closed_at {
            all.push((closed_at + keep, Due::PruneOrder(id)));
        }
        let Some(lease) = &order.lease else { return };
        let lease_id = id.lease(lease.provider);
        if lease.state == LeaseState::Closed {
            all.push((lease.closed_at + keep, Due::PruneOrder(id)));
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
            Due::Exhaustion(id) => self.exhaust(id, due),
            Due::Overdrawn(id) => {
                self.hit("overdrawn deployment closed");
                self.close_all(id)
            }
            Due::Start(id) => self.end_by_deadline(id, CloseReason::NotStarted, due),
            Due::Reclamation(id) => {
                let reason = self.lease(id).unwrap().reclaim_reason;
                self.hit("reclamation window over");
                self.end_by_deadline(id, reason, due)
            }
            Due::Jailed(id) => self.end_by_deadline(id, CloseReason::ProviderJailed, due),
            Due::Expiry(id) => self.end_by_deadline(id, CloseReason::Expired, due),
            Due::Match(id) => self.match_order(id),
            Due::PruneOrder(id) => {
                self.hit("order pruned");
                self.group_mut(id.group).unwrap().orders.remove(&id.oseq);
                0
            }
            Due::PruneGroup(id) => {
                self.hit("group pruned");
                self.deployment_mut(id.deployment).unwrap().groups.remove(&id.gseq);
                0
            }
            Due::PruneDeployment(id) => {
                self.hit("deployment pruned");
                self.deployments.remove(&id);
                0
            }
        }
    }

    /// "the rest follows in the next block and pays nothing past its due time".
    fn end_by_deadline(&mut self, id: LeaseId, reason: CloseReason, due: u64) -> u64 {
        let lease = self.lease(id).unwrap();
        let (reopen, exclude) = match reason {
            CloseReason::ByTenant => (lease.reclaim_reopen, lease.reclaim_exclude),
            _ => (false, false),
        };
        self.end_lease(id, reason, due);
        self.after_end(id, reopen, exclude);
        1
    }

    /// "deadlines other than exhaustion that fell into the gap move to `now` +
    /// 60 s."
    fn move_out_of_the_gap(&mut self) {
        let (previous, now) = (self.previous, self.now);
        let fell = |at: u64| at > previous && at <= now;
        let to = now + GAP;
        for (at, item) in self.waiting() {
            if !fell(at) {
                continue;
            }
            match item {
                Due::Exhaustion(_) => {}
                Due::Overdrawn(id) => {
                    self.deployments.get_mut(&id).unwrap().escrow.overdrawn_until = to;
                }
                Due::Start(id) => {
                    self.hit("start deadline moved out of a gap");
                    self.lease_mut(id).unwrap().start_deadline = to;
                }
                Due::Reclamation(id) => {
                    self.hit("reclamation moved out of a gap");
                    self.lease_mut(id).unwrap().reclaimed_at = Some(to);
                }
                Due::Jailed(_) => {}
                Due::Expiry(id) => {
                    self.hit("expiry moved out of a gap");
                    self.lease_mut(id).unwrap().expires_at = Some(to);
                }
                Due::Match(id) => {
                    self.hit("match moved out of a gap");
                    let sealed = self.deployments[&id.deployment()].sealed;
                    let order = self.order_mut(id).unwrap();
                    order.match_at = to;
                    if !sealed {
                        order.closes_at = to;
                    }
                }
                // Pruning is nobody's deadline: it may as well happen now.
                Due::PruneOrder(_) | Due::PruneGroup(_) | Due::PruneDeployment(_) => {}
            }
        }
    }
}
