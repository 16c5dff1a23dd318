//! One blob in one room: what is asked of whom, and who has what.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use blake3::Hash;
use tokio::sync::watch;

use crate::bits::Bits;
use crate::pick::{lowest, Counts};
use crate::store::Holding;

/// Where its pieces go.
#[derive(Debug)]
pub(super) enum Content {
    /// Its size is not proven yet; it is at most so many bytes.
    Unsized(u64),
    Sized(Sized),
}

/// What there is to know once the size is.
#[derive(Debug)]
pub(super) struct Sized {
    pub(super) holding: Arc<Holding>,
    /// How many peers have each piece.
    pub(super) has: Counts,
    /// To how many peers, who have not got it yet, each piece is shown.
    pub(super) shown: Counts,
    /// Pieces that somebody is asked for.
    pub(super) asked: Bits,
    /// Pieces that were here and cannot be read any more.
    pub(super) damaged: Bits,
}

impl Content {
    /// Whether it may have so many bytes.
    pub(super) fn may_have(&self, size: u64) -> bool {
        match self {
            Self::Unsized(most) => size <= *most,
            Self::Sized(sized) => size == sized.holding.shape().size(),
        }
    }
}

/// An ask that has no answer yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) session: u64,
    pub(super) at: Instant,
    /// After so long somebody else is asked, too.
    pub(super) patience: Duration,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Blob {
    pub(super) root: Hash,
    pub(super) content: Content,
    /// Fetched here; else only served.
    pub(super) wanted: bool,
    pub(super) asks: HashMap<u32, Vec<Asked>>,
    /// Bytes that came from each peer.
    pub(super) from: BTreeMap<String, u64>,
    pub(super) done: watch::Sender<Option<Arc<Holding>>>,
}

/// Asked of so many at a time, at most.
const ASKED_TWICE: usize = 2;

impl Blob {
    pub(super) fn new(root: Hash, content: Content, wanted: bool) -> Self {
        let done = watch::Sender::new(None);
        let (asks, from) = Default::default();
        let blob = Self { root, content, wanted, asks, from, done };
        blob.tell();
        blob
    }

    pub(super) fn sized(holding: Arc<Holding>) -> Content {
        let pieces = holding.shape().pieces();
        let (has, shown) = (Counts::new(pieces), Counts::new(pieces));
        let (asked, damaged) = (Bits::none(pieces), Bits::none(pieces));
        Content::Sized(Sized { holding, has, shown, asked, damaged })
    }

    pub(super) fn as_sized(&self) -> Option<&Sized> {
        match &self.content {
            Content::Sized(sized) => Some(sized),
            Content::Unsized(_) => None,
        }
    }

    pub(super) fn as_sized_mut(&mut self) -> Option<&mut Sized> {
        match &mut self.content {
            Content::Sized(sized) => Some(sized),
            Content::Unsized(_) => None,
        }
    }

    pub(super) fn holding(&self) -> Option<&Arc<Holding>> {
        self.as_sized().map(|sized| &sized.holding)
    }

    /// Whether a piece is here to be sent.
    pub(super) fn serves(&self, piece: u32) -> bool {
        self.as_sized().is_some_and(|sized| sized.holding.has(piece) && !sized.damaged.get(piece))
    }

    /// Whether pieces are to be asked for.
    pub(super) fn is_missing(&self) -> bool {
        self.wanted && self.holding().is_none_or(|holding| !holding.with_have(Bits::is_full))
    }

    /// Tells who waits where it is whole and durable.
    pub(super) fn tell(&self) {
        if let Some(holding) = self.holding().filter(|holding| holding.is_finished()) {
            self.done.send_replace(Some(Arc::clone(holding)));
        }
    }

    /// The rarest missing piece that a peer has and nobody is asked for.
    pub(super) fn rarest(&self, theirs: &Bits) -> Option<u32> {
        let sized = self.as_sized()?;
        sized.holding.with_have(|have| {
            let candidates = |at: usize| theirs.word(at) & !have.word(at) & !sized.asked.word(at);
            let score = |piece| sized.has.get(piece);
            lowest(theirs.words(), &mut rand::thread_rng(), candidates, score)
        })
    }

    /// A piece that a peer has and that another one is late with.
    pub(super) fn overdue(&self, theirs: &Bits, session: u64) -> Option<u32> {
        let late = |asked: &Asked| asked.at.elapsed() > asked.patience;
        let fits = |piece: &u32, asked: &Vec<Asked>| {
            theirs.get(*piece)
                && asked.len() < ASKED_TWICE
                && asked.iter().all(|asked| asked.session != session && late(asked))
        };
        let mut late = self.asks.iter().filter(|(piece, asked)| fits(piece, asked));
        late.next().map(|(piece, _)| *piece)
    }

    /// What is best shown to a peer next: of what it has not and was not
    /// shown, what the fewest have or were shown.
    pub(super) fn next_to_show(&self, theirs: &Bits, was_shown: &Bits) -> Option<u32> {
        let sized = self.as_sized()?;
        sized.holding.with_have(|have| {
            let here = |at: usize| have.word(at) & !sized.damaged.word(at);
            let candidates = |at: usize| here(at) & !theirs.word(at) & !was_shown.word(at);
            let score = |piece| sized.has.get(piece) + sized.shown.get(piece);
            lowest(have.words(), &mut rand::thread_rng(), candidates, score)
        })
    }

    pub(super) fn note_ask(&mut self, piece: u32, asked: Asked) {
        self.asks.entry(piece).or_default().push(asked);
        if let Some(sized) = self.as_sized_mut() {
            sized.asked.set(piece);
        }
    }

    /// An ask that is answered, cancelled or lost.
    pub(super) fn drop_ask(&mut self, piece: u32, session: u64) {
        let Some(asked) = self.asks.get_mut(&piece) else { return };
        asked.retain(|asked| asked.session != session);
        if asked.is_empty() {
            self.asks.remove(&piece);
            if let Some(sized) = self.as_sized_mut() {
                sized.asked.clear(piece);
            }
        }
    }
}
