//! What a message changes.

use std::sync::Arc;
use std::time::Instant;

use blake3::Hash;

use super::blob::{Blob, Content};
use super::room::{Room, State, MOST_BLOBS};
use super::session::{Announce, View};
use super::Inner;
use crate::bits::Bits;
use crate::shape::{Shape, PIECE};
use crate::store::{blocking, AcceptError, Holding};
use crate::wire::{Bye, Message, Refusal};
use crate::Fault;

/// A blob is sent to one peer so many times, at most: it may have lost some.
const SERVED_TIMES: u64 = 4;
const SERVED_MORE: u64 = 64;
/// A long bitfield costs as much as so many short messages.
const BYTES_A_TOKEN: usize = 256;

/// A piece that is to be verified.
pub(super) struct Arrived {
    /// Whom it came from; the session may be over when it is verified.
    peer: String,
    root: Hash,
    piece: u32,
    encoded: Vec<u8>,
    holding: Arc<Holding>,
    /// The size is this peer's word: the piece proves it.
    proves: bool,
}

/// What is left to do about a message, without the lock.
pub(super) enum Then {
    Nothing,
    /// Look for a blob that the peer wants.
    Find(Hash),
    Verify(Arrived),
}

/// Changes the room's state by a message of a session.
pub(super) fn hear(inner: &Inner, room: &Room, id: u64, message: Message) -> Result<Then, Fault> {
    let mut state = room.state();
    let session = state.sessions.get_mut(&id).ok_or(Fault::Lost)?;
    if !matches!(message, Message::Ping) {
        session.busy = Instant::now();
    }
    // Asks and pieces have bounds of their own, and so has news.
    match &message {
        Message::Ask { .. } | Message::Piece { .. } | Message::Got { .. } => {}
        Message::Have { pieces, .. } => session.tokens.take(1 + pieces.len() / BYTES_A_TOKEN)?,
        _ => session.tokens.take(1)?,
    }
    match message {
        Message::Hello { .. } => Err(Fault::Protocol),
        Message::Ping => Ok(Then::Nothing),
        Message::Bye(bye) => Err(ended_by(bye)),
        Message::Want { root } => state.hear_want(id, root),
        Message::Lack { root } => state.hear_lack(id, root),
        Message::Have { root, size, pieces } => state.hear_have(id, root, size, &pieces),
        Message::Got { root, pieces } => state.hear_got(id, root, &pieces),
        Message::Ask { root, piece } => state.hear_ask(inner, id, root, piece),
        Message::Cancel { root, piece } => {
            session.uploads.retain(|upload| *upload != (root, piece));
            Ok(Then::Nothing)
        }
        Message::Refuse { root, piece, why } => state.hear_refusal(id, root, piece, why),
        Message::Piece { root, piece, encoded } => {
            state.hear_piece(inner, id, root, piece, encoded)
        }
    }
}

fn ended_by(bye: Bye) -> Fault {
    match bye {
        Bye::Done => Fault::Lost,
        Bye::Duplicate => Fault::Duplicate,
        Bye::NotAllowed | Bye::Broke | Bye::Full => Fault::Refused,
    }
}

impl State {
    fn view(&mut self, id: u64, root: Hash) -> Result<&mut View, Fault> {
        let session = self.sessions.get_mut(&id).ok_or(Fault::Lost)?;
        if session.views.len() >= MOST_BLOBS && !session.views.contains_key(&root) {
            // What neither side looks for any more need not be known.
            session.views.retain(|of, view| view.wants || self.blobs.contains_key(of));
            if session.views.len() >= MOST_BLOBS {
                return Err(Fault::Flood);
            }
        }
        Ok(session.views.entry(root).or_default())
    }

    fn hear_want(&mut self, id: u64, root: Hash) -> Result<Then, Fault> {
        let session = self.sessions.get_mut(&id).ok_or(Fault::Lost)?;
        if !session.rights.may_fetch {
            session.say(Message::Lack { root });
            return Ok(Then::Nothing);
        }
        self.view(id, root)?.wants = true;
        match self.blobs.contains_key(&root) {
            true => {
                self.announce(id, root);
                Ok(Then::Nothing)
            }
            false => Ok(Then::Find(root)),
        }
    }

