//! Deployments and groups.

use std::collections::{BTreeMap, BTreeSet};

use stoa_chain::types::{DeploymentId, GroupId};
use stoa_proto::deployment::v1 as dpb;
use stoa_proto::market::v1::CloseReason;
use stoa_proto::types::v1 as tpb;

use super::spec::{address, fine, max_rate};
use super::{AccountState, Deployment, Escrow, Group, GroupState, OrderState, Outcome, World, ONE};

impl World {
    pub fn create_deployment(&mut self, msg: &dpb::MsgCreateDeployment) -> Outcome {
        let owner = address(&msg.owner)?;
        if msg.dseq <= self.last_dseq.get(&owner).copied().unwrap_or_default() {
            return Err("dseq not above the owner's last");
        }
        check_hashes(&msg.version, &msg.manifest_root)?;
        let deposit = msg.deposit.as_ref().ok_or("deposit missing")?;
        self.check_market_denom(&deposit.denom)?;
        let most = self.params.deployment.max_groups as usize;
        if msg.groups.is_empty() || msg.groups.len() > most {
            return Err("number of groups");
        }
        self.check_groups(&msg.groups, &deposit.denom)?;
        let market = &self.params.market;
        let window = if msg.bid_window == 0 { market.default_bid_window } else { msg.bid_window };
        if !(market.min_bid_window..=market.max_bid_window).contains(&window) {
            return Err("bid window out of bounds");
        }
        let second_price = match msg.auction {
            0 => false,
            1 => true,
            _ => return Err("unknown auction"),
        };
        let rates = msg.groups.iter().map(|spec| max_rate(spec).unwrap()).sum();
        let units = fine(&deposit.amount)?;
        if units < self.min_deposit(&deposit.denom, rates) {
            return Err("deposit too small");
        }
        self.take_units(owner, &deposit.denom, units)?;
        let id = DeploymentId { owner, dseq: msg.dseq };
        self.last_dseq.insert(owner, msg.dseq);
        let deployment = Deployment {
            active: true,
            denom: deposit.denom.clone(),
            version: msg.version.clone(),
            manifest_root: msg.manifest_root.clone(),
            window,
            second_price,
            sealed: msg.sealed || second_price,
            reopen: msg.reopen,
            created_at: self.now,
            created_height: self.height,
            closed_at: 0,
            prune_at: 0,
            pruned: false,
            groups_so_far: 0,
            groups: BTreeMap::new(),
            escrow: Escrow {
                state: AccountState::Open,
                settled_at: self.now,
                depositors: vec![(owner, units * ONE)],
                overdrawn_until: 0,
            },
        };
        self.deployments.insert(id, deployment);
        self.append_groups(id, &msg.groups);
        Ok(())
    }

    /// "opens one order a group".
    fn append_groups(&mut self, id: DeploymentId, specs: &[tpb::GroupSpec]) {
        for spec in specs {
            let deployment = self.deployments.get_mut(&id).unwrap();
            deployment.groups_so_far += 1;
            let gseq = deployment.groups_so_far;
            let group = Group {
                state: GroupState::Open,
                spec: spec.clone(),
                orders_so_far: 0,
                orders: BTreeMap::new(),
                excluded: Vec::new(),
                reopened_at: Vec::new(),
                prune_at: 0,
                pruned: false,
            };
            deployment.groups.insert(gseq, group);
            self.open_order(id.group(gseq));
        }
    }

    fn active(&self, id: DeploymentId) -> Result<&Deployment, super::Refusal> {
        let deployment = self.deployment(id)?;
        deployment.active.then_some(deployment).ok_or("deployment closed")
    }

    /// New orders rest on an escrow that can pay.
    fn check_not_overdrawn(&mut self, id: DeploymentId) -> Outcome {
        self.touch(id, self.now);
        if self.deployment(id)?.escrow.state != AccountState::Open {
            return Err("escrow overdrawn");
        }
        Ok(())
    }

