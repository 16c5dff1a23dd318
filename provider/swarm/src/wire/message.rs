//! The messages and their bytes.

use blake3::Hash;

use crate::bits::byte_length;
use crate::shape::{MAX_ENCODED, MAX_PIECES, MAX_SIZE};

/// Of this format, in the first message.
pub const VERSION: u16 = 1;
/// Longest name of a deployment, in bytes.
pub const MAX_NAME: usize = 128;
/// Most pieces in one [`Message::Got`].
pub const MAX_GOT: usize = 1024;
/// Marks the first message as one of this protocol.
const MAGIC: &[u8; 4] = b"STSW";
const ROOT: usize = 32;

/// What one side tells the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// First, from both sides: whose blobs this connection is about.
    Hello { deployment: String },
    /// I look for this blob; tell me which pieces you have, now and later.
    Want { root: Hash },
    /// I have nothing of this blob for you now. What was announced is taken
    /// back, and what was asked for is not answered.
    Lack { root: Hash },
    /// I have these pieces of a blob of this size (bytes of a bitfield).
    Have { root: Hash, size: u64, pieces: Vec<u8> },
    /// I have these, too.
    Got { root: Hash, pieces: Vec<u32> },
    /// Send me this piece.
    Ask { root: Hash, piece: u32 },
    /// I have it from elsewhere: do not send it, if you have not begun.
    Cancel { root: Hash, piece: u32 },
    /// A piece with its proof.
    Piece { root: Hash, piece: u32, encoded: Vec<u8> },
    /// No. Of a piece that was announced, and not taken back by
    /// [`Message::Lack`], that it is not here was a false claim.
    Refuse { root: Hash, piece: u32, why: Refusal },
    /// I am here.
    Ping,
    /// The last message.
    Bye(Bye),
}

/// Why a piece is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is not here.
    NotHere,
    /// You may not fetch.
    NotAllowed,
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bye {
    /// Nothing more to do.
    Done,
    /// You are no participant.
    NotAllowed,
    /// There is another connection between us.
    Duplicate,
    /// You broke the rules.
    Broke,
    /// Too many connections.
    Full,
}

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("no message has kind {0}")]
    Kind(u8),
    #[error("a message of kind {kind} with {length} bytes; right is at most {most}")]
    TooLong { kind: u8, length: u32, most: u32 },
    #[error("a message of kind {0} that ends too soon or too late")]
    Length(u8),
    #[error("a first message that is not of this protocol in version {VERSION}")]
    Version,
    #[error("a value out of range in a message of kind {0}")]
    Value(u8),
}

const HELLO: u8 = 1;
const WANT: u8 = 2;
const HAVE: u8 = 3;
const GOT: u8 = 4;
const ASK: u8 = 5;
const CANCEL: u8 = 6;
const PIECE: u8 = 7;
const REFUSE: u8 = 8;
const PING: u8 = 9;
const BYE: u8 = 10;
const LACK: u8 = 11;

/// Most bytes of a message behind its head, by kind.
pub(super) fn bound(kind: u8) -> Result<u32, DecodeError> {
    let most = match kind {
        HELLO => MAGIC.len() + 2 + MAX_NAME,
        WANT | LACK => ROOT,
        HAVE => ROOT + 8 + byte_length(MAX_PIECES),
        GOT => ROOT + 4 * MAX_GOT,
        ASK | CANCEL => ROOT + 4,
        PIECE => ROOT + 4 + MAX_ENCODED,
        REFUSE => ROOT + 4 + 1,
        PING => 0,
        BYE => 1,
        _ => return Err(DecodeError::Kind(kind)),
    };
    Ok(u32::try_from(most).unwrap_or(u32::MAX))
}

/// The head of a frame: kind and length, the length within the kind's bound.
pub(super) fn head(bytes: [u8; 5]) -> Result<(u8, usize), DecodeError> {
    let [kind, a, b, c, d] = bytes;
    let length = u32::from_be_bytes([a, b, c, d]);
    let most = bound(kind)?;
    if length > most {
        return Err(DecodeError::TooLong { kind, length, most });
    }
    Ok((kind, length as usize))
}

