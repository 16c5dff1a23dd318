//! How much work a message, a block's end and a query may make of what others have put there.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::index;
use super::*;
use crate::ctx::Block;
use crate::gas::Meter;
use crate::modules::auth::VerifyEach;
use crate::modules::deployment::{AddGroups, CloseGroup, PauseGroup};
use crate::modules::provider;
use crate::query::Router;
use crate::store::{Entries, MemoryStore, Store};
use cosmos_sdk_proto::cosmos::base::query::v1beta1::PageRequest;
use prost::Message as _;
use stoa_proto::provider::v1 as provider_pb;

/// A store that counts values read, iterations begun, and the entries that these pass.
#[derive(Default)]
struct Counting {
    memory: MemoryStore,
    read: AtomicUsize,
    begun: AtomicUsize,
    passed: AtomicUsize,
}

impl Counting {
    /// What was counted, in the order of the fields.
    fn counts(&self) -> [usize; 3] {
        [&self.read, &self.begun, &self.passed].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Store for Counting {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.memory.get(key)
    }

    fn range<'a>(&'a self, from: &[u8], to: &[u8]) -> Entries<'a> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let count = |_: &_| {
            self.passed.fetch_add(1, Ordering::Relaxed);
        };
        Box::new(self.memory.range(from, to).inspect(count))
    }
}

#[test]
fn a_message_whose_gas_is_used_up_looks_no_further() {
    let mut ctx = market();
    for dseq in 1..=100 {
        let order = post(&mut ctx, dseq);
        place(&mut ctx, order, 1, 100).unwrap();
    }
    let limit = 20_000;
    ctx.set_meter(Meter::with_limit(limit));
    let attributes = vec![types_pb::Attribute { key: "region".into(), value: "crete".into() }];
    let msg = provider_pb::MsgUpdateProvider {
        owner: super::provider(1).to_string(),
        host_uri: "https://provider.example:8443".to_owned(),
        attributes,
        ..Default::default()
    };
    let _ = send::<provider::Update>(&mut ctx, msg);
    let used = ctx.meter().used();
    assert!(ctx.meter().is_exhausted());
    assert!(used < 2 * limit, "{used} gas used of {limit}");
}

#[test]
fn an_iteration_pays_for_the_bytes_that_it_reads() {
    let mut ctx = market();
    post_with(&mut ctx, deployment(1, vec![group("a"), group(&"b".repeat(60))]));
    let cost = |name: &str| {
        let found = crate::modules::deployment::groups(&ctx, id(1));
        let (_, group) = found.iter().find(|(_, group)| group.spec.name == name).unwrap();
        crate::state::encode(group).len() as u64 * crate::gas::READ_BYTE
    };
    let bytes = cost("a") + cost(&"b".repeat(60));
    ctx.set_meter(Meter::unlimited());
    crate::modules::deployment::groups(&ctx, id(1));
    assert_eq!(ctx.meter().used(), bytes + 2 * crate::gas::ENTRY);
}

#[test]
fn a_blocks_end_passes_each_deadline_once() {
    let orders = 1_000;
    let mut ctx = market();
    for dseq in 1..=orders {
        let one = deployment(dseq, vec![group("web")]);
        let deposit = Some(coin(10_000_000).into());
        post_with(&mut ctx, deployment_pb::MsgCreateDeployment { deposit, ..one });
    }
    let block = Block { now: ctx.now() + 20, height: 2, ..ctx.block().clone() };
    let mut store = Counting::default();
    store.memory.apply(&ctx.into_changes());
    let mut ctx = Ctx::new(&store, block);
    super::super::end_block(&mut ctx);
    assert_eq!(order_of(&ctx, first_order(orders)).state, OrderState::Unmatched);
    let passed = store.passed.load(Ordering::Relaxed) as u64;
    assert!(passed < 10 * orders, "{passed} entries passed for {orders} orders");
}

#[test]
fn a_block_without_work_looks_at_as_much_in_a_book_of_100_000_bids_as_in_an_empty_one() {
    let orders = 20_000;
    let mut full = market();
    for dseq in 1..=orders {
        let one = deployment(dseq, vec![group("web")]);
        let deposit = Some(coin(10_000_000).into());
        let order = post_with(
            &mut full,
            deployment_pb::MsgCreateDeployment { deposit, bid_window: 3_600, ..one },
        );
        (1..=5)
            .for_each(|number| place(&mut full, order, number, 100 - u128::from(number)).unwrap());
    }
    let open = super::super::open_orders(&full);
    let bids: u64 = open.map(|order| index::bid_count(&full, order)).map(u64::from).sum();
    assert_eq!(bids, 5 * orders);
    assert_eq!(idle_block(full), idle_block(market()));
}