    /// Tells a peer from now on what is here of a blob.
    pub(super) fn announce(&mut self, id: u64, root: Hash) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(sized) = self.blobs.get_mut(&root).and_then(Blob::as_sized_mut) else { return };
        let Some(view) = session.views.get_mut(&root) else { return };
        view.open_pieces().for_each(|piece| sized.shown.subtract(piece));
        let shape = sized.holding.shape();
        let none = Bits::none(shape.pieces());
        let (bits, announce) = match sized.holding.is_first_hand() {
            true => (none.clone(), Announce::Shown(none)),
            false => {
                let (mut have, cursor) = sized.holding.cursor();
                if sized.damaged.count() > 0 {
                    sized.damaged.iter().for_each(|piece| have.clear(piece));
                }
                (have, Announce::All(cursor))
            }
        };
        (view.announce, view.open) = (announce, 0);
        session.say(Message::Have { root, size: shape.size(), pieces: bits.to_bytes() });
    }

    /// A peer has nothing of a blob for this side any more: what it was asked
    /// for is free, and none of its answers that are under way is a breach.
    fn hear_lack(&mut self, id: u64, root: Hash) -> Result<Then, Fault> {
        let session = self.sessions.get_mut(&id).ok_or(Fault::Lost)?;
        let asked = session.cancel_all(root);
        let mut blob = self.blobs.get_mut(&root);
        if let Some(blob) = &mut blob {
            asked.into_iter().for_each(|piece| blob.drop_ask(piece, id));
        }
        let Some(view) = session.views.get_mut(&root) else { return Ok(Then::Nothing) };
        let Some((_, theirs)) = view.theirs.take() else { return Ok(Then::Nothing) };
        if let Some(sized) = blob.and_then(Blob::as_sized_mut) {
            sized.has.subtract_all(&theirs);
            // What it was shown and had got, it has to get again.
            if let Announce::Shown(shown) = &view.announce {
                for piece in shown.iter().filter(|piece| theirs.get(*piece)) {
                    sized.shown.add(piece);
                    view.open += 1;
                }
            }
        }
        self.wake();
        Ok(Then::Nothing)
    }

    fn hear_have(&mut self, id: u64, root: Hash, size: u64, bytes: &[u8]) -> Result<Then, Fault> {
        // What is not fetched or served here is no concern.
        let Some(blob) = self.blobs.get(&root) else { return Ok(Then::Nothing) };
        let shape = Shape::new(size).ok_or(Fault::Protocol)?;
        let theirs = Bits::from_bytes(shape.pieces(), bytes).ok_or(Fault::Protocol)?;
        let right = blob.content.may_have(size);
        let view = self.view(id, root)?;
        let (before, _) = view.theirs.get_or_insert((size, Bits::none(shape.pieces())));
        if !right || *before != size {
            return Err(Fault::SizeLie);
        }
        let pieces: Vec<u32> = theirs.iter().collect();
        self.hear_got(id, root, &pieces)?;
        if matches!(self.view(id, root)?.announce, Announce::Nothing) {
            self.announce(id, root);
        }
        Ok(Then::Nothing)
    }

    fn hear_got(&mut self, id: u64, root: Hash, pieces: &[u32]) -> Result<Then, Fault> {
        let session = self.sessions.get_mut(&id).ok_or(Fault::Lost)?;
        let view = session.views.get_mut(&root);
        let Some(View { theirs: Some((_, theirs)), announce, open, .. }) = view else {
            session.tokens.take(1)?;
            return Ok(Then::Nothing);
        };
        // Of what was given up here, it is news all the same.
        let mut sized = self.blobs.get_mut(&root).and_then(Blob::as_sized_mut);
        let mut news = false;
        for piece in pieces {
            if *piece >= theirs.length() {
                return Err(Fault::Protocol);
            }
            if !theirs.set(*piece) {
                continue;
            }
            news = true;
            let Some(sized) = &mut sized else { continue };
            sized.has.add(*piece);
            if matches!(announce, Announce::Shown(shown) if shown.get(*piece)) {
                sized.shown.subtract(*piece);
                *open = open.saturating_sub(1);
            }
        }
        if !news {
            session.tokens.take(1)?;
        }
        session.notify.notify_one();
        Ok(Then::Nothing)
    }

    fn hear_ask(&mut self, inner: &Inner, id: u64, root: Hash, piece: u32) -> Result<Then, Fault> {
        let blob = self.blobs.get(&root).filter(|blob| blob.serves(piece));
        let pieces = blob.and_then(Blob::holding).map(|holding| holding.shape().pieces());
        let session = self.sessions.get_mut(&id).ok_or(Fault::Lost)?;
        if session.closing.is_some() {
            // The end says it: a room that is left has nothing, and has not lied.
            return Ok(Then::Nothing);
        }
        let refusal = match (session.rights.may_fetch, pieces) {
            (false, _) => Some(Refusal::NotAllowed),
            (true, None) => Some(Refusal::NotHere),
            (true, Some(_)) => None,
        };
        if let Some(why) = refusal {
            session.tokens.take(1)?;
            session.say(Message::Refuse { root, piece, why });
            return Ok(Then::Nothing);
        }
        let upload = (root, piece);
        if session.uploads.len() >= inner.limits.queued || session.uploads.contains(&upload) {
            return Err(Fault::Flood);
        }
        session.uploads.push_back(upload);
        session.notify.notify_one();
        let view = self.view(id, root)?;
        view.served += 1;
        match view.served > u64::from(pieces.unwrap_or(0)) * SERVED_TIMES + SERVED_MORE {
            true => Err(Fault::Flood),
            false => Ok(Then::Nothing),
        }
    }

    fn hear_refusal(
        &mut self,
        id: u64,
        root: Hash,
        piece: u32,
        why: Refusal,
    ) -> Result<Then, Fault> {
        let session = self.sessions.get_mut(&id).ok_or(Fault::Lost)?;
        let asked = session.asked.remove(&(root, piece)).is_some();
        if let Some(blob) = self.blobs.get_mut(&root) {
            blob.drop_ask(piece, id);
        }
        match why {
            Refusal::NotAllowed => Err(Fault::Refused),
            // Only announced pieces are asked for, and Lack would have taken
            // the announcement and the ask back.
            Refusal::NotHere if asked => Err(Fault::FalseClaim),
            Refusal::NotHere => Ok(Then::Nothing),
        }
    }

    fn hear_piece(
        &mut self,
        inner: &Inner,
        id: u64,
        root: Hash,
        piece: u32,
        encoded: Vec<u8>,
    ) -> Result<Then, Fault> {
        let session = self.sessions.get_mut(&id).ok_or(Fault::Lost)?;
        if !session.note_answer(root, piece, &inner.limits) {
            // What was forgotten meanwhile may still come.
            let known = self.blobs.contains_key(&root);
            return if known { Err(Fault::Protocol) } else { Ok(Then::Nothing) };
        }
        session.notify.notify_one();
        let peer = session.peer.clone();
        let claimed = session.views.get(&root).and_then(|view| view.theirs.as_ref());
        let claimed = claimed.and_then(|(size, _)| Shape::new(*size));
        let Some(blob) = self.blobs.get_mut(&root) else { return Ok(Then::Nothing) };
        let (holding, proves) = match &blob.content {
            Content::Sized(sized) => (Arc::clone(&sized.holding), false),
            Content::Unsized(_) => {
                // The claim was taken back meanwhile: the piece proves nothing.
                let Some(shape) = claimed else { return Ok(Then::Nothing) };
                let made = Holding::in_memory(root, shape);
                (Arc::new(made.ok_or(Fault::Protocol)?), true)
            }
        };
        Ok(Then::Verify(Arrived { peer, root, piece, encoded, holding, proves }))
    }

    /// The size is proven by its last piece: what was claimed otherwise was
    /// a lie.
    fn prove(&mut self, holding: &Arc<Holding>) {
        let (root, shape) = (holding.root(), holding.shape());
        let Some(blob) = self.blobs.get_mut(&root) else { return };
        if blob.as_sized().is_some() {
            return;
        }
        blob.content = Blob::sized(Arc::clone(holding));
        let Some(sized) = blob.as_sized_mut() else { return };
        for session in self.sessions.values_mut() {
            let Some(view) = session.views.get_mut(&root) else { continue };
            match &view.theirs {
                Some((size, _)) if *size != shape.size() => {
                    view.theirs = None;
                    session.close(Fault::SizeLie);
                }
                Some((_, theirs)) => sized.has.add_all(theirs),
                None => {}
            }
        }
        let asked: Vec<u32> = blob.asks.keys().copied().collect();
        if let Some(sized) = blob.as_sized_mut() {
            asked.into_iter().for_each(|piece| {
                sized.asked.set(piece);
            });
        }
        self.announce_to_waiting(root);
    }
}