    /// "`MsgAddGroups{groups, version, manifest_root}` adds groups to an active
    /// deployment".
    pub fn add_groups(&mut self, msg: &dpb::MsgAddGroups) -> Outcome {
        let id = DeploymentId { owner: address(&msg.owner)?, dseq: msg.dseq };
        check_hashes(&msg.version, &msg.manifest_root)?;
        let deployment = self.active(id)?;
        let most = self.params.deployment.max_groups as usize;
        // Closed groups count no more, and free their names.
        let groups = deployment.groups.values().filter(|g| g.state != GroupState::Closed);
        let known: BTreeSet<_> = groups.map(|group| &group.spec.name).collect();
        if msg.groups.is_empty() || known.len() + msg.groups.len() > most {
            return Err("number of groups");
        }
        self.check_groups(&msg.groups, &deployment.denom)?;
        if msg.groups.iter().any(|spec| known.contains(&spec.name)) {
            return Err("group's name twice");
        }
        self.check_not_overdrawn(id)?;
        let deployment = self.deployment_mut(id)?;
        deployment.version = msg.version.clone();
        deployment.manifest_root = msg.manifest_root.clone();
        self.append_groups(id, &msg.groups);
        Ok(())
    }

    pub fn update_deployment(&mut self, msg: &dpb::MsgUpdateDeployment) -> Outcome {
        let id = DeploymentId { owner: address(&msg.owner)?, dseq: msg.dseq };
        check_hashes(&msg.version, &msg.manifest_root)?;
        if self.active(id)?.version == msg.version {
            return Err("version as it was");
        }
        let deployment = self.deployment_mut(id)?;
        deployment.version = msg.version.clone();
        deployment.manifest_root = msg.manifest_root.clone();
        Ok(())
    }

    pub fn close_deployment(&mut self, msg: &dpb::MsgCloseDeployment) -> Outcome {
        let id = DeploymentId { owner: address(&msg.owner)?, dseq: msg.dseq };
        self.active(id)?;
        self.close_all(id, self.now);
        self.hit("deployment closed by its tenant");
        Ok(())
    }

    /// Closes each group, the account and the deployment. Answers how many
    /// leases it closed and bids it released.
    pub fn close_all(&mut self, id: DeploymentId, at: u64) -> u64 {
        let mut weight = self.touch(id, at);
        let groups: Vec<u32> = self.deployments[&id].groups.keys().copied().collect();
        for gseq in groups {
            let group = id.group(gseq);
            if self.deployments[&id].groups[&gseq].state != GroupState::Closed {
                weight += self.empty(group, CloseReason::DeploymentClosed, at);
                self.mark_closed(group);
            }
        }
        self.close_escrow(id).unwrap();
        let (now, keep) = (self.now, self.params.market.keep_closed);
        let deployment = self.deployments.get_mut(&id).unwrap();
        deployment.active = false;
        deployment.closed_at = now;
        deployment.prune_at = now + keep;
        weight
    }

    fn mark_closed(&mut self, id: GroupId) {
        let prune_at = self.now + self.params.market.keep_closed;
        let group = self.group_mut(id).unwrap();
        group.state = GroupState::Closed;
        group.prune_at = prune_at;
    }

    /// "cancels its order and closes its lease."
    fn empty(&mut self, id: GroupId, reason: CloseReason, at: u64) -> u64 {
        let orders: Vec<u32> = self.group(id).unwrap().orders.keys().copied().collect();
        let mut weight = 0;
        for oseq in orders {
            let order_id = id.order(oseq);
            let order = self.order(order_id).unwrap();
            if order.state == OrderState::Open {
                weight += self.cancel(order_id);
            } else if let Some(lease) = order.lease.as_ref().filter(|lease| lease.is_live()) {
                let lease = order_id.lease(lease.provider);
                self.end_lease(lease, reason, at);
                weight += 1;
            }
        }
        weight
    }