impl Message {
    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend([self.kind(), 0, 0, 0, 0]);
        self.body(out);
        let length = u32::try_from(out.len() - begin - 5).unwrap_or(u32::MAX);
        out[begin + 1..begin + 5].copy_from_slice(&length.to_be_bytes());
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Hello { .. } => HELLO,
            Self::Want { .. } => WANT,
            Self::Lack { .. } => LACK,
            Self::Have { .. } => HAVE,
            Self::Got { .. } => GOT,
            Self::Ask { .. } => ASK,
            Self::Cancel { .. } => CANCEL,
            Self::Piece { .. } => PIECE,
            Self::Refuse { .. } => REFUSE,
            Self::Ping => PING,
            Self::Bye(_) => BYE,
        }
    }

    fn body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello { deployment } => {
                out.extend(MAGIC);
                out.extend(VERSION.to_be_bytes());
                out.extend(deployment.as_bytes());
            }
            Self::Want { root } | Self::Lack { root } => out.extend(root.as_bytes()),
            Self::Have { root, size, pieces } => {
                out.extend(root.as_bytes());
                out.extend(size.to_be_bytes());
                out.extend(pieces);
            }
            Self::Got { root, pieces } => {
                out.extend(root.as_bytes());
                pieces.iter().for_each(|piece| out.extend(piece.to_be_bytes()));
            }
            Self::Ask { root, piece } | Self::Cancel { root, piece } => {
                out.extend(root.as_bytes());
                out.extend(piece.to_be_bytes());
            }
            Self::Piece { root, piece, encoded } => {
                out.extend(root.as_bytes());
                out.extend(piece.to_be_bytes());
                out.extend(encoded);
            }
            Self::Refuse { root, piece, why } => {
                out.extend(root.as_bytes());
                out.extend(piece.to_be_bytes());
                out.push(why.code());
            }
            Self::Ping => {}
            Self::Bye(bye) => out.push(bye.code()),
        }
    }

    /// A message from one whole frame.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        let (first, body) = frame.split_first_chunk::<5>().ok_or(DecodeError::Length(0))?;
        let (kind, length) = head(*first)?;
        match body.len() == length {
            true => Self::decode_body(kind, body),
            false => Err(DecodeError::Length(kind)),
        }
    }

    /// A message from what follows a frame's head.
    pub(super) fn decode_body(kind: u8, body: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = Rest { kind, bytes: body };
        let message = match kind {
            HELLO => Self::Hello { deployment: rest.hello()? },
            WANT => Self::Want { root: rest.root()? },
            LACK => Self::Lack { root: rest.root()? },
            HAVE => Self::Have { root: rest.root()?, size: rest.size()?, pieces: rest.all() },
            GOT => Self::Got { root: rest.root()?, pieces: rest.pieces()? },
            ASK => Self::Ask { root: rest.root()?, piece: rest.piece()? },
            CANCEL => Self::Cancel { root: rest.root()?, piece: rest.piece()? },
            PIECE => Self::Piece { root: rest.root()?, piece: rest.piece()?, encoded: rest.all() },
            REFUSE => Self::Refuse {
                root: rest.root()?,
                piece: rest.piece()?,
                why: Refusal::of(rest.byte()?).ok_or(DecodeError::Value(kind))?,
            },
            PING => Self::Ping,
            BYE => Self::Bye(Bye::of(rest.byte()?).ok_or(DecodeError::Value(kind))?),
            _ => return Err(DecodeError::Kind(kind)),
        };
        match rest.bytes.is_empty() {
            true => Ok(message),
            false => Err(DecodeError::Length(kind)),
        }
    }
}

impl Refusal {
    const ALL: [Self; 2] = [Self::NotHere, Self::NotAllowed];

    fn code(self) -> u8 {
        match self {
            Self::NotHere => 1,
            Self::NotAllowed => 2,
        }
    }

    fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.code() == code)
    }
}

impl Bye {
    const ALL: [Self; 5] = [Self::Done, Self::NotAllowed, Self::Duplicate, Self::Broke, Self::Full];

    fn code(self) -> u8 {
        match self {
            Self::Done => 1,
            Self::NotAllowed => 2,
            Self::Duplicate => 3,
            Self::Broke => 4,
            Self::Full => 5,
        }
    }

    fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|bye| bye.code() == code)
    }
}