/// What the second of two blocks without transactions looks at, and how many keys it changes.
fn idle_block(ctx: Ctx<'static>) -> ([usize; 3], usize) {
    let mut block = ctx.block().clone();
    let mut memory = MemoryStore::default();
    memory.apply(&ctx.into_changes());
    let mut next = |store: &dyn Store| {
        (block.height, block.now) = (block.height + 1, block.now + 1);
        crate::app::finalize_block::<Vec<u8>>(store, block.clone().into(), &[], &VerifyEach).changes
    };
    memory.apply(&next(&memory));
    let store = Counting { memory, ..Counting::default() };
    let changes = next(&store).len();
    (store.counts(), changes)
}

/// Adds a group and closes it again.
fn add_and_close(ctx: &mut Ctx<'_>, gseq: u32) {
    let owner = tenant().to_string();
    let added = deployment_pb::MsgAddGroups {
        owner: owner.clone(),
        dseq: 1,
        groups: vec![group("passing")],
        version: vec![u8::try_from(gseq).unwrap(); 32],
        manifest_root: vec![8; 32],
    };
    send::<AddGroups>(ctx, added).unwrap();
    send::<CloseGroup>(ctx, deployment_pb::MsgCloseGroup { owner, dseq: 1, gseq }).unwrap();
}

#[test]
fn groups_that_a_deployment_once_had_cost_nobody_who_works_on_it() {
    let gas_of_pausing = |closed: u32| {
        let mut ctx = market();
        post(&mut ctx, 1);
        (2..2 + closed).for_each(|gseq| add_and_close(&mut ctx, gseq));
        ctx.set_meter(Meter::unlimited());
        let owner = tenant().to_string();
        let msg = deployment_pb::MsgPauseGroup { owner, dseq: 1, gseq: 1 };
        send::<PauseGroup>(&mut ctx, msg).unwrap();
        let added = deployment_pb::MsgAddGroups {
            owner: tenant().to_string(),
            dseq: 1,
            groups: vec![group("last")],
            version: vec![99; 32],
            manifest_root: vec![8; 32],
        };
        send::<AddGroups>(&mut ctx, added).unwrap();
        let gas = ctx.meter().used();
        later(ctx, 1);
        gas
    };
    assert_eq!(gas_of_pausing(0), gas_of_pausing(50));
}

#[test]
fn a_deployments_answer_shows_all_groups_and_of_many_closed_ones_the_newest() {
    let mut ctx = market();
    post(&mut ctx, 1);
    (2..=150).for_each(|gseq| add_and_close(&mut ctx, gseq));
    let request = deployment_pb::QueryDeploymentRequest { id: Some(id(1).into()) };
    let answer: deployment_pb::QueryDeploymentResponse =
        ask(ctx, "/stoa.deployment.v1.Query/Deployment", &request);
    let numbers: Vec<u32> =
        answer.groups.iter().map(|group| group.id.as_ref().unwrap().gseq).collect();
    let wanted: Vec<u32> = std::iter::once(1).chain(51..=150).collect();
    assert_eq!(numbers, wanted);
}

/// The answer to a query on the state as it is.
fn ask<R: prost::Message + Default>(ctx: Ctx<'_>, path: &str, request: &impl prost::Message) -> R {
    let block = ctx.block().clone();
    let mut store = MemoryStore::default();
    store.apply(&ctx.into_changes());
    let answer = Router::new().answer(&store, block, path, &request.encode_to_vec()).unwrap();
    R::decode(answer.as_slice()).unwrap()
}

#[test]
fn a_page_ends_after_so_many_bytes_and_goes_on_from_there() {
    let mut ctx = market();
    let orders = 90;
    let mut large = group("web");
    let attribute =
        |n: u32| types_pb::Attribute { key: format!("{n:0128}"), value: "v".repeat(128) };
    large.requirements = Some(types_pb::Requirements {
        attributes: (0..64).map(attribute).collect(),
        ..Default::default()
    });
    for dseq in 1..=orders {
        post_with(&mut ctx, deployment(dseq, vec![large.clone()]));
    }
    let block = ctx.block().clone();
    let mut store = MemoryStore::default();
    store.apply(&ctx.into_changes());
    let (router, mut key, mut seen, mut pages) = (Router::new(), Vec::new(), 0, 0);
    while pages == 0 || !key.is_empty() {
        let pagination = Some(PageRequest { key, limit: 1_000, ..Default::default() });
        let request = pb::QueryOrdersRequest { pagination, ..Default::default() }.encode_to_vec();
        let path = "/stoa.market.v1.Query/Orders";
        let answer = router.answer(&store, block.clone(), path, &request).unwrap();
        assert!(answer.len() < crate::page::MAX_BYTES + 100_000, "{} bytes", answer.len());
        let answer = pb::QueryOrdersResponse::decode(answer.as_slice()).unwrap();
        seen += answer.orders.len() as u64;
        pages += 1;
        key = answer.pagination.unwrap().next_key;
    }
    assert_eq!((seen, pages), (orders, 2));
}