    pub fn pause(&mut self, id: GroupId, reason: CloseReason, at: u64) -> u64 {
        let weight = self.empty(id, reason, at);
        self.group_mut(id).unwrap().state = GroupState::Paused;
        weight
    }

    pub fn pause_group(&mut self, msg: &dpb::MsgPauseGroup) -> Outcome {
        let id = DeploymentId { owner: address(&msg.owner)?, dseq: msg.dseq }.group(msg.gseq);
        self.active(id.deployment)?;
        if self.group(id)?.state != GroupState::Open {
            return Err("group not open");
        }
        self.touch(id.deployment, self.now);
        if self.group(id)?.state != GroupState::Open {
            return Err("group not open");
        }
        self.pause(id, CloseReason::Paused, self.now);
        Ok(())
    }

    /// "PAUSED → OPEN with a new order".
    pub fn start_group(&mut self, msg: &dpb::MsgStartGroup) -> Outcome {
        let id = DeploymentId { owner: address(&msg.owner)?, dseq: msg.dseq }.group(msg.gseq);
        self.active(id.deployment)?;
        if self.group(id)?.state != GroupState::Paused {
            return Err("group not paused");
        }
        self.check_not_overdrawn(id.deployment)?;
        self.group_mut(id)?.state = GroupState::Open;
        self.open_order(id);
        Ok(())
    }

    /// "OPEN or PAUSED → CLOSED. The last group closes the deployment."
    pub fn close_group(&mut self, msg: &dpb::MsgCloseGroup) -> Outcome {
        let id = DeploymentId { owner: address(&msg.owner)?, dseq: msg.dseq }.group(msg.gseq);
        self.active(id.deployment)?;
        if self.group(id)?.state == GroupState::Closed {
            return Err("group closed");
        }
        self.touch(id.deployment, self.now);
        self.empty(id, CloseReason::DeploymentClosed, self.now);
        self.mark_closed(id);
        let mut groups = self.deployment(id.deployment)?.groups.values();
        if groups.all(|group| group.state == GroupState::Closed) {
            self.hit("the last group closes its deployment");
            self.close_all(id.deployment, self.now);
        }
        Ok(())
    }

    /// "`MsgReopenGroup`: only OPEN without order or live lease", "with new
    /// limits where given".
    pub fn reopen_group(&mut self, msg: &dpb::MsgReopenGroup) -> Outcome {
        let id = DeploymentId { owner: address(&msg.owner)?, dseq: msg.dseq }.group(msg.gseq);
        self.active(id.deployment)?;
        let group = self.group(id)?;
        if group.state != GroupState::Open {
            return Err("group not open");
        }
        if group.orders.values().any(|order| order.state == OrderState::Open) {
            return Err("group has an order");
        }
        let mut leases = group.orders.values().filter_map(|order| order.lease.as_ref());
        if leases.any(|lease| lease.is_live()) {
            return Err("group has a lease");
        }
        if !msg.max_rates.is_empty() {
            let mut spec = group.spec.clone();
            if msg.max_rates.len() != spec.resources.len() {
                return Err("number of max rates");
            }
            for (resource, rate) in spec.resources.iter_mut().zip(&msg.max_rates) {
                resource.max_rate = Some(rate.clone());
            }
            let denom = self.deployment(id.deployment)?.denom.clone();
            self.check_groups(std::slice::from_ref(&spec), &denom)?;
            self.group_mut(id)?.spec = spec;
            self.hit("group reopened with new limits");
        }
        self.check_not_overdrawn(id.deployment)?;
        self.open_order(id);
        Ok(())
    }
}

fn check_hashes(version: &[u8], manifest_root: &[u8]) -> Outcome {
    if version.len() != 32 || manifest_root.len() != 32 {
        return Err("hash not of 32 bytes");
    }
    Ok(())
}
