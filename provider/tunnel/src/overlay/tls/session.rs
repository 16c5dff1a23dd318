//! A tunnel's connection after its handshake: contents in, records out, and
//! the other way round. Buffers are there only while bytes are under way, and
//! grow with what comes.

use std::io::{self, ErrorKind, IoSliceMut};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustls::kernel::KernelConnection;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{ConnectionTrafficSecrets, ExtractedSecrets};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;

use super::record::{
    record_length, Opener, RecordError, Sealer, ALERT, DATA, HANDSHAKE, HEADER, MAX_CONTENT,
    RECORD_OVERHEAD,
};

/// What a buffer for received records holds: a few small ones, one of any
/// size, many.
const LEVELS: [usize; 3] = [1 << 10, 17 << 10, 512 << 10];
/// A buffer that has served nobody for so long is given back.
const SPARE: Duration = Duration::from_millis(500);
/// A peer that is gone without a word is noticed after two minutes or so.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Bytes that a peer has not acknowledged for so long: it is gone.
const UNACKNOWLEDGED: Duration = Duration::from_secs(120);
const KEY_UPDATE: u8 = 24;
const NEW_SESSION_TICKET: u8 = 4;
const CLOSE_NOTIFY: u8 = 0;

/// The next keys of either direction.
pub(super) trait Keys: Send {
    fn sending(&mut self) -> Result<ConnectionTrafficSecrets, rustls::Error>;
    fn receiving(&mut self) -> Result<ConnectionTrafficSecrets, rustls::Error>;
}

impl<Data: Send> Keys for KernelConnection<Data> {
    fn sending(&mut self) -> Result<ConnectionTrafficSecrets, rustls::Error> {
        self.update_tx_secret().map(|(_, secrets)| secrets)
    }

    fn receiving(&mut self) -> Result<ConnectionTrafficSecrets, rustls::Error> {
        self.update_rx_secret().map(|(_, secrets)| secrets)
    }
}

/// A tunnel's connection.
pub(in crate::overlay) struct Session {
    socket: TcpStream,
    // Boxed: tasks hold sessions, and most sessions wait.
    sealer: Box<Sealer>,
    opener: Box<Opener>,
    received: Received,
    shared: Shared,
    /// What the peer has shown, and when.
    pub(in crate::overlay) leaf: CertificateDer<'static>,
    pub(in crate::overlay) since: UnixTime,
}

/// What both directions use.
pub(in crate::overlay) struct Shared {
    keys: Mutex<Box<dyn Keys>>,
    /// The peer wants new keys of this side.
    update_wanted: AtomicBool,
}

/// Received bytes that are not opened yet: `start..end` of the buffer.
#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    level: usize,
}

/// The direction to the peer.
pub(in crate::overlay) struct Outgoing<'a> {
    writer: WriteHalf<'a>,
    sealer: &'a mut Sealer,
    shared: &'a Shared,
}

/// The direction from the peer.
pub(in crate::overlay) struct Incoming<'a> {
    reader: ReadHalf<'a>,
    opener: &'a mut Opener,
    received: &'a mut Received,
    shared: &'a Shared,
}

impl Session {
    pub(super) fn new(
        socket: TcpStream,
        secrets: ExtractedSecrets,
        keys: Box<dyn Keys>,
        mut rest: Vec<u8>,
        leaf: CertificateDer<'static>,
        since: UnixTime,
    ) -> io::Result<Self> {
        let options = SockRef::from(&socket);
        options.set_tcp_nodelay(true)?;
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
        options.set_tcp_keepalive(&keepalive)?;
        options.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
        let sealer = Box::new(Sealer::new(&secrets.tx.1, secrets.tx.0).map_err(broken)?);
        let opener = Box::new(Opener::new(&secrets.rx.1, secrets.rx.0).map_err(broken)?);
        let end = rest.len();
        rest.shrink_to_fit();
        let received = Received { bytes: rest, end, ..Received::default() };
        let shared = Shared { keys: Mutex::new(keys), update_wanted: AtomicBool::new(false) };
        Ok(Self { socket, sealer, opener, received, shared, leaf, since })
    }

