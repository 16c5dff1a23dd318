//! What a session's writer sends next.

use std::sync::Arc;
use std::time::Instant;

use blake3::Hash;

use super::blob::{Asked, Blob, Content};
use super::room::{Room, State};
use super::session::{Announce, Session, View};
use super::Inner;
use crate::shape::Shape;
use crate::store::Holding;
use crate::wire::{Message, MAX_GOT};
use crate::Fault;

/// Shown to a peer ahead of what it has got, at least.
const SHOWN_AHEAD: u32 = 8;
/// Messages in one write, but pieces.
const AT_ONCE: usize = 64;

/// A piece that the peer has asked for.
pub(super) struct Upload {
    pub(super) holding: Arc<Holding>,
    pub(super) piece: u32,
}

/// What there is to write.
#[derive(Default)]
pub(super) struct Work {
    pub(super) messages: Vec<Message>,
    pub(super) uploads: Vec<Upload>,
    /// It is the last, for this reason.
    pub(super) closing: Option<Fault>,
}

impl Work {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.uploads.is_empty() && self.closing.is_none()
    }
}

/// Takes what a session has to say, with at most so many pieces.
pub(super) fn next(inner: &Inner, room: &Room, id: u64, uploads: usize) -> Work {
    let mut state = room.state();
    let State { blobs, sessions, .. } = &mut *state;
    let Some(session) = sessions.get_mut(&id) else {
        return Work { closing: Some(Fault::Lost), ..Work::default() };
    };
    let mut work = Work { closing: session.closing, ..Work::default() };
    while let Some(message) = session.control.pop_front() {
        work.messages.push(message);
        if work.messages.len() >= AT_ONCE {
            // Whatever is left is for the next time, which is at once.
            session.notify.notify_one();
            break;
        }
    }
    if work.closing.is_some() {
        return work;
    }
    for (root, blob) in blobs.iter_mut() {
        tell(session, *root, blob, &mut work.messages);
    }
    ask(inner, id, session, blobs, &mut work.messages);
    while work.uploads.len() < uploads {
        let Some((root, piece)) = session.uploads.pop_front() else { break };
        if let Some(holding) = blobs.get(&root).and_then(Blob::holding) {
            work.uploads.push(Upload { holding: Arc::clone(holding), piece });
        }
    }
    let now = Instant::now();
    if work.is_empty() && session.said.elapsed() > inner.limits.silence / 3 {
        work.messages.push(Message::Ping);
    }
    if !work.is_empty() {
        session.said = now;
    }
    if !work.uploads.is_empty() {
        session.busy = now;
    }
    work
}

/// Tells of pieces that have come, or shows some more.
fn tell(session: &mut Session, root: Hash, blob: &mut Blob, messages: &mut Vec<Message>) {
    let Some(view) = session.views.get_mut(&root) else { return };
    let pieces = match &mut view.announce {
        Announce::Nothing => return,
        Announce::All(cursor) => {
            let Some(holding) = blob.holding() else { return };
            let (mut pieces, behind) = holding.gained_since(*cursor, MAX_GOT);
            *cursor = behind;
            if pieces.len() == MAX_GOT {
                session.notify.notify_one();
            }
            pieces.retain(|piece| blob.serves(*piece));
            pieces
        }
        Announce::Shown(_) => {
            let queued = session.uploads.iter().filter(|(of, _)| *of == root).count();
            let ahead = SHOWN_AHEAD.max(u32::try_from(queued).unwrap_or(0).saturating_mul(2));
            show(view, blob, ahead)
        }
    };
    if !pieces.is_empty() {
        messages.push(Message::Got { root, pieces });
    }
}

fn show(view: &mut View, blob: &mut Blob, ahead: u32) -> Vec<u32> {
    let Announce::Shown(shown) = &mut view.announce else { return vec![] };
    let mut pieces = vec![];
    while view.open < ahead && pieces.len() < MAX_GOT {
        let none = crate::bits::Bits::none(shown.length());
        let theirs = view.theirs.as_ref().map_or(&none, |(_, theirs)| theirs);
        let Some(piece) = blob.next_to_show(theirs, shown) else { break };
        shown.set(piece);
        if let Some(sized) = blob.as_sized_mut() {
            sized.shown.add(piece);
        }
        view.open += 1;
        pieces.push(piece);
    }
    pieces
}

/// Asks for as many pieces as the peer should have to do.
fn ask(
    inner: &Inner,
    id: u64,
    session: &mut Session,
    blobs: &mut std::collections::HashMap<Hash, Blob>,
    messages: &mut Vec<Message>,
) {
    for (root, blob) in blobs.iter_mut().filter(|(_, blob)| blob.is_missing()) {
        while session.asked.len() < session.ahead {
            let Some(piece) = choose(id, session, *root, blob) else { break };
            let (at, patience) = (Instant::now(), session.patience(&inner.limits));
            blob.note_ask(piece, Asked { session: id, at, patience });
            session.note_ask(*root, piece);
            messages.push(Message::Ask { root: *root, piece });
        }
    }
}

fn choose(id: u64, session: &Session, root: Hash, blob: &Blob) -> Option<u32> {
    let (size, theirs) = session.views.get(&root)?.theirs.as_ref()?;
    match &blob.content {
        Content::Sized(_) => blob.rarest(theirs).or_else(|| blob.overdue(theirs, id)),
        Content::Unsized(_) => {
            // The last piece proves the size that this peer claims. One peer
            // at a time is believed so far.
            let last = Shape::new(*size)?.last();
            let waits = blob
                .asks
                .values()
                .flatten()
                .any(|asked| asked.session == id || asked.at.elapsed() <= asked.patience);
            (theirs.get(last) && !waits).then_some(last)
        }
    }
}
