//! What is here of one blob. Only what is verified.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blake3::Hash;
use tokio::sync::watch;

use super::bytes::{At, Bytes};
use super::files::{mark_tree, Files, BITS_AT};
use crate::bits::Bits;
use crate::shape::{Shape, PIECE};
use crate::verify::{self, HashCheck, VerifyError};

/// At most so many bytes are not synced.
const MOST_UNSYNCED: u64 = 8 << 20;
/// And at most this part of a blob: a death costs less than one in a hundred.
const PART_UNSYNCED: u64 = 512;

/// Why a piece was not taken.
pub type AcceptError = VerifyError;

/// A blob, whole or in part. Its methods that touch content block.
#[derive(Debug)]
pub struct Holding {
    root: Hash,
    shape: Shape,
    data: Bytes,
    tree: Bytes,
    disk: Option<Disk>,
    state: Mutex<State>,
    /// One sync at a time.
    syncing: Mutex<()>,
    /// How many pieces are here.
    gained: watch::Sender<u32>,
}

#[derive(Debug)]
struct Disk {
    files: Files,
    have: File,
}

#[derive(Debug)]
struct State {
    have: Bits,
    /// Pieces in the order in which they came since it was opened.
    log: Vec<u32>,
    unsynced: Vec<u32>,
    /// What `.have` says.
    durable: Bits,
    /// Whole, and under its last name.
    finished: bool,
    /// Removed while somebody held it.
    abandoned: bool,
    tree_whole: bool,
    /// Whether it came from where it was made: nobody else may have it.
    first_hand: bool,
}

impl Holding {
    pub(super) fn part(
        root: Hash,
        shape: Shape,
        data: Bytes,
        tree: Bytes,
        have: Bits,
        tree_whole: bool,
    ) -> Self {
        let gained = watch::Sender::new(have.count());
        let state = State {
            durable: have.clone(),
            have,
            log: vec![],
            unsynced: vec![],
            finished: false,
            abandoned: false,
            tree_whole,
            first_hand: false,
        };
        let (disk, state, syncing) = (None, Mutex::new(state), Mutex::new(()));
        Self { root, shape, data, tree, disk, state, syncing, gained }
    }

    pub(super) fn whole(root: Hash, shape: Shape, data: Bytes, tree: Bytes, have: Bits) -> Self {
        let holding = Self::part(root, shape, data, tree, have, true);
        let mut state = holding.state();
        (state.finished, state.first_hand) = (true, true);
        drop(state);
        holding
    }

    pub(super) fn on_disk(mut self, files: Files, have: File) -> Self {
        self.disk = Some(Disk { files, have });
        self
    }

    /// Bytes that are here, to serve them. None: there are none, or too many.
    pub fn of_bytes(bytes: Vec<u8>) -> Option<Self> {
        let shape = Shape::new(bytes.len() as u64)?;
        let mut tree = vec![0; usize::try_from(shape.outboard_bytes()).ok()?];
        let root = verify::outboard(shape, bytes.as_slice(), tree.as_mut_slice()).ok()?;
        let (data, tree) = (Bytes::memory(bytes), Bytes::memory(tree));
        Some(Self::whole(root, shape, data, tree, Bits::all(shape.pieces())))
    }

    /// Nothing yet of a small blob that is to be in memory alone.
    pub fn in_memory(root: Hash, shape: Shape) -> Option<Self> {
        let empty = |length: u64| usize::try_from(length).ok().map(|length| vec![0; length]);
        let data = Bytes::memory(empty(shape.size())?);
        let tree = Bytes::memory(empty(shape.outboard_bytes())?);
        Some(Self::part(root, shape, data, tree, Bits::none(shape.pieces()), false))
    }

    pub fn root(&self) -> Hash {
        self.root
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Pieces that are here.
    pub fn have(&self) -> Bits {
        self.state().have.clone()
    }

    pub fn has(&self, piece: u32) -> bool {
        self.state().have.get(piece)
    }

    /// Bytes that are here.
    pub fn bytes(&self) -> u64 {
        let state = self.state();
        let full = u64::from(state.have.count()) * PIECE;
        match state.have.get(self.shape.last()) {
            true => full - PIECE + self.shape.piece_bytes(self.shape.last()).unwrap_or(PIECE),
            false => full,
        }
    }

    /// All pieces are here, and durable.
    pub fn is_finished(&self) -> bool {
        self.state().finished
    }

    /// Removed from its store: who holds it may read on.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.state().abandoned
    }

    /// It came from who made it, so that peers are shown different pieces.
    pub fn is_first_hand(&self) -> bool {
        self.state().first_hand
    }

    /// Says so.
    pub fn set_first_hand(&self) {
        self.state().first_hand = true;
    }

    /// Tells how many pieces are here, whenever that changes.
    pub fn watch(&self) -> watch::Receiver<u32> {
        self.gained.subscribe()
    }

    /// Pieces gained since a cursor (at first that of [`Holding::cursor`]),
    /// at most so many, and the cursor behind them.
    pub fn gained_since(&self, cursor: usize, most: usize) -> (Vec<u32>, usize) {
        let state = self.state();
        let rest = state.log.get(cursor..).unwrap_or(&[]);
        let new = &rest[..rest.len().min(most)];
        (new.to_vec(), cursor + new.len())
    }

    /// Pieces that are here, and the cursor behind them.
    pub fn cursor(&self) -> (Bits, usize) {
        let state = self.state();
        (state.have.clone(), state.log.len())
    }

    /// Runs with the pieces that are here, without a copy.
    pub(crate) fn with_have<T>(&self, work: impl FnOnce(&Bits) -> T) -> T {
        work(&self.state().have)
    }