/// What is left of a message's body.
struct Rest<'a> {
    kind: u8,
    bytes: &'a [u8],
}

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) =
            self.bytes.split_first_chunk::<N>().ok_or(DecodeError::Length(self.kind))?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn all(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes).to_vec()
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.take()?))
    }

    fn root(&mut self) -> Result<Hash, DecodeError> {
        Ok(Hash::from_bytes(self.take()?))
    }

    fn piece(&mut self) -> Result<u32, DecodeError> {
        let piece = u32::from_be_bytes(self.take()?);
        (piece < MAX_PIECES).then_some(piece).ok_or(DecodeError::Value(self.kind))
    }

    fn size(&mut self) -> Result<u64, DecodeError> {
        let size = u64::from_be_bytes(self.take()?);
        (1..=MAX_SIZE).contains(&size).then_some(size).ok_or(DecodeError::Value(self.kind))
    }

    fn pieces(&mut self) -> Result<Vec<u32>, DecodeError> {
        let mut pieces = Vec::with_capacity(self.bytes.len() / 4);
        while !self.bytes.is_empty() {
            pieces.push(self.piece()?);
        }
        Ok(pieces)
    }

    fn hello(&mut self) -> Result<String, DecodeError> {
        let magic = self.take::<4>().map_err(|_| DecodeError::Version)?;
        let version = self.take::<2>().map_err(|_| DecodeError::Version)?;
        if magic != *MAGIC || u16::from_be_bytes(version) != VERSION {
            return Err(DecodeError::Version);
        }
        String::from_utf8(self.all()).map_err(|_| DecodeError::Value(self.kind))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn messages() -> impl Strategy<Value = Message> {
        let root = || any::<[u8; 32]>().prop_map(Hash::from_bytes);
        let piece = || 0..MAX_PIECES;
        let bytes = |most| proptest::collection::vec(any::<u8>(), 0..most);
        prop_oneof![
            "[a-z0-9/]{0,128}".prop_map(|deployment| Message::Hello { deployment }),
            root().prop_map(|root| Message::Want { root }),
            root().prop_map(|root| Message::Lack { root }),
            (root(), 1..=MAX_SIZE, bytes(300)).prop_map(|(root, size, pieces)| Message::Have {
                root,
                size,
                pieces
            }),
            (root(), proptest::collection::vec(piece(), 0..MAX_GOT))
                .prop_map(|(root, pieces)| Message::Got { root, pieces }),
            (root(), piece()).prop_map(|(root, piece)| Message::Ask { root, piece }),
            (root(), piece()).prop_map(|(root, piece)| Message::Cancel { root, piece }),
            (root(), piece(), bytes(MAX_ENCODED))
                .prop_map(|(root, piece, encoded)| Message::Piece { root, piece, encoded }),
            (root(), piece(), proptest::sample::select(&Refusal::ALL[..]))
                .prop_map(|(root, piece, why)| Message::Refuse { root, piece, why }),
            Just(Message::Ping),
            proptest::sample::select(&Bye::ALL[..]).prop_map(Message::Bye),
        ]
    }

    proptest! {
        #[test]
        fn a_message_comes_back_from_its_frame(message in messages()) {
            let mut frame = vec![];
            message.encode(&mut frame);
            prop_assert_eq!(Message::decode(&frame), Ok(message));
        }

        #[test]
        fn a_frame_that_is_cut_is_refused(message in messages(), at in any::<prop::sample::Index>()) {
            let mut frame = vec![];
            message.encode(&mut frame);
            prop_assert!(Message::decode(&frame[..at.index(frame.len())]).is_err());
        }

        #[test]
        fn what_is_no_message_is_refused_and_what_is_one_has_one_form(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            if let Ok(message) = Message::decode(&bytes) {
                let mut frame = vec![];
                message.encode(&mut frame);
                prop_assert_eq!(frame, bytes);
            }
        }
    }

    #[test]
    fn a_length_beyond_the_kinds_bound_is_refused_by_the_head_alone() {
        for kind in HELLO..=LACK {
            let most = bound(kind).unwrap();
            let [a, b, c, d] = (most + 1).to_be_bytes();
            assert!(matches!(head([kind, a, b, c, d]), Err(DecodeError::TooLong { .. })));
        }
        assert_eq!(head([0, 0, 0, 0, 0]), Err(DecodeError::Kind(0)));
        assert_eq!(head([LACK + 1, 0, 0, 0, 0]), Err(DecodeError::Kind(LACK + 1)));
    }

    #[test]
    fn another_version_is_refused() {
        let mut frame = vec![];
        Message::Hello { deployment: "a/1".into() }.encode(&mut frame);
        frame[10] = 2;
        assert_eq!(Message::decode(&frame), Err(DecodeError::Version));
    }
}
