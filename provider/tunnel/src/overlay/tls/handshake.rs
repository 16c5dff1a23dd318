//! Handshakes, driven record by record: what comes behind the last record of
//! a handshake stays untouched for whoever opens records from then on.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::CertificateDer;
use rustls::server::{Acceptor, ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::{CommonState, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::session::Session;
use super::verify::now;
use super::{Material, ALPN};

/// All that a peer may send in a handshake.
const MAX_INCOMING: usize = 32 << 10;
const PIECE: usize = 4 << 10;
const RECORD_HEADER: usize = 5;

/// What one step of a handshake asks for.
enum Next {
    Again,
    Send,
    Receive,
}

/// What was received and what is to be sent.
#[derive(Default)]
struct Wire {
    incoming: Vec<u8>,
    /// So many of these bytes, whole records, rustls may see.
    shown: usize,
    outgoing: Vec<u8>,
}

/// Connects a tunnel as its client. Cancelling leaves nothing behind.
pub(in crate::overlay) async fn connect(
    mut socket: TcpStream,
    material: &Material,
) -> io::Result<Session> {
    let name = material.expected.server_name();
    let mut connection =
        UnbufferedClientConnection::new(material.client()?, name).map_err(io::Error::other)?;
    let mut wire = Wire::default();
    shake(&mut connection, &mut wire, &mut socket).await?;
    let leaf = peer_leaf(&connection)?;
    let (secrets, keys) =
        connection.dangerous_into_kernel_connection().map_err(io::Error::other)?;
    Session::new(socket, secrets, Box::new(keys), wire.incoming, leaf, now())
}

/// A client's first message: says which tunnel it is for.
pub(in crate::overlay) struct Hello {
    socket: TcpStream,
    wire: Wire,
    name: String,
}

impl Hello {
    /// Reads it.
    pub(in crate::overlay) async fn receive(mut socket: TcpStream) -> io::Result<Self> {
        let mut wire = Wire::default();
        loop {
            wire.show(&mut socket).await?;
            let mut unread = &wire.incoming[..wire.shown];
            let mut acceptor = Acceptor::default();
            while !unread.is_empty() {
                acceptor.read_tls(&mut unread)?;
                match acceptor.accept() {
                    Ok(None) => {}
                    Ok(Some(accepted)) => {
                        let hello = accepted.client_hello();
                        let offers = hello.alpn().is_some_and(|mut all| all.any(|one| one == ALPN));
                        let name = hello.server_name().filter(|_| offers).map(str::to_owned);
                        let name = name.ok_or_else(|| {
                            invalid("the client asks for no tunnel, or speaks another protocol")
                        })?;
                        return Ok(Self { socket, wire, name });
                    }
                    Err((error, _)) => return Err(invalid(&error.to_string())),
                }
            }
        }
    }

    /// The name in the tunnel's certificates.
    pub(in crate::overlay) fn name(&self) -> &str {
        &self.name
    }

    /// Goes on with the tunnel's certificate.
    pub(in crate::overlay) async fn accept(self, config: Arc<ServerConfig>) -> io::Result<Session> {
        let Self { mut socket, mut wire, .. } = self;
        let mut connection = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
        shake(&mut connection, &mut wire, &mut socket).await?;
        let leaf = peer_leaf(&connection)?;
        let (secrets, keys) =
            connection.dangerous_into_kernel_connection().map_err(io::Error::other)?;
        Session::new(socket, secrets, Box::new(keys), wire.incoming, leaf, now())
    }
}

/// Either role's connection, which share no trait in rustls.
trait Role: Send {
    type Data;
    fn is_shaking(&self) -> bool;
    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Role for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn is_shaking(&self) -> bool {
        self.is_handshaking()
    }

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

impl Role for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn is_shaking(&self) -> bool {
        self.is_handshaking()
    }

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

/// Shakes hands, to the last byte that this side has to send for it.
async fn shake<R: Role>(role: &mut R, wire: &mut Wire, socket: &mut TcpStream) -> io::Result<()> {
    while role.is_shaking() {
        let status = role.process(&mut wire.incoming[..wire.shown]);
        let (discard, next) = (status.discard, step(status.state, &mut wire.outgoing));
        wire.discard(discard);
        if next.is_err() {
            // What rustls says to the peer about it.
            let _ = step(role.process(&mut []).state, &mut wire.outgoing);
        }
        wire.go_on(socket, next).await?;
    }
    // The last flight is made once the handshake is over for this side.
    loop {
        match step(role.process(&mut []).state, &mut wire.outgoing)? {
            Next::Again => {}
            Next::Send => wire.send(socket).await?,
            Next::Receive => return Ok(()),
        }
    }
}

/// Takes what a step made, and says what comes next.
fn step<Data>(
    state: Result<ConnectionState<'_, '_, Data>, rustls::Error>,
    outgoing: &mut Vec<u8>,
) -> io::Result<Next> {
    match state.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))? {
        ConnectionState::EncodeTlsData(mut data) => {
            let start = outgoing.len();
            loop {
                match data.encode(&mut outgoing[start..]) {
                    Ok(count) => {
                        outgoing.truncate(start + count);
                        return Ok(Next::Again);
                    }
                    Err(EncodeError::InsufficientSize(size)) => {
                        outgoing.resize(start + size.required_size, 0);
                    }
                    Err(error) => return Err(io::Error::other(error)),
                }
            }
        }
        ConnectionState::TransmitTlsData(data) => {
            data.done();
            Ok(Next::Send)
        }
        ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) => Ok(Next::Receive),
        ConnectionState::PeerClosed | ConnectionState::Closed => {
            Err(ErrorKind::UnexpectedEof.into())
        }
        _ => Err(invalid("data within the handshake")),
    }
}