    /// A piece and its proof, verified on its way from the disk.
    pub fn encode(&self, piece: u32) -> Result<Vec<u8>, VerifyError> {
        if !self.has(piece) {
            return Err(VerifyError::NoPiece);
        }
        verify::encode(self.root, self.shape, piece, At(&self.data), At(&self.tree))
    }

    /// Verifies and keeps a piece that came with its proof. Whether it is
    /// new. It is not durable yet: see [`Holding::sync_if_due`].
    pub fn accept(&self, piece: u32, encoded: &[u8]) -> Result<bool, AcceptError> {
        if self.has(piece) {
            return Ok(false);
        }
        verify::decode(self.root, self.shape, piece, encoded, At(&self.data), At(&self.tree))?;
        Ok(self.add(piece))
    }

    /// Takes hashes, before the content; all of them, one after the other,
    /// with one `check`. Then [`Holding::accept_plain`] verifies pieces
    /// without proofs. Of hashes that are wrong none is kept.
    pub fn accept_hashes(&self, check: &mut HashCheck, hashes: &[u8]) -> Result<(), AcceptError> {
        let at = check.at();
        check.push(hashes)?;
        if self.has_tree() {
            return Ok(());
        }
        bao_tree::io::sync::WriteAt::write_all_at(&mut At(&self.tree), at, hashes)?;
        match check.is_whole() {
            true => self.mark_tree(),
            false => Ok(()),
        }
    }

    fn mark_tree(&self) -> Result<(), AcceptError> {
        let _one = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        self.tree.sync()?;
        if let Some(disk) = &self.disk {
            mark_tree(&disk.have)?;
        }
        self.state().tree_whole = true;
        Ok(())
    }

    /// Whether all hashes are here.
    pub fn has_tree(&self) -> bool {
        let state = self.state();
        state.tree_whole || state.finished || self.shape.outboard_bytes() == 0
    }

    /// Verifies and keeps a piece that came bare. Whether it is new.
    pub fn accept_plain(&self, piece: u32, bytes: &[u8]) -> Result<bool, AcceptError> {
        if self.has(piece) {
            return Ok(false);
        }
        verify::check_plain(self.root, self.shape, piece, bytes, At(&self.tree))?;
        let at = self.shape.offset(piece);
        bao_tree::io::sync::WriteAt::write_all_at(&mut At(&self.data), at, bytes)?;
        Ok(self.add(piece))
    }

    fn add(&self, piece: u32) -> bool {
        let mut state = self.state();
        if !state.have.set(piece) {
            return false;
        }
        state.log.push(piece);
        state.unsynced.push(piece);
        let count = state.have.count();
        drop(state);
        self.gained.send_replace(count);
        true
    }

    /// How much is not durable, in what may be left so: 100 and more means
    /// that a sync is due. Of what is whole and not finished, at least 100.
    pub fn due(&self) -> u64 {
        let most = (self.shape.size() / PART_UNSYNCED).clamp(PIECE, MOST_UNSYNCED);
        let state = self.state();
        let percent = state.unsynced.len() as u64 * PIECE * 100 / most;
        match state.have.is_full() && !state.finished && !state.abandoned {
            true => percent.max(100),
            false => percent,
        }
    }

    /// Makes what came durable where enough has come, or all. Whether the
    /// blob is whole and durable.
    pub fn sync_if_due(&self) -> io::Result<bool> {
        match self.due() >= 100 {
            true => self.sync(),
            false => Ok(self.is_finished()),
        }
    }

    /// Content, then hashes, then the marks, each synced before the next. A
    /// blob that is whole gets its last name. Whether it is.
    pub fn sync(&self) -> io::Result<bool> {
        let _one = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        if state.finished || state.abandoned {
            return Ok(state.finished);
        }
        let new = std::mem::take(&mut state.unsynced);
        drop(state);
        if let Err(error) = self.make_durable(&new) {
            self.state().unsynced.extend(new);
            return Err(error);
        }
        if !self.state().durable.is_full() {
            return Ok(false);
        }
        if let Some(disk) = &self.disk {
            disk.files.finish()?;
        }
        let mut state = self.state();
        state.finished = true;
        let count = state.have.count();
        drop(state);
        self.gained.send_replace(count);
        Ok(true)
    }

    fn make_durable(&self, new: &[u32]) -> io::Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        self.data.sync()?;
        self.tree.sync()?;
        let mut marks: Vec<(u64, u8)> = vec![];
        let mut state = self.state();
        new.iter().for_each(|piece| {
            state.durable.set(*piece);
        });
        marks.extend(new.iter().map(|piece| state.durable.byte_of(*piece)));
        drop(state);
        let Some(disk) = &self.disk else { return Ok(()) };
        marks.sort_unstable();
        marks.dedup();
        for (at, byte) in marks {
            disk.have.write_all_at(&[byte], BITS_AT + at)?;
        }
        disk.have.sync_data()
    }

    /// All bytes of a small blob that is whole.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.shape.size()).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        bao_tree::io::sync::ReadAt::read_exact_at(&At(&self.data), 0, &mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn abandon(&self) {
        self.state().abandoned = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        // What came is kept for the next time.
        let _ = self.sync();
    }
}

/// Runs blocking work on a holding off the event loop.
pub(crate) async fn blocking<T: Send + 'static>(
    holding: &Arc<Holding>,
    work: impl FnOnce(&Holding) -> T + Send + 'static,
) -> io::Result<T> {
    let holding = Arc::clone(holding);
    tokio::task::spawn_blocking(move || work(&holding)).await.map_err(io::Error::other)
}
