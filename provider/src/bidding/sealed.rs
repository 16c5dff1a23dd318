//! Sealed orders: what is committed to in the window is revealed after it.

use rand::RngCore;
use sha2::{Digest, Sha256};
use stoa_client::ids::TextId;
use stoa_client::money::Dec;
use stoa_client::proto::types::v1::{BidId, OrderId};

use super::intents::{Intents, Seal};
use crate::chain::View;

/// The market takes 16 to 64.
const SALT_BYTES: usize = 32;

impl Seal {
    /// A new one, not to be guessed.
    pub fn draw() -> Self {
        let mut salt = [0; SALT_BYTES];
        rand::rngs::OsRng.fill_bytes(&mut salt);
        Self { salt: hex::encode(salt) }
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        hex::decode(&self.salt).ok()
    }

    /// SHA-256("stoa/bid/1" ‖ order id ‖ provider ‖ rate ‖ salt): the first
    /// three as text, each preceded by its length in one byte; the rate as
    /// the integer of 10^-18 units (market/v1/tx.proto, MsgCommitBid).
    pub fn commitment(&self, bid: &BidId, rate: Dec) -> Option<Vec<u8>> {
        let order = stoa_client::ids::order_of(bid).text();
        let mut hasher = Sha256::new();
        hasher.update(b"stoa/bid/1");
        for text in [order, bid.provider.clone(), rate.to_proto()] {
            hasher.update([u8::try_from(text.len()).ok()?]);
            hasher.update(text);
        }
        hasher.update(self.bytes()?);
        Some(hasher.finalize().to_vec())
    }
}

/// A commitment to be opened now.
#[derive(Debug, Clone, PartialEq)]
pub struct Reveal {
    pub order: OrderId,
    pub rate: Dec,
    pub salt: Vec<u8>,
}

/// Own commitments whose order is in its reveal window, by the chain's clock.
pub fn plan_reveals(view: &View, intents: &Intents) -> Vec<Reveal> {
    let in_window = view
        .orders
        .iter()
        .filter(|order| order.sealed && (order.closes_at..order.match_at).contains(&view.time));
    let reveals = in_window.filter_map(|order| {
        let id = order.id.as_ref()?;
        let own = view.bids.get(&id.text()).filter(|bid| !bid.revealed)?;
        let intent = intents.get(&id.text());
        let opened = intent.and_then(|intent| {
            let salt = intent.seal.as_ref()?.bytes()?;
            Some(Reveal { order: id.clone(), rate: intent.rate.parse().ok()?, salt })
        });
        if opened.is_none() && !own.commitment.is_empty() {
            tracing::error!(order = %id.text(), "a sealed bid whose salt is lost: its deposit too");
        }
        opened
    });
    reveals.collect()
}

#[cfg(test)]
mod tests {
    use stoa_client::ids::bid_on;

    use super::*;
    use crate::bidding::{Intent, IntentState, Resources};
    use crate::tests_support::{bid, me, order, view};

    #[test]
    fn the_commitment_is_the_protocols() {
        let seal = Seal { salt: "00".repeat(16) };
        let id = bid_on(order(7).id.as_ref().unwrap(), &me());
        let mut text = b"stoa/bid/1".to_vec();
        let parts = [format!("{}/7/1/1", id.owner), me(), "1500000000000000000".into()];
        for part in parts {
            text.push(u8::try_from(part.len()).unwrap());
            text.extend(part.into_bytes());
        }
        text.extend([0; 16]);
        let expected = Sha256::digest(&text).to_vec();
        assert_eq!(seal.commitment(&id, "1.5".parse().unwrap()).unwrap(), expected);
        assert_ne!(Seal::draw(), Seal::draw());
    }

    #[test]
    fn a_commitment_is_revealed_in_the_window_after_the_orders_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut intents = Intents::open(&dir.path().join("bids.json")).unwrap();
        let mut view = view();
        let mut sealed = order(1);
        sealed.sealed = true;
        sealed.match_at = sealed.closes_at + 15;
        let (name, mut own) = bid(&sealed);
        own.commitment = vec![1; 32];
        let intent = Intent {
            rate: "1.5".into(),
            closes_at: sealed.match_at,
            resources: Resources::default(),
            parts: vec![],
            deposit: 1,
            state: IntentState::Placed,
            seal: Some(Seal { salt: "ab".repeat(32) }),
        };
        intents.intend([(name.clone(), intent)]).unwrap();
        view.bids.insert(name.clone(), own);
        view.orders = vec![sealed.clone()];
        assert_eq!(plan_reveals(&view, &intents), [], "the window has not begun");
        view.time = sealed.closes_at;
        let reveals = plan_reveals(&view, &intents);
        assert_eq!(reveals[0].salt, vec![0xab; 32]);
        assert_eq!(reveals[0].rate.to_string(), "1.5");
        view.bids.get_mut(&name).unwrap().revealed = true;
        assert_eq!(plan_reveals(&view, &intents), []);
        view.bids.get_mut(&name).unwrap().revealed = false;
        view.time = sealed.match_at;
        assert_eq!(plan_reveals(&view, &intents), [], "it is over");
    }
}
