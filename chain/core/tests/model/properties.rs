//! What holds of the reference's own arithmetic, and of the machine's match.

use proptest::prelude::*;
use stoa_proto::deployment::v1 as dpb;
use stoa_proto::market::v1 as mpb;

use crate::certificates::roots;
use crate::generate::{dec_coin, simple_group, Generator};
use crate::machine::{self, Machine};
use crate::reference::{largest_remainder, Op, ONE};
use crate::scenario::{Cast, Setting, GENESIS, STOA};
use crate::SETTING;
use rand::SeedableRng;
use stoa_chain::types::DeploymentId;

proptest! {
    #[test]
    fn shares_sum_up_to_the_whole_and_differ_from_proportion_by_less_than_one(
        whole in 0..10u128.pow(30),
        weights in prop::collection::vec(1..10u128.pow(27), 1..20),
    ) {
        let parts = largest_remainder(whole, &weights);
        prop_assert_eq!(parts.iter().sum::<u128>(), whole);
        let sum = ethnum::U256::from(weights.iter().sum::<u128>());
        for (part, weight) in parts.iter().zip(&weights) {
            let exact = ethnum::U256::from(whole) * ethnum::U256::from(*weight);
            let given = ethnum::U256::from(*part) * sum;
            prop_assert!(given < exact + sum && exact < given + sum);
        }
    }
}

/// A machine with eight providers and one order, and the order's placement.
fn market() -> (Machine, Cast, DeploymentId) {
    let cast = Cast::new();
    let setting = Setting { max_bids_per_order: 64, ..SETTING };
    let mut machine = Machine::new(&machine::genesis(&setting, &cast));
    let rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
    let mut generator = Generator::new(rng, &cast, roots(&cast));
    let owner = cast.tenants[0].address;
    let create = dpb::MsgCreateDeployment {
        owner: owner.to_string(),
        dseq: 1,
        groups: vec![simple_group("web", STOA, 100 * ONE)],
        version: vec![1; 32],
        manifest_root: vec![2; 32],
        deposit: Some(stoa_proto::cosmos::base::v1beta1::Coin {
            denom: STOA.into(),
            amount: "1000000".into(),
        }),
        bid_window: 30,
        ..Default::default()
    };
    let mut open = machine.open(1, GENESIS);
    for actor in &cast.providers {
        let msg = generator.create_provider_msg(actor.address);
        open.execute(&Op::CreateProvider(msg)).unwrap();
    }
    open.execute(&Op::CreateDeployment(create)).unwrap();
    let changes = open.finish();
    machine.commit(1, GENESIS, &changes);
    (machine, cast, DeploymentId { owner, dseq: 1 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// "the lowest rate wins, among equals the first placed".
    #[test]
    fn the_lowest_rate_wins_among_equals_the_first_placed(
        bids in prop::collection::vec((0..9usize, 40..60u128, any::<bool>()), 1..25),
    ) {
        let (mut machine, cast, deployment) = market();
        let order = deployment.group(1).order(1);
        let mut taken: Vec<(usize, u128)> = Vec::new();
        let mut height = 1;
        let mut open = machine.open(2, GENESIS + 1);
        for (provider, rate, next_block) in bids {
            let msg = mpb::MsgCreateBid {
                provider: cast.providers[provider].address.to_string(),
                order: Some(order.into()),
                rate: dec_coin(STOA, rate * ONE),
                gpus: Vec::new(),
            };
            if open.execute(&Op::CreateBid(msg)).is_ok() {
                taken.retain(|(other, _)| *other != provider);
                taken.push((provider, rate));
            }
            if next_block {
                height += 1;
                let changes = open.finish();
                machine.commit(height, GENESIS + 1, &changes);
                open = machine.open(height + 1, GENESIS + 1);
            }
        }
        height += 1;
        let changes = open.finish();
        machine.commit(height, GENESIS + 1, &changes);
        let changes = machine.open(height + 1, GENESIS + 30).finish();
        machine.commit(height + 1, GENESIS + 30, &changes);
        // `min_by_key` answers the first of equal ones.
        let winner = taken.iter().min_by_key(|(_, rate)| *rate);
        let answer: mpb::QueryLeasesResponse = machine
            .query("/stoa.market.v1.Query/Leases", &mpb::QueryLeasesRequest::default())
            .unwrap();
        let won = answer.leases.first().map(|lease| {
            let provider = &lease.id.as_ref().unwrap().provider;
            (provider.clone(), lease.rate.as_ref().unwrap().amount.clone())
        });
        let wanted = winner.map(|(provider, rate)| {
            (cast.providers[*provider].address.to_string(), (rate * ONE).to_string())
        });
        prop_assert_eq!(won, wanted);
        prop_assert!(machine.broken().is_empty());
    }
}
