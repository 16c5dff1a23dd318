//! One connection, as its room knows it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use blake3::Hash;
use tokio::sync::Notify;

use crate::bits::Bits;
use crate::pick::Counts;
use crate::wire::Message;
use crate::{Fault, Limits, Rights};

/// Asked for at the beginning, and never less.
const FEWEST_AHEAD: usize = 2;
/// Cancelled asks whose answers may still come.
const CANCELLED: usize = 256;

/// What this side tells of a blob.
#[derive(Debug, Default)]
pub(super) enum Announce {
    #[default]
    Nothing,
    /// All that comes; told up to a cursor.
    All(usize),
    /// Some at a time, so that each peer gets something else first.
    Shown(Bits),
}

/// One blob between this side and the peer.
#[derive(Debug, Default)]
pub(super) struct View {
    /// Its size as the peer says, and what the peer has of it.
    pub(super) theirs: Option<(u64, Bits)>,
    /// The peer looks for it.
    pub(super) wants: bool,
    pub(super) announce: Announce,
    /// Shown and not got yet.
    pub(super) open: u32,
    /// Pieces that were sent.
    pub(super) served: u64,
}

impl View {
    /// Pieces that were shown to the peer and that it has not got.
    pub(super) fn open_pieces(&self) -> impl Iterator<Item = u32> + '_ {
        let shown = match &self.announce {
            Announce::Shown(shown) => Some(shown),
            _ => None,
        };
        let theirs = self.theirs.as_ref().map(|(_, theirs)| theirs);
        let all = shown.into_iter().flat_map(|shown| shown.iter());
        all.filter(move |piece| !theirs.is_some_and(|theirs| theirs.get(*piece)))
    }
}

/// See the module.
pub(super) struct Session {
    pub(super) peer: String,
    /// This side opened it.
    pub(super) dialled: bool,
    pub(super) rights: Rights,
    /// Its writer, to be woken.
    pub(super) notify: Arc<Notify>,
    /// It is to end.
    pub(super) closing: Option<Fault>,
    pub(super) control: VecDeque<Message>,
    /// What the peer has asked for.
    pub(super) uploads: VecDeque<(Hash, u32)>,
    pub(super) views: HashMap<Hash, View>,
    /// What the peer was asked for.
    pub(super) asked: HashMap<(Hash, u32), Instant>,
    pub(super) cancelled: VecDeque<(Hash, u32)>,
    /// How many may be asked at a time now.
    pub(super) ahead: usize,
    /// How long an answer takes, smoothed.
    pub(super) answer: Duration,
    /// The last piece, or the first ask after none.
    pub(super) progress: Instant,
    /// For how long pieces that others brought were waited for in vain.
    pub(super) waited: Duration,
    /// Something was to do on either side.
    pub(super) busy: Instant,
    pub(super) said: Instant,
    /// For messages that move nothing on.
    pub(super) tokens: Tokens,
}

impl Session {
    pub(super) fn new(peer: &str, dialled: bool, rights: Rights, limits: &Limits) -> Self {
        let now = Instant::now();
        Self {
            peer: peer.into(),
            dialled,
            rights,
            notify: Arc::default(),
            closing: None,
            control: VecDeque::new(),
            uploads: VecDeque::new(),
            views: HashMap::new(),
            asked: HashMap::new(),
            cancelled: VecDeque::new(),
            ahead: FEWEST_AHEAD,
            answer: Duration::ZERO,
            progress: now,
            waited: Duration::ZERO,
            busy: now,
            said: now,
            tokens: Tokens::new(limits.messages),
        }
    }

    pub(super) fn close(&mut self, fault: Fault) {
        self.closing.get_or_insert(fault);
        self.notify.notify_one();
    }

    pub(super) fn say(&mut self, message: Message) {
        self.control.push_back(message);
        self.notify.notify_one();
    }

    /// Somebody else was quicker.
    pub(super) fn cancel(&mut self, root: Hash, piece: u32) {
        if self.asked.remove(&(root, piece)).is_some() {
            self.cancelled.push_back((root, piece));
            if self.cancelled.len() > CANCELLED {
                self.cancelled.pop_front();
            }
            self.say(Message::Cancel { root, piece });
            if self.asked.is_empty() {
                self.waited += self.progress.elapsed();
            }
        }
    }

    /// Asks for nothing of a blob any more. The pieces that were asked for.
    pub(super) fn cancel_all(&mut self, root: Hash) -> Vec<u32> {
        let asked: Vec<u32> =
            self.asked.keys().filter(|(of, _)| *of == root).map(|(_, piece)| *piece).collect();
        asked.iter().for_each(|piece| self.cancel(root, *piece));
        asked
    }

    /// Takes back what the peer was told of a blob, where it was told
    /// anything. Its asks go unanswered, which by that word it knows. `shown`
    /// is the blob's count, where that goes on.
    pub(super) fn take_back(&mut self, root: Hash, shown: Option<&mut Counts>) {
        self.uploads.retain(|(of, _)| *of != root);
        let Some(view) = self.views.get_mut(&root) else { return };
        if let Some(shown) = shown {
            view.open_pieces().for_each(|piece| shown.subtract(piece));
        }
        view.open = 0;
        if !matches!(std::mem::take(&mut view.announce), Announce::Nothing) {
            self.say(Message::Lack { root });
        }
    }

    /// For how long it has brought nothing while something was asked of it.
    pub(super) fn stalled(&self) -> Duration {
        match self.asked.is_empty() {
            true => self.waited,
            false => self.waited + self.progress.elapsed(),
        }
    }

    pub(super) fn note_ask(&mut self, root: Hash, piece: u32) {
        let now = Instant::now();
        if self.asked.is_empty() {
            self.progress = now;
        }
        self.asked.insert((root, piece), now);
    }

    /// Whether a piece was asked for. Learns from how long it took.
    pub(super) fn note_answer(&mut self, root: Hash, piece: u32, limits: &Limits) -> bool {
        let was_full = self.asked.len() >= self.ahead;
        let Some(at) = self.asked.remove(&(root, piece)) else {
            let before = self.cancelled.len();
            self.cancelled.retain(|cancelled| *cancelled != (root, piece));
            return self.cancelled.len() < before;
        };
        (self.progress, self.waited) = (Instant::now(), Duration::ZERO);
        let took = at.elapsed();
        self.answer = match self.answer.is_zero() {
            true => took,
            false => (self.answer * 7 + took) / 8,
        };
        if took < limits.answer_within && was_full {
            self.ahead = (self.ahead + 1).min(limits.ahead);
        } else if took > limits.answer_within * 2 {
            self.ahead = (self.ahead - 1).max(FEWEST_AHEAD);
        }
        true
    }

    /// How long an ask may take before somebody else is asked, too.
    pub(super) fn patience(&self, limits: &Limits) -> Duration {
        limits.overdue.max(self.answer * 3)
    }
}

/// Messages that a peer may send now.
pub(super) struct Tokens {
    most: f64,
    left: f64,
    at: Instant,
}

impl Tokens {
    fn new(a_second: u32) -> Self {
        let most = f64::from(a_second);
        Self { most, left: most, at: Instant::now() }
    }

    /// Pays for a message; a fault where there are too many.
    pub(super) fn take(&mut self, cost: usize) -> Result<(), Fault> {
        let now = Instant::now();
        let come = (now - self.at).as_secs_f64() * self.most;
        self.left = (self.left + come).min(self.most);
        self.at = now;
        self.left -= cost as f64;
        match self.left >= 0.0 {
            true => Ok(()),
            false => Err(Fault::Flood),
        }
    }
}