    /// Both directions, which may go on at the same time.
    pub(in crate::overlay) fn split(&mut self) -> (Outgoing<'_>, Incoming<'_>) {
        let (reader, writer) = self.socket.split();
        let shared = &self.shared;
        (
            Outgoing { writer, sealer: &mut self.sealer, shared },
            Incoming { reader, opener: &mut self.opener, received: &mut self.received, shared },
        )
    }

    /// Sends a few bytes.
    pub(in crate::overlay) async fn send(&mut self, content: &[u8]) -> io::Result<()> {
        self.split().0.send(content).await
    }

    /// The next record's content.
    pub(in crate::overlay) async fn receive(&mut self) -> io::Result<Vec<u8>> {
        self.split().1.receive().await
    }

    /// Whether the peer has neither ended nor said anything.
    pub(in crate::overlay) fn is_quiet(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = SockRef::from(&self.socket).peek(&mut byte);
        self.received.start == self.received.end
            && peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Breaks it where the peer has not acknowledged bytes for so long.
    pub(in crate::overlay) fn give_up_after(&self, unacknowledged: Duration) {
        let _ = SockRef::from(&self.socket).set_tcp_user_timeout(Some(unacknowledged));
    }

    /// Ends it so that the peer learns at once.
    pub(in crate::overlay) fn cut(&self) {
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }
}

impl Outgoing<'_> {
    /// Sends bytes, in as many records as they take.
    pub(in crate::overlay) async fn send(&mut self, content: &[u8]) -> io::Result<()> {
        let pieces = content.chunks(MAX_CONTENT);
        let mut records = vec![0; content.len() + pieces.len() * RECORD_OVERHEAD];
        let mut start = 0;
        for piece in pieces {
            let end = start + piece.len() + RECORD_OVERHEAD;
            records[start + HEADER..start + HEADER + piece.len()].copy_from_slice(piece);
            start = end;
        }
        self.send_slots(&mut records, content.len()).await
    }

    /// Sends the contents that stand in a buffer of slots, each slot full but
    /// the last.
    async fn send_slots(&mut self, slots: &mut [u8], content: usize) -> io::Result<()> {
        self.refresh_keys().await?;
        let (mut start, mut left) = (0, content);
        while left > 0 {
            let piece = left.min(MAX_CONTENT);
            let end = start + piece + RECORD_OVERHEAD;
            self.sealer.seal(&mut slots[start..end], DATA).map_err(broken)?;
            (start, left) = (end, left - piece);
        }
        self.writer.write_all(&slots[..start]).await
    }

    /// Reads from a stream and sends what came; says how much it was.
    pub(in crate::overlay) async fn pass<R: Source>(
        &mut self,
        from: &mut R,
        slots: &mut Slots,
    ) -> io::Result<usize> {
        let count = slots.fill(from).await?;
        if count > 0 {
            self.send_slots(&mut slots.bytes, count).await?;
        }
        Ok(count)
    }

    /// Says that nothing more comes, and leaves the other direction open.
    pub(in crate::overlay) async fn finish(&mut self) -> io::Result<()> {
        self.send_record(ALERT, &[1, CLOSE_NOTIFY]).await?;
        self.writer.shutdown().await
    }

    async fn send_record(&mut self, kind: u8, content: &[u8]) -> io::Result<()> {
        let mut slot = vec![0; content.len() + RECORD_OVERHEAD];
        slot[HEADER..HEADER + content.len()].copy_from_slice(content);
        self.sealer.seal(&mut slot, kind).map_err(broken)?;
        self.writer.write_all(&slot).await
    }