/// Both sides must have agreed on the protocol and shown a certificate.
fn peer_leaf(connection: &CommonState) -> io::Result<CertificateDer<'static>> {
    if connection.alpn_protocol() != Some(ALPN) {
        return Err(invalid("the peer speaks another protocol"));
    }
    let leaf = connection.peer_certificates().and_then(|chain| chain.first());
    leaf.cloned().map(CertificateDer::into_owned).ok_or_else(|| invalid("no certificate"))
}

impl Wire {
    async fn go_on(&mut self, socket: &mut TcpStream, next: io::Result<Next>) -> io::Result<()> {
        match next {
            Ok(Next::Again) => Ok(()),
            Ok(Next::Send) => self.send(socket).await,
            Ok(Next::Receive) => self.show(socket).await,
            Err(error) => {
                // The peer is told by an alert, if it still listens.
                let _ = self.send(socket).await;
                let _ = socket.shutdown().await;
                Err(error)
            }
        }
    }

    async fn send(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        socket.write_all(&self.outgoing).await?;
        self.outgoing.clear();
        Ok(())
    }

    fn discard(&mut self, count: usize) {
        self.incoming.drain(..count);
        self.shown -= count;
    }

    /// Shows one more record, receiving it where it is not here yet.
    async fn show(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        loop {
            let hidden = &self.incoming[self.shown..];
            if self.shown == 0 && hidden.first().is_some_and(|kind| !(20..=23).contains(kind)) {
                return Err(invalid("this is not TLS"));
            }
            if let Some([_, _, _, high, low]) = hidden.first_chunk::<RECORD_HEADER>() {
                let length = RECORD_HEADER + usize::from(u16::from_be_bytes([*high, *low]));
                if hidden.len() >= length {
                    self.shown += length;
                    return Ok(());
                }
            }
            if self.incoming.len() >= MAX_INCOMING {
                return Err(invalid("the handshake is too long"));
            }
            self.incoming.reserve(PIECE);
            if socket.read_buf(&mut self.incoming).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn invalid(words: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, words.to_owned())
}
