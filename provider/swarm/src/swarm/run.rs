//! A connection's life: the first messages, reading and writing, the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::hear::{self, Then};
use super::room::{Room, State};
use super::say::{self, Upload, Work};
use super::session::Session;
use super::Inner;
use crate::access::{Rights, Stream};
use crate::store::blocking;
use crate::wire::{self, Bye, Message, ReadError, MAX_NAME};
use crate::Fault;

/// Pieces that are read from the disk at a time for one peer.
const ENCODED_AT_ONCE: usize = 4;
/// For the last word to a peer.
const LAST_WORD: Duration = Duration::from_secs(2);

type Reader = ReadHalf<Box<dyn Stream>>;
type Writer = WriteHalf<Box<dyn Stream>>;

/// A connection that the peer has opened.
pub(super) async fn accept(inner: &Arc<Inner>, stream: Box<dyn Stream>, peer: &str) -> Fault {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let deployment = match hello(inner, &mut reader).await {
        Ok(deployment) => deployment,
        Err(fault) => {
            inner.counters.dropped(fault);
            tracing::warn!(%peer, "blobs: {fault}");
            return fault;
        }
    };
    let Some(rights) = inner.access.rights(&deployment, peer).await else {
        inner.counters.dropped(Fault::NotAllowed);
        tracing::warn!(%peer, %deployment, "blobs: {}", Fault::NotAllowed);
        last_word(&mut writer, Bye::NotAllowed).await;
        return Fault::NotAllowed;
    };
    let room = inner.room(&deployment);
    if say_hello(inner, &mut writer, &deployment).await.is_err() {
        return Fault::Lost;
    }
    run(inner, &room, reader, writer, Session::new(peer, false, rights, &inner.limits)).await
}

/// A connection that this side has opened.
pub(super) async fn opened(
    inner: &Arc<Inner>,
    room: &Arc<Room>,
    stream: Box<dyn Stream>,
    peer: &str,
    rights: Rights,
) -> Fault {
    let (mut reader, mut writer) = tokio::io::split(stream);
    if say_hello(inner, &mut writer, &room.deployment).await.is_err() {
        return Fault::Lost;
    }
    match hello(inner, &mut reader).await {
        Ok(deployment) if deployment == room.deployment => {}
        Ok(_) => return Fault::Protocol,
        Err(fault) => return fault,
    }
    run(inner, room, reader, writer, Session::new(peer, true, rights, &inner.limits)).await
}

async fn say_hello(inner: &Inner, writer: &mut Writer, deployment: &str) -> std::io::Result<()> {
    let mut frame = vec![];
    Message::Hello { deployment: deployment.into() }.encode(&mut frame);
    wire::write_to(writer, &frame, inner.limits.hello).await
}

async fn hello(inner: &Inner, reader: &mut Reader) -> Result<String, Fault> {
    let within = inner.limits.hello;
    match wire::read(reader, &mut vec![], within, within).await {
        Ok(Message::Hello { deployment }) if deployment.len() <= MAX_NAME => Ok(deployment),
        Ok(Message::Bye(_)) => Err(Fault::Refused),
        Ok(_) => Err(Fault::Protocol),
        Err(error) => Err(fault_of(&error)),
    }
}

/// Runs a session to its end, and writes down why it ended.
async fn run(
    inner: &Arc<Inner>,
    room: &Arc<Room>,
    mut reader: Reader,
    mut writer: Writer,
    session: Session,
) -> Fault {
    let peer = session.peer.clone();
    let id = inner.next_session();
    let entered = enter(inner, &mut room.state(), id, session);
    if let Err(fault) = entered {
        last_word(&mut writer, bye_of(fault)).await;
        return fault;
    }
    let mut end = End { inner, room, id, peer, fault: Fault::Lost };
    end.fault = {
        let writing = write(inner, room, id, &mut writer);
        tokio::pin!(writing);
        tokio::select! {
            fault = read(inner, room, id, &mut reader) => {
                close(room, id, fault);
                let _ = timeout(LAST_WORD, &mut writing).await;
                fault
            }
            fault = &mut writing => fault,
        }
    };
    end.fault
}

/// The end of a session, also where whoever runs it drops it.
struct End<'a> {
    inner: &'a Inner,
    room: &'a Room,
    id: u64,
    peer: String,
    fault: Fault,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        left(self.inner, self.room, self.id, &self.peer, self.fault);
    }
}

/// Takes a session in, where there is room and none with the same peer that
/// is to go on.
fn enter(inner: &Inner, state: &mut State, id: u64, mut session: Session) -> Result<(), Fault> {
    if state.left {
        return Err(Fault::Lost);
    }
    if state.ban(&session.peer).is_some() {
        return Err(Fault::Refused);
    }
    // Both sides may have dialled at one time: of two connections that goes on
    // which the one with the smaller name opened; of the same side's, the new one.
    let mine = inner.me < session.peer;
    for other in state.sessions.values_mut().filter(|other| other.peer == session.peer) {
        if other.closing.is_some() {
            continue;
        }
        if other.dialled != session.dialled && other.dialled == mine {
            return Err(Fault::Duplicate);
        }
        other.close(Fault::Duplicate);
    }
    if state.sessions.len() >= inner.limits.sessions {
        return Err(Fault::Full);
    }
    for blob in state.blobs.values().filter(|blob| blob.is_missing()) {
        session.control.push_back(Message::Want { root: blob.root });
    }
    state.sessions.insert(id, session);
    Ok(())
}

fn close(room: &Room, id: u64, fault: Fault) {
    if let Some(session) = room.state().sessions.get_mut(&id) {
        session.close(fault);
    }
}

