//! Votes and deposits at random, against a reference that looks at each
//! delegation on its own and counts all at once.

use std::collections::BTreeMap;

use ethnum::U256;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::end_block::end_block_within;
use super::*;

/// By rounding each voter's part down, sums may differ by so many 10^-18 units.
const TOLERANCE: u128 = 1_000;

/// What is known of a proposal from the messages alone.
#[derive(Default)]
struct Reference {
    votes: BTreeMap<u8, [u128; 4]>,
    deposits: BTreeMap<u8, u128>,
}

struct Setting {
    delegations: Vec<(u8, u8, u128)>,
    /// Tokens in percent of shares.
    left: [u128; 2],
    providers: Vec<(u8, u128)>,
}

impl Setting {
    fn random(rng: &mut ChaCha8Rng) -> Self {
        let mut delegations =
            vec![(11, 11, rng.gen_range(1..200)), (12, 12, rng.gen_range(1..200))];
        for who in 1..=8 {
            for to in [11, 12] {
                if rng.gen_bool(0.5) {
                    delegations.push((who, to, rng.gen_range(1..100)));
                }
            }
        }
        let left = [100, rng.gen_range(50..=100)];
        let mut providers = Vec::new();
        for who in [1, 9] {
            if rng.gen_bool(0.5) {
                providers.push((who, rng.gen_range(1..300)));
            }
        }
        Self { delegations, left, providers }
    }

    fn chain(&self) -> Ctx<'static> {
        let mut document = document(&self.delegations);
        let mut staked = 0;
        for (validator, left) in document.staking.validators.iter_mut().zip(self.left) {
            validator.tokens = Amount::from_raw(validator.tokens.raw() * left / 100);
            staked += validator.tokens.raw();
        }
        document.bank.supply = [coin(12 * FUNDS + staked)].into_iter().collect();
        let mut ctx = ctx_from(&document);
        for (who, stoa) in &self.providers {
            register(&mut ctx, *who, *stoa);
        }
        ctx
    }

    /// 10^-18 units of yes, abstain, no, veto; and all stake.
    fn count(&self, votes: &BTreeMap<u8, [u128; 4]>) -> ([u128; 4], u128) {
        let mut sums = [0; 4];
        let mut stake = 0;
        let mut add = |power: u128, vote: Option<&[u128; 4]>| {
            stake += power;
            let parts = vote.copied().unwrap_or_default();
            for (sum, part) in sums.iter_mut().zip(parts) {
                *sum += power / 100 * part;
            }
        };
        for (who, to, stoa) in &self.delegations {
            let left = self.left[usize::from(to - 11)];
            let power = stoa * STOA * ONE / 100 * left;
            add(power, votes.get(who).or_else(|| votes.get(to)));
        }
        for (who, stoa) in &self.providers {
            add(stoa * STOA * ONE, votes.get(who));
        }
        (sums, stake)
    }
}

/// The rules in whole numbers: nothing is divided.
fn passes([yes, abstain, no, veto]: [u128; 4], stake: u128) -> (bool, bool) {
    let product = |a: u128, b: u128| U256::from(a) * U256::from(b);
    let voted = yes + abstain + no + veto;
    if product(voted, 1_000) < product(stake, 334) || voted == abstain {
        return (false, false);
    }
    if product(veto, 1_000) > product(voted, 334) {
        return (false, true);
    }
    (product(yes, 2) > product(voted - abstain, 1), false)
}

fn random_vote(rng: &mut ChaCha8Rng) -> [u128; 4] {
    let mut parts = [0; 4];
    if rng.gen_bool(0.6) {
        parts[rng.gen_range(0..4)] = 100;
        return parts;
    }
    let first = rng.gen_range(1..100);
    let (a, b) = (rng.gen_range(0..4), rng.gen_range(1..4));
    parts[a] = first;
    parts[(a + b) % 4] = 100 - first;
    parts
}

fn vote_parts(id: u64, voter: u8, parts: [u128; 4]) -> pb::MsgVoteWeighted {
    let options = (1..).zip(parts).filter(|(_, part)| *part > 0);
    let option =
        |(option, part)| pb::WeightedVoteOption { option, weight: Dec::percent(part).to_string() };
    pb::MsgVoteWeighted {
        proposal_id: id,
        voter: address(voter).to_string(),
        options: options.map(option).collect(),
        metadata: String::new(),
    }
}

