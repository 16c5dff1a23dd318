//! Which rules the runs applied, and which they must have.

use std::collections::BTreeMap;

use crate::run::Run;

/// What must have happened at least once: each transition of each state, and
/// each rule that decides between two ways.
const HAPPENED: &[&str] = &[
    "a deposit reopens an overdrawn account",
    "a deposit too small to reopen an overdrawn account",
    "bid evicted",
    "bid fails its second eligibility check",
    "bid replaced",
    "bids at an equal rate",
    "commitment withdrawn",
    "deadline worked in a later block",
    "deadlines left to the next block",
    "deployment closed by its tenant",
    "deployment pruned",
    "deposit by another than the owner",
    "done: AddGroups",
    "done: CloseBid",
    "done: CloseGroup",
    "done: CloseLease",
    "done: CommitBid",
    "done: CreateBid",
    "done: CreateDeployment",
    "done: PauseGroup",
    "done: ReopenGroup",
    "done: RevealBid",
    "done: StartGroup",
    "done: StartLease",
    "done: UpdateDeployment",
    "done: WithdrawBid",
    "done: WithdrawLease",
    "funds exhausted",
    "gap",
    "group pruned",
    "group reopened with new limits",
    "group reopens after a lease's end",
    "lease ends CLOSE_REASON_BY_PROVIDER",
    "lease ends CLOSE_REASON_BY_TENANT",
    "lease ends CLOSE_REASON_DEPLOYMENT_CLOSED",
    "lease ends CLOSE_REASON_EXPIRED",
    "lease ends CLOSE_REASON_FUNDS_EXHAUSTED",
    "lease ends CLOSE_REASON_NOT_STARTED",
    "lease ends CLOSE_REASON_PAUSED",
    "lease ends CLOSE_REASON_PROVIDER_JAILED",
    "lease ends while pending",
    "lease pruned",
    "lease reclaiming",
    "lease started in the deadline's block",
    "moved out of a gap: Expiry",
    "moved out of a gap: Match",
    "moved out of a gap: Overdrawn",
    "moved out of a gap: Reclamation",
    "moved out of a gap: Reveal",
    "moved out of a gap: Start",
    "no more reopening today",
    "order cancelled",
    "order pruned",
    "overdrawn deployment closed",
    "reclamation window over",
    "second price",
    "second price alone",
    "second-price fee",
    "tenant closes a reclaiming lease at once",
    "the escrow does not go as far as a pending lease costs",
    "order matched",
    "provider jailed",
    "provider kept out of a group",
    "several depositors get their rest back",
    "the last group closes its deployment",
    "unmatched for want of an eligible bid",
    "unmatched for want of balance",
    "unrevealed bid forfeited",
    "what is left is shared among several leases",
    "withdrawal from a closed lease",
];