/// The end of a session: what it did stays out for as long as it deserves.
fn left(inner: &Inner, room: &Room, id: u64, peer: &str, fault: Fault) {
    let mut state = room.state();
    state.remove_session(id);
    state.last.insert(peer.into(), fault);
    if let Some(ban) = fault.ban() {
        state.banned.insert(peer.into(), (fault, Instant::now().checked_add(ban)));
        // Another connection of the same peer is no better.
        for other in state.sessions.values_mut().filter(|other| other.peer == peer) {
            other.close(Fault::Refused);
        }
    }
    drop(state);
    inner.counters.dropped(fault);
    let deployment = &room.deployment;
    match fault.is_misbehaviour() {
        true => tracing::warn!(%peer, %deployment, "blobs: peer dropped: {fault}"),
        false => tracing::debug!(%peer, %deployment, "blobs: {fault}"),
    }
    room.changed.notify_waiters();
}

/// Reads until something ends it.
async fn read(inner: &Arc<Inner>, room: &Arc<Room>, id: u64, reader: &mut Reader) -> Fault {
    let limits = &inner.limits;
    let mut buffer = vec![];
    // One piece is verified while the next one comes.
    let mut verifying: Option<tokio::task::JoinHandle<Result<(), Fault>>> = None;
    loop {
        let message = match wire::read(reader, &mut buffer, limits.silence, limits.stall).await {
            Ok(message) => message,
            Err(error) => return fault_of(&error),
        };
        match hear::hear(inner, room, id, message) {
            Ok(Then::Nothing) => {}
            Ok(Then::Find(root)) => hear::find(inner, room, id, root).await,
            Ok(Then::Verify(arrived)) => {
                if let Some(Err(fault)) = finished(verifying.take()).await {
                    return fault;
                }
                let (inner, room) = (Arc::clone(inner), Arc::clone(room));
                verifying = Some(tokio::spawn(async move {
                    let verified = hear::verify(&inner, &room, id, arrived).await;
                    if let Err(fault) = verified {
                        close(&room, id, fault);
                    }
                    verified
                }));
            }
            Err(fault) => return fault,
        }
    }
}

async fn finished(
    verifying: Option<tokio::task::JoinHandle<Result<(), Fault>>>,
) -> Option<Result<(), Fault>> {
    Some(verifying?.await.unwrap_or(Err(Fault::Local)))
}

/// Writes until the session is to end, the last word with it.
async fn write(inner: &Arc<Inner>, room: &Room, id: u64, writer: &mut Writer) -> Fault {
    let Some(notify) = room.state().sessions.get(&id).map(|s| Arc::clone(&s.notify)) else {
        return Fault::Lost;
    };
    let mut encoded: Vec<u8> = vec![];
    loop {
        let work = say::next(inner, room, id, ENCODED_AT_ONCE);
        if work.is_empty() && encoded.is_empty() {
            notify.notified().await;
            continue;
        }
        let Work { messages, uploads, closing } = work;
        let mut frames = Vec::with_capacity(256);
        messages.iter().for_each(|message| message.encode(&mut frames));
        if let Some(fault) = closing {
            Message::Bye(bye_of(fault)).encode(&mut frames);
        }
        // The next pieces come from the disk while these go out.
        let writing = async {
            if !frames.is_empty() {
                wire::write_to(writer, &frames, inner.limits.stall).await?;
            }
            let most = crate::shape::PIECE as usize;
            for part in encoded.chunks(most) {
                wire::write_to(writer, part, inner.limits.stall).await?;
            }
            Ok::<(), std::io::Error>(())
        };
        let (written, next) = tokio::join!(writing, encode(inner, room, uploads));
        if let Some(fault) = closing {
            return fault;
        }
        if let Err(error) = written {
            return match error.kind() {
                std::io::ErrorKind::TimedOut => Fault::Stalled,
                _ => Fault::Lost,
            };
        }
        encoded = next;
    }
}

/// Frames of pieces. Of one that is damaged here, all are told.
async fn encode(inner: &Inner, room: &Room, uploads: Vec<Upload>) -> Vec<u8> {
    let mut frames = vec![];
    for Upload { holding, piece } in uploads {
        let root = holding.root();
        let encoded = blocking(&holding, move |holding| holding.encode(piece)).await;
        match encoded {
            Ok(Ok(encoded)) => {
                inner.counters.sent(holding.shape().piece_bytes(piece).unwrap_or(0));
                Message::Piece { root, piece, encoded }.encode(&mut frames);
            }
            Ok(Err(error)) => {
                tracing::error!(blob = %root.to_hex(), piece, "a stored piece: {error}");
                room.state().retract(root, piece);
            }
            Err(_) => {}
        }
    }
    frames
}

async fn last_word(writer: &mut Writer, bye: Bye) {
    let mut frame = vec![];
    Message::Bye(bye).encode(&mut frame);
    let _ = wire::write_to(writer, &frame, LAST_WORD).await;
}

fn bye_of(fault: Fault) -> Bye {
    match fault {
        Fault::NotAllowed => Bye::NotAllowed,
        Fault::Duplicate => Bye::Duplicate,
        Fault::Full => Bye::Full,
        fault if fault.ban().is_some() => Bye::Broke,
        _ => Bye::Done,
    }
}

fn fault_of(error: &ReadError) -> Fault {
    match error {
        ReadError::End | ReadError::Io(_) | ReadError::Silence => Fault::Lost,
        ReadError::Truncated => Fault::Truncated,
        ReadError::Slow => Fault::Stalled,
        ReadError::Decode(_) => Fault::Protocol,
    }
}