    /// RFC 8446, 4.6.3: where the key is worn, or the peer wants it.
    async fn refresh_keys(&mut self) -> io::Result<()> {
        let wanted = self.shared.update_wanted.load(Ordering::Relaxed);
        if !wanted && !self.sealer.is_worn() {
            return Ok(());
        }
        self.shared.update_wanted.store(false, Ordering::Relaxed);
        self.send_record(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0]).await?;
        let mut keys = self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let secrets = keys.sending().map_err(io::Error::other)?;
        *self.sealer = Sealer::new(&secrets, 0).map_err(broken)?;
        Ok(())
    }
}

impl Incoming<'_> {
    /// The next content. At the end, [`ErrorKind::UnexpectedEof`].
    pub(in crate::overlay) async fn receive(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(content) = self.open_one()? {
                match content {
                    Content::Data(range) => return Ok(self.received.bytes[range].to_vec()),
                    Content::End => return Err(ErrorKind::UnexpectedEof.into()),
                    Content::Nothing => continue,
                }
            }
            self.fill().await?;
        }
    }

    /// Waits for contents: those of all the records that are here, in their
    /// order, and whether the peer's direction is at its end with them.
    pub(in crate::overlay) async fn receive_all(
        &mut self,
        contents: &mut Vec<Range<usize>>,
    ) -> io::Result<bool> {
        contents.clear();
        loop {
            while let Some(content) = self.open_one()? {
                match content {
                    Content::Data(range) => contents.push(range),
                    Content::End => return Ok(true),
                    Content::Nothing => {}
                }
            }
            if !contents.is_empty() {
                return Ok(false);
            }
            self.fill().await?;
        }
    }

    /// A content of [`Self::receive_all`]; there until the next call.
    pub(in crate::overlay) fn content(&self, range: &Range<usize>) -> &[u8] {
        &self.received.bytes[range.clone()]
    }

    fn open_one(&mut self) -> io::Result<Option<Content>> {
        let received = &mut *self.received;
        let there = &mut received.bytes[received.start..received.end];
        let length = match record_length(there).map_err(broken)? {
            Some(length) if length <= there.len() => length,
            _ => return Ok(None),
        };
        let opened = self.opener.open(&mut there[..length]).map_err(broken)?;
        let first = received.start;
        let range = first + opened.content.start..first + opened.content.end;
        received.start += length;
        Ok(Some(match opened.kind {
            DATA if range.is_empty() => Content::Nothing,
            DATA => Content::Data(range),
            ALERT => alert(&received.bytes[range])?,
            HANDSHAKE => {
                let messages = received.bytes[range].to_vec();
                self.follow(&messages)?;
                Content::Nothing
            }
            _ => return Err(broken(RecordError::Malformed)),
        }))
    }

    /// The messages that may come after a handshake.
    fn follow(&mut self, mut messages: &[u8]) -> io::Result<()> {
        while !messages.is_empty() {
            let Some(([kind, a, b, c], rest)) = messages.split_first_chunk::<4>() else {
                return Err(broken(RecordError::Malformed));
            };
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            let (body, rest) =
                rest.split_at_checked(length).ok_or_else(|| broken(RecordError::Malformed))?;
            match (*kind, body) {
                // The record after it has the new key; so it stands alone.
                (KEY_UPDATE, [wanted @ (0 | 1)]) if rest.is_empty() => {
                    self.shared.update_wanted.fetch_or(*wanted == 1, Ordering::Relaxed);
                    let mut keys = self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner);
                    let secrets = keys.receiving().map_err(io::Error::other)?;
                    *self.opener = Opener::new(&secrets, 0).map_err(broken)?;
                }
                // Never asked for, never used.
                (NEW_SESSION_TICKET, _) => {}
                _ => return Err(broken(RecordError::Malformed)),
            }
            messages = rest;
        }
        Ok(())
    }

    /// Receives more. May be given up at any await without a loss.
    async fn fill(&mut self) -> io::Result<()> {
        let received = &mut *self.received;
        if received.start == received.end && !received.bytes.is_empty() {
            let waiting = self.reader.readable();
            if tokio::time::timeout(SPARE, waiting).await.is_err() {
                *received = Received::default();
            }
        }
        if received.bytes.is_empty() {
            self.reader.readable().await?;
        }
        received.make_room().map_err(broken)?;
        let space = received.bytes.len() - received.end;
        let count = self.reader.read(&mut received.bytes[received.end..]).await?;
        if count == 0 {
            // Without a word: what is missing cannot be known.
            return Err(io::Error::new(ErrorKind::ConnectionReset, "the peer broke off"));
        }
        received.end += count;
        if count == space && received.level + 1 < LEVELS.len() {
            received.level += 1;
        }
        Ok(())
    }
}