/// Each rule of the market that refuses, and the machine's codes for it. The
/// first is its own, and must have been seen; the others answer where the
/// operation is wrong in itself, or breaks another rule that is looked at
/// before.
const REFUSED: &[(&str, &[&str])] = &[
    ("account has too little", &["sdk/5"]),
    ("attributes not met", &["market/24"]),
    ("auditor's signature missing", &["market/25"]),
    ("bid window out of bounds", &["deployment/9"]),
    ("bid window over", &["market/6", "sdk/18"]),
    ("committed already", &["market/15"]),
    ("count out of bounds", &["deployment/6"]),
    ("cpu out of bounds", &["deployment/6"]),
    ("denom not traded", &["escrow/3", "sdk/18"]),
    ("deployment closed", &["deployment/5", "sdk/18"]),
    ("deposit in another denom", &["escrow/4", "sdk/18"]),
    ("deposit of nothing", &["escrow/5"]),
    ("deposit too small", &["escrow/6"]),
    ("dseq not above the owner's last", &["deployment/4", "sdk/18"]),
    ("escrow closed", &["escrow/7"]),
    ("escrow overdrawn", &["escrow/9"]),
    ("gpu model not acceptable", ELIGIBILITY),
    ("gpu offers do not fit the units", ELIGIBILITY),
    ("group closed", &["deployment/12"]),
    ("group has a lease", &["deployment/13"]),
    ("group has an order", &["deployment/13"]),
    ("group not open", &["deployment/12"]),
    ("group not paused", &["deployment/12"]),
    ("group without a name", &["sdk/18"]),
    ("group's name twice", &["deployment/7"]),
    ("half the window is over", &["market/19"]),
    ("hash not of 32 bytes", &["sdk/18"]),
    ("lease closed", &["market/29"]),
    ("lease not pending", &["market/29"]),
    ("lease not started", &["market/29"]),
    ("lease reclaiming already", &["market/29"]),
    ("max rate in another denom", &["sdk/18", "deployment/8"]),
    ("max rate over 10^9 units a second", &["sdk/18"]),
    ("memory out of bounds", &["deployment/6"]),
    ("no such bid", &["market/3"]),
    ("no such deployment", &["deployment/2", "escrow/2", "sdk/18"]),
    ("no such group", &["deployment/3", "sdk/18"]),
    ("no such lease", &["market/4"]),
    ("no such order", &["market/2", "sdk/18"]),
    ("not in the reveal window", &["market/16", "sdk/18"]),
    ("not this provider's lease", &["market/30"]),
    ("not this tenant's lease", &["market/30"]),
    ("not what was committed", &["market/17"]),
    ("number of groups", &["deployment/6", "sdk/18"]),
    ("number of leases", &["market/31"]),
    ("number of max rates", &["deployment/14"]),
    ("number of units", &["sdk/18", "deployment/6"]),
    ("order is not sealed", &["market/14", "sdk/18"]),
    ("order is sealed", &["market/13", "sdk/18"]),
    ("order not open", &["market/5", "sdk/18"]),
    ("provider excluded", &["market/23", "market/22"]),
    ("provider jailed", &["market/21"]),
    ("provider not allowed", &["market/22"]),
    ("provider not registered", &["market/20", "provider/1", "provider/10", "audit/1"]),
    ("rate in another denom", &["market/9", "market/17"]),
    ("rate over the order's maximum", &["market/8", "market/17"]),
    ("reclamation window out of bounds", &["deployment/10"]),
    ("reopened too often today", &["market/32"]),
    ("reputation too low", &["market/27"]),
    ("revealed already", &["market/18"]),
    ("too many depositors", &["escrow/8", "sdk/5"]),
    ("stake too low", &["market/26"]),
    ("storage out of bounds", &["deployment/6"]),
    ("the book is full of bids that are as low", &["market/12"]),
    ("the sealed book is full", &["market/12"]),
    ("under one's own by less than the step", &["market/11"]),
    ("under the lowest by less than the step", &["market/10", "market/11"]),
    ("unknown storage class", &["sdk/18"]),
    ("version as it was", &["deployment/11"]),
];

/// The GPU model is looked at last of all that makes a provider eligible.
const ELIGIBILITY: &[&str] = &[
    "market/28",
    "market/20",
    "market/21",
    "market/22",
    "market/23",
    "market/24",
    "market/25",
    "market/26",
    "market/27",
];

/// What several runs have shown together.
#[derive(Default)]
pub struct Coverage {
    hits: BTreeMap<String, u64>,
    refusals: BTreeMap<(&'static str, String), u64>,
}

impl Coverage {
    pub fn add(&mut self, run: &Run) {
        for (rule, times) in &run.world.hits {
            *self.hits.entry(rule.clone()).or_default() += times;
        }
        for (refusal, times) in &run.refusals {
            *self.refusals.entry(refusal.clone()).or_default() += times;
        }
    }

    /// Tells how often what happened.
    pub fn print(&self) {
        for (rule, times) in &self.hits {
            println!("{times:>6} {rule}");
        }
        for ((rule, code), times) in &self.refusals {
            println!("{times:>6} {rule}: {code}");
        }
    }

    /// Fails where a rule was never applied, or one was refused with another
    /// meaning than its own.
    pub fn assert_complete(&self) {
        let mut missing: Vec<String> = Vec::new();
        for rule in HAPPENED {
            if !self.hits.contains_key(*rule) {
                missing.push((*rule).to_owned());
            }
        }
        for (rule, codes) in REFUSED {
            if !self.refusals.contains_key(&(*rule, codes[0].to_owned())) {
                missing.push(format!("refused: {rule} with {}", codes[0]));
            }
        }
        assert!(missing.is_empty(), "never seen: {missing:#?}");
        self.assert_meanings();
    }

    /// Each refusal has the code of its own rule.
    fn assert_meanings(&self) {
        let table: BTreeMap<_, _> = REFUSED.iter().copied().collect();
        for ((rule, code), times) in &self.refusals {
            let Some(codes) = table.get(rule) else { continue };
            assert!(codes.contains(&code.as_str()), "{rule}: {code}, {times} times");
        }
    }
}