/// Verifies and keeps a piece, off the event loop and without the lock.
pub(super) async fn verify(
    inner: &Inner,
    room: &Arc<Room>,
    id: u64,
    arrived: Arrived,
) -> Result<(), Fault> {
    let Arrived { peer, root, piece, encoded, holding, proves } = arrived;
    let accepted = blocking(&holding, move |holding| {
        let accepted = holding.accept(piece, &encoded);
        // Who writes faster than the disk syncs, waits for it.
        if holding.due() >= 200 {
            holding.sync()?;
        }
        accepted
    });
    let accepted = accepted.await.unwrap_or_else(|error| Err(AcceptError::Io(error)));
    let mut state = room.state();
    let asks = state.blobs.get_mut(&root).map(|blob| {
        let others: Vec<u64> =
            blob.asks.get(&piece).into_iter().flatten().map(|a| a.session).collect();
        blob.drop_ask(piece, id);
        others
    });
    let new = match accepted {
        Ok(new) => new,
        Err(AcceptError::Io(error)) => {
            tracing::error!(blob = %root.to_hex(), "keeping a piece: {error}");
            return Err(Fault::Local);
        }
        Err(_) => return Err(Fault::WrongBytes),
    };
    if proves {
        state.prove(&holding);
    }
    let bytes = holding.shape().piece_bytes(piece).unwrap_or(PIECE);
    if !new {
        inner.counters.wasted(bytes);
        return Ok(());
    }
    inner.counters.received(bytes);
    for other in asks.unwrap_or_default() {
        if let Some(session) = state.sessions.get_mut(&other) {
            session.cancel(root, piece);
        }
        if let Some(blob) = state.blobs.get_mut(&root) {
            blob.drop_ask(piece, other);
        }
    }
    if let Some(blob) = state.blobs.get_mut(&root) {
        *blob.from.entry(peer).or_default() += bytes;
        // Where the disk was waited for, it may be durable already.
        blob.tell();
    }
    state.wake();
    drop(state);
    if holding.due() >= 100 {
        sync_later(room, &holding);
    }
    Ok(())
}

/// Makes durable what is due, beside all else.
pub(super) fn sync_later(room: &Arc<Room>, holding: &Arc<Holding>) {
    let (room, holding) = (Arc::clone(room), Arc::clone(holding));
    tokio::task::spawn_blocking(move || match holding.sync_if_due() {
        Ok(true) => {
            if let Some(blob) = room.state().blobs.get(&holding.root()) {
                blob.tell();
            }
        }
        Ok(false) => {}
        Err(error) => tracing::error!(blob = %holding.root().to_hex(), "syncing: {error}"),
    });
}

/// Looks for a blob that a peer wants and that the room does not know.
pub(super) async fn find(inner: &Inner, room: &Room, id: u64, root: Hash) {
    let found = inner.access.holding(&room.deployment, &root).await;
    let mut state = room.state();
    if let Some(holding) = found.filter(|_| state.blobs.len() < MOST_BLOBS && !state.left) {
        state.take_in(root, Blob::sized(holding), false);
    }
    // It may have come to the room meanwhile: then Lack would be wrong.
    if state.blobs.contains_key(&root) {
        state.announce(id, root);
    } else if let Some(session) = state.sessions.get_mut(&id) {
        session.say(Message::Lack { root });
    }
}