fn act(ctx: &mut Ctx<'_>, rng: &mut ChaCha8Rng, id: u64, reference: &mut Reference) {
    let who = rng.gen_range(1..=12);
    if rng.gen_bool(0.8) {
        let parts = random_vote(rng);
        send::<VoteWeighted>(ctx, vote_parts(id, who, parts)).unwrap();
        reference.votes.insert(who, parts);
    } else {
        let amount = rng.gen_range(DEPOSIT / 100..DEPOSIT);
        let msg = pb::MsgDeposit {
            proposal_id: id,
            depositor: address(who).to_string(),
            amount: vec![coin(amount).into()],
        };
        send::<Deposit>(ctx, msg).unwrap();
        *reference.deposits.entry(who).or_default() += amount;
    }
}

/// One chain with three proposals that end one after the other. Answers
/// whether any was counted over several blocks, and how each ended.
fn run(seed: u64) -> (bool, Vec<Status>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let setting = Setting::random(&mut rng);
    let mut ctx = setting.chain();
    let mut references: BTreeMap<u64, Reference> = BTreeMap::new();
    for _ in 0..3 {
        let id = submit(&mut ctx, Vec::new());
        let deposits = BTreeMap::from([(5, DEPOSIT)]);
        references.insert(id, Reference { deposits, ..Reference::default() });
        ctx = later(ctx, 10);
    }
    let before: Vec<u128> = (1..=12).map(|number| balance(&ctx, &address(number))).collect();
    for (id, reference) in &mut references {
        for _ in 0..rng.gen_range(0..12) {
            act(&mut ctx, &mut rng, *id, reference);
        }
    }
    let work = [1, 3, 7, 2_000][rng.gen_range(0..4)];
    let mut several = false;
    ctx = later(ctx, PERIOD);
    for _ in 0..100 {
        end_block_within(&mut ctx, work);
        several |= count::count(&ctx).is_some();
        let waiting = references.keys().any(|id| status(&ctx, *id) == Status::Voting);
        if !waiting && records::leaving(&ctx).count() == 0 {
            break;
        }
        ctx = later(ctx, 5);
    }
    let mut burned: BTreeMap<u8, u128> = BTreeMap::new();
    let mut ends = Vec::new();
    for (id, reference) in &references {
        let (sums, stake) = setting.count(&reference.votes);
        let found = proposal(&ctx, *id).unwrap();
        let Sums { yes, abstain, no, no_with_veto } = found.tally;
        let tally = [yes, abstain, no, no_with_veto].map(Fine::raw);
        for (ours, theirs) in tally.iter().zip(sums) {
            assert!(ours.abs_diff(theirs) <= TOLERANCE, "seed {seed}: {tally:?} and {sums:?}");
        }
        let (passed, burns) = passes(sums, stake);
        let wanted = if passed { Status::Passed } else { Status::Rejected };
        assert_eq!(found.status, wanted, "seed {seed}, proposal {id}: {sums:?} of {stake}");
        if burns {
            for (who, amount) in &reference.deposits {
                *burned.entry(*who).or_default() += amount;
            }
        }
        ends.push(found.status);
    }
    for (number, before) in (1u8..).zip(before) {
        // 5's three deposits were gone already.
        let had = before + if number == 5 { 3 * DEPOSIT } else { 0 };
        let lost = burned.get(&number).copied().unwrap_or_default();
        assert_eq!(balance(&ctx, &address(number)), had - lost, "seed {seed}, account {number}");
    }
    assert_export_is_whole(later(ctx, 1));
    (several, ends)
}

#[test]
fn counts_and_deposits_come_to_what_a_naive_reference_says() {
    let (mut several, mut passed, mut rejected) = (0, 0, 0);
    for seed in 0..150 {
        let (over_blocks, ends) = run(seed);
        several += usize::from(over_blocks);
        passed += ends.iter().filter(|end| **end == Status::Passed).count();
        rejected += ends.iter().filter(|end| **end == Status::Rejected).count();
    }
    assert!(several > 30, "{several} chains counted over several blocks");
    assert!(passed > 30 && rejected > 30, "{passed} passed, {rejected} were rejected");
}
