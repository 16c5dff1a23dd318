//! One machine: its engine, and whether it answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use stoa_tunnel::hop::Hop;
use stoa_tunnel::overlay::OverlayTable;

use super::memory::Memory;
use super::planes::OverlaySaid;
use crate::hosts::{HostOrder, LOCAL};
use crate::reconcile::ImageEngine;
use crate::runtime::{Backend, DockerBackend, Inventory, Observation, Place, RuntimeError};

/// Between two greetings.
pub(super) const GREET_EVERY: Duration = Duration::from_secs(2);
/// Greetings in a row that must fail before a machine counts as silent.
const FAILURES_BORNE: u32 = 2;

/// What a machine of a fleet does.
#[async_trait]
pub trait HostEngine: Backend + ImageEngine {
    /// Whether it answers at all. Cheap.
    async fn greet(&self) -> Result<(), RuntimeError> {
        Ok(())
    }

    /// Hands over what the instances there may dial. The daemon's own machine
    /// has it from the ingress.
    async fn set_overlay(&self, _table: &OverlayTable) -> Result<(), RuntimeError> {
        Ok(())
    }

    /// What it has of that, and how it is.
    async fn overlay_said(&self) -> Result<OverlaySaid, RuntimeError> {
        Ok(OverlaySaid::default())
    }
}

#[async_trait]
impl HostEngine for DockerBackend {}

/// A machine.
pub(super) struct Host {
    pub(super) name: String,
    pub(super) engine: Arc<dyn HostEngine>,
    /// The data plane's way there; `None`: it is this machine.
    pub(super) hop: Option<Hop>,
    pub(super) declared: Option<[Option<u64>; 3]>,
    memory: Option<Memory>,
    state: Mutex<State>,
}

struct State {
    order: HostOrder,
    answering: bool,
    since: Instant,
    failures: u32,
    why: String,
    inventory: Option<Inventory>,
    last: Option<Observation>,
    /// What a former run saw, until it is seen anew.
    remembered: Option<Observation>,
    /// What is on disk of it; none: not known.
    written: Option<Vec<u8>>,
    /// It was looked at since that was written.
    fresh: bool,
}

impl Host {
    pub(super) fn new(
        name: &str,
        engine: Arc<dyn HostEngine>,
        hop: Option<Hop>,
        declared: Option<[Option<u64>; 3]>,
        order: HostOrder,
        memory: Option<Memory>,
    ) -> Self {
        let state = State {
            order,
            // Another machine has to say so first.
            answering: name == LOCAL,
            since: Instant::now(),
            failures: 0,
            why: "it was not reached yet".into(),
            inventory: None,
            last: None,
            remembered: memory.as_ref().and_then(Memory::read),
            written: None,
            fresh: false,
        };
        Self { name: name.into(), engine, hop, declared, memory, state: Mutex::new(state) }
    }

    pub(super) fn is_local(&self) -> bool {
        self.name == LOCAL
    }

    pub(super) fn order(&self) -> HostOrder {
        self.state().order
    }

    pub(super) fn set_order(&self, order: HostOrder) {
        self.state().order = order;
    }

    pub(super) fn is_dead(&self) -> bool {
        self.order() == HostOrder::Dead
    }

    pub(super) fn answers(&self) -> bool {
        self.state().answering
    }

    /// Why it does not, and for how many seconds already.
    pub(super) fn silence(&self) -> Option<(String, u64)> {
        let state = self.state();
        (!state.answering).then(|| (state.why.clone(), state.since.elapsed().as_secs()))
    }

    /// For a call that cannot be made.
    pub(super) fn unknown(&self, during: &str) -> RuntimeError {
        let cause = match self.silence() {
            Some((why, _)) => format!("the machine {} does not answer: {why}", self.name),
            None => format!("the machine {} cannot be asked", self.name),
        };
        RuntimeError::Unknown { during: during.into(), cause }
    }

    /// Notes a greeting; true where it changed whether the machine answers.
    pub(super) fn note(&self, greeted: Result<(), RuntimeError>) -> bool {
        let mut state = self.state();
        let before = state.answering;
        match greeted {
            Ok(()) => {
                state.failures = 0;
                state.answering = true;
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                state.why = error.to_string();
                state.answering &= state.failures < FAILURES_BORNE;
            }
        }
        let changed = before != state.answering;
        if changed {
            state.since = Instant::now();
        }
        changed
    }

    /// Everything there, now.
    pub(super) async fn look(&self) -> Result<Observation, RuntimeError> {
        if !self.answers() {
            return Err(self.unknown("observing it"));
        }
        let seen = self.engine.observe().await?;
        let mut state = self.state();
        (state.last, state.fresh) = (Some(seen.clone()), true);
        Ok(seen)
    }

    /// What was there when this run last looked; `None` where it has not.
    pub(super) fn last(&self) -> Option<Observation> {
        self.state().last.clone()
    }

    /// The same, or what a former run saw: to be believed of a machine that is
    /// silent, and of no other.
    pub(super) fn last_known(&self) -> Option<Observation> {
        let state = self.state();
        state.last.clone().or_else(|| state.remembered.clone())
    }

    /// Writes down what was seen last, where that is news.
    pub(super) fn remember(&self) {
        let Some(memory) = &self.memory else { return };
        let (seen, written) = {
            let mut state = self.state();
            if !std::mem::take(&mut state.fresh) {
                return;
            }
            (state.last.clone().unwrap_or_default(), state.written.clone())
        };
        let news = memory.bytes(seen).and_then(|bytes| match written.as_ref() == Some(&bytes) {
            true => Ok(None),
            false => memory.write(&bytes).map(|()| Some(bytes)),
        });
        match news {
            Ok(None) => {}
            Ok(written) => self.state().written = written,
            // The next look is another try.
            Err(error) => {
                tracing::warn!(host = %self.name, "writing down what is there: {error}");
            }
        }
    }

    /// What it has; as it was last told where it does not answer.
    pub(super) async fn inventory(&self) -> Result<Inventory, RuntimeError> {
        if !self.answers() {
            return self.known_inventory().ok_or_else(|| self.unknown("measuring it"));
        }
        let inventory = self.engine.inventory().await?;
        self.state().inventory = Some(inventory.clone());
        Ok(inventory)
    }

    pub(super) fn known_inventory(&self) -> Option<Inventory> {
        self.state().inventory.clone()
    }

    /// What instances there carry.
    pub(super) fn place(&self, unknown: bool) -> Place {
        let host = (!self.is_local()).then(|| self.name.clone());
        Place { host, hop: self.hop.clone(), unknown }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
