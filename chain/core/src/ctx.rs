//! What a message's handler works with: state, the block's time, gas, events.

use std::cell::RefCell;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::event::Event;
use crate::gas::{self, Meter};
use crate::state::State;
use crate::store::{Changes, Entries, Store};

/// The block in which something happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The chain's id, part of what is signed.
    pub chain_id: String,
    /// Height, from 1; 0 at genesis.
    pub height: u64,
    /// The header's time floored to Unix seconds: the only clock.
    pub now: u64,
}

/// Place of a message in its block; orders bids in time.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Place {
    /// Block.
    pub height: u64,
    /// Transaction's index in the block.
    pub tx: u32,
    /// Message's index in the transaction.
    pub msg: u32,
}

/// Metered access to the state for one block's work.
pub struct Ctx<'s> {
    state: State<'s>,
    block: Block,
    place: Place,
    meter: RefCell<Meter>,
    events: Vec<Event>,
    queue_start: Vec<u8>,
}

impl<'s> Ctx<'s> {
    /// Work on a committed store, unmetered until a transaction begins.
    pub fn new(store: &'s dyn Store, block: Block) -> Self {
        Self::with_changes(store, block, Changes::new())
    }

    /// Work that goes on from changes made on the same store.
    pub fn with_changes(store: &'s dyn Store, block: Block, changes: Changes) -> Self {
        let place = Place { height: block.height, ..Place::default() };
        let state = State::with_changes(store, changes);
        let meter = RefCell::new(Meter::unlimited());
        Self { state, block, place, meter, events: Vec::new(), queue_start: Vec::new() }
    }

    /// Unix seconds of the block.
    pub fn now(&self) -> u64 {
        self.block.now
    }

    /// Height of the block.
    pub fn height(&self) -> u64 {
        self.block.height
    }

    /// The block.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Place of the message being executed.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Says which message is executed next.
    pub fn set_place(&mut self, tx: u32, msg: u32) {
        self.place = Place { height: self.block.height, tx, msg };
    }

    /// Starts counting gas anew.
    pub fn set_meter(&mut self, meter: Meter) {
        self.meter = RefCell::new(meter);
    }

    /// The count so far.
    pub fn meter(&self) -> Meter {
        self.meter.borrow().clone()
    }

    /// Counts work that reads and writes do not show.
    pub fn charge(&self, amount: u64) {
        self.meter.borrow_mut().charge(amount);
    }

    /// The record under `key`.
    pub fn get<T: BorshDeserialize>(&self, key: &[u8]) -> Option<T> {
        let bytes = self.state.get_raw(key);
        self.charge_read(bytes.as_ref().map_or(0, Vec::len));
        bytes.map(|bytes| crate::state::decode(key, &bytes))
    }

    /// Whether there is something under `key`.
    pub fn has(&self, key: &[u8]) -> bool {
        self.charge_read(0);
        self.state.get_raw(key).is_some()
    }

    /// Writes the record under `key`.
    pub fn put<T: BorshSerialize>(&mut self, key: Vec<u8>, record: &T) {
        self.put_raw(key, crate::state::encode(record));
    }

    /// Writes bytes under `key`.
    pub fn put_raw(&mut self, key: Vec<u8>, value: Vec<u8>) {
        let mut meter = self.meter.borrow_mut();
        meter.charge(gas::WRITE);
        meter.charge_each(gas::WRITE_BYTE, key.len().saturating_add(value.len()));
        drop(meter);
        self.state.put_raw(key, value);
    }

    /// Removes what is under `key`.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.charge(gas::REMOVE);
        self.state.remove(key);
    }

    /// Ascending entries with `from <= key < to`; each that is passed costs.
    ///
    /// Ends where the gas is used up: the message fails for it afterwards, and
    /// must not make anybody look on through what others have put there.
    pub fn range(&self, from: &[u8], to: &[u8]) -> Entries<'_> {
        let paid = self.state.range(from, to).take_while(|_| !self.meter.borrow().is_exhausted());
        Box::new(paid.inspect(|(_, value)| {
            let mut meter = self.meter.borrow_mut();
            meter.charge(gas::ENTRY);
            meter.charge_each(gas::READ_BYTE, value.len());
        }))
    }

    /// Ascending entries whose keys start with `prefix`.
    pub fn prefix(&self, prefix: &[u8]) -> Entries<'_> {
        self.range(prefix, &crate::state::after_prefix(prefix))
    }

    /// A key before which nothing stands in the queue of deadlines. Kept by
    /// [`crate::modules::deadlines`], so that a block's end does not pass again
    /// and again what it has worked already.
    pub(crate) fn queue_start(&self) -> &[u8] {
        &self.queue_start
    }

    /// See [`Self::queue_start`].
    pub(crate) fn set_queue_start(&mut self, key: Vec<u8>) {
        self.queue_start = key;
    }

    /// Tells those who watch.
    pub fn emit(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Takes the events emitted so far.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// How many events wait to be taken.
    pub fn events_so_far(&self) -> usize {
        self.events.len()
    }

    /// Marks the events from the given one on as those of a message, by an
    /// attribute of this name that holds its index.
    pub fn mark_events(&mut self, first: usize, name: &str, index: u32) {
        for event in self.events.iter_mut().skip(first) {
            event.attributes.push((name.to_owned(), index.to_string()));
        }
    }

    /// Runs `work` so that an error leaves neither changes nor events.
    pub fn attempt<T, E>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let events = self.events.len();
        self.state.checkpoint();
        let result = work(self);
        if result.is_ok() {
            self.state.keep();
        } else {
            self.state.discard();
            self.events.truncate(events);
        }
        result
    }

    /// The final value of each changed key.
    pub fn into_changes(self) -> Changes {
        self.state.into_changes()
    }

    fn charge_read(&self, bytes: usize) {
        let mut meter = self.meter.borrow_mut();
        meter.charge(gas::READ);
        meter.charge_each(gas::READ_BYTE, bytes);
    }
}
