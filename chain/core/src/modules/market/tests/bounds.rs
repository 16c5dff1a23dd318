//! How much work a message, a block's end and a query may make of what others have put there.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::ctx::Block;
use crate::gas::Meter;
use crate::modules::provider;
use crate::store::{Entries, MemoryStore, Store};
use stoa_proto::provider::v1 as provider_pb;

/// A store that counts the entries which iterations pass.
#[derive(Default)]
struct Counting {
    memory: MemoryStore,
    passed: AtomicUsize,
}

impl Store for Counting {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.memory.get(key)
    }

    fn range<'a>(&'a self, from: &[u8], to: &[u8]) -> Entries<'a> {
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