impl Received {
    /// Room for the record that has begun, and for as much as came lately.
    fn make_room(&mut self) -> Result<(), RecordError> {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let begun = record_length(&self.bytes[..self.end])?.unwrap_or(HEADER);
        while begun > LEVELS[self.level] && self.level + 1 < LEVELS.len() {
            self.level += 1;
        }
        let wanted = LEVELS[self.level].max(self.end + 1);
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        Ok(())
    }
}

/// What was in a record.
enum Content {
    Data(Range<usize>),
    End,
    Nothing,
}

fn alert(content: &[u8]) -> io::Result<Content> {
    match content {
        [_, CLOSE_NOTIFY] => Ok(Content::End),
        [_, description] => {
            let alert = rustls::AlertDescription::from(*description);
            let words = format!("the peer refuses: {alert:?}");
            Err(io::Error::new(ErrorKind::ConnectionAborted, words))
        }
        _ => Err(broken(RecordError::Malformed)),
    }
}

fn broken(error: RecordError) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

/// A buffer of slots, each with room for a record around its content.
#[derive(Default)]
pub(in crate::overlay) struct Slots {
    bytes: Vec<u8>,
    level: usize,
}

const SLOT: usize = MAX_CONTENT + RECORD_OVERHEAD;
/// Contents that a buffer holds: a small one, that of a full record, those of
/// many; and the buffer's length.
const CAPACITY: [usize; 3] = [1 << 10, MAX_CONTENT, 512 << 10];
const SLOT_LEVELS: [usize; 3] =
    [CAPACITY[0] + RECORD_OVERHEAD, SLOT, SLOT * (CAPACITY[2] / MAX_CONTENT)];

/// Where contents come from.
pub(in crate::overlay) trait Source {
    /// Returns when there is something to read.
    fn readable(&mut self) -> impl std::future::Future<Output = io::Result<()>> + Send;
    /// Reads into one piece.
    fn take(
        &mut self,
        into: &mut [u8],
    ) -> impl std::future::Future<Output = io::Result<usize>> + Send;
    /// Reads into many at once, if it can.
    fn try_read_many(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize>;
    /// Whether it can.
    const MANY: bool;
}

impl Slots {
    async fn fill<R: Source>(&mut self, from: &mut R) -> io::Result<usize> {
        let highest = if R::MANY { CAPACITY.len() - 1 } else { 1 };
        loop {
            if self.level > 0 && tokio::time::timeout(SPARE, from.readable()).await.is_err() {
                *self = Self::default();
            }
            if self.bytes.len() != SLOT_LEVELS[self.level] {
                // Nothing in it is of use any more.
                self.bytes = vec![0; SLOT_LEVELS[self.level]];
            }
            let count = if self.level < 2 {
                let end = HEADER + CAPACITY[self.level];
                from.take(&mut self.bytes[HEADER..end]).await?
            } else {
                let mut pieces: [IoSliceMut<'_>; CAPACITY[2] / MAX_CONTENT] =
                    std::array::from_fn(|_| IoSliceMut::new(&mut []));
                for (piece, slot) in pieces.iter_mut().zip(self.bytes.chunks_mut(SLOT)) {
                    *piece = IoSliceMut::new(&mut slot[HEADER..HEADER + MAX_CONTENT]);
                }
                match from.try_read_many(&mut pieces) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                    result => result?,
                }
            };
            if count == CAPACITY[self.level] && self.level < highest {
                self.level += 1;
            }
            return Ok(count);
        }
    }
}
