//! The first bytes in a tunnel's connection, alone in a record of their own,
//! and the answer to them:
//!
//! ```text
//! 0  "ST"       2 bytes
//! 2  version    1
//! 3  what       ping 0, TCP 1, UDP 2 / the answer's code
//! 4  number     4 bytes, big-endian; the answer has the question's
//! ```
//!
//! After a ping comes another preface. After TCP or UDP and the answer
//! [`Answer::Ready`] the rest of the connection is the workloads'.

/// The length of a preface, and of an answer.
pub(super) const LENGTH: usize = 8;
const MAGIC: [u8; 2] = *b"ST";
const VERSION: u8 = 1;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Ping,
    Tcp,
    Udp,
}

/// What is said to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Ready,
    /// No instance takes a connection now; another provider may have one.
    NoInstance,
    /// Too much goes on here already.
    Busy,
    /// A version or a use of connections that this side does not know.
    Unknown,
}

/// These are not a preface.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a tunnel's connection begins with a preface of {LENGTH} bytes, \"ST\" and a version first"
)]
pub(super) struct NotAPreface;

pub(super) fn ask(what: Ask, number: u32) -> [u8; LENGTH] {
    let code = match what {
        Ask::Ping => 0,
        Ask::Tcp => 1,
        Ask::Udp => 2,
    };
    join(code, number)
}

pub(super) fn answer(what: Answer, number: u32) -> [u8; LENGTH] {
    let code = match what {
        Answer::Ready => 0,
        Answer::NoInstance => 1,
        Answer::Busy => 2,
        Answer::Unknown => 3,
    };
    join(code, number)
}

/// `None` for what a later version may ask.
pub(super) fn read_ask(bytes: &[u8]) -> Result<(Option<Ask>, u32), NotAPreface> {
    let (version, code, number) = split(bytes)?;
    let ask = match (version, code) {
        (VERSION, 0) => Some(Ask::Ping),
        (VERSION, 1) => Some(Ask::Tcp),
        (VERSION, 2) => Some(Ask::Udp),
        _ => None,
    };
    Ok((ask, number))
}

pub(super) fn read_answer(bytes: &[u8]) -> Result<(Answer, u32), NotAPreface> {
    let (_, code, number) = split(bytes)?;
    let answer = match code {
        0 => Answer::Ready,
        1 => Answer::NoInstance,
        2 => Answer::Busy,
        _ => Answer::Unknown,
    };
    Ok((answer, number))
}

fn join(code: u8, number: u32) -> [u8; LENGTH] {
    let [a, b, c, d] = number.to_be_bytes();
    [MAGIC[0], MAGIC[1], VERSION, code, a, b, c, d]
}

fn split(bytes: &[u8]) -> Result<(u8, u8, u32), NotAPreface> {
    match *bytes {
        [m, n, version, code, a, b, c, d] if [m, n] == MAGIC && version != 0 => {
            Ok((version, code, u32::from_be_bytes([a, b, c, d])))
        }
        _ => Err(NotAPreface),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_later_version_is_told_that_it_is_unknown_and_other_bytes_nothing() {
        assert_eq!(read_ask(&ask(Ask::Udp, 7)), Ok((Some(Ask::Udp), 7)));
        assert_eq!(ask(Ask::Tcp, 0x0102_0304), *b"ST\x01\x01\x01\x02\x03\x04");
        assert_eq!(read_ask(b"ST\x02\x01\0\0\0\x09"), Ok((None, 9)));
        for bad in [&b"GET / HT"[..], b"", b"ST\x01\x01\0\0\0", b"ST\x01\x01\0\0\0\0\0"] {
            assert_eq!(read_ask(bad), Err(NotAPreface));
        }
    }

    proptest! {
        #[test]
        fn what_is_read_as_a_preface_is_written_the_same(bytes: Vec<u8>) {
            let _ = read_answer(&bytes);
            if let Ok((Some(what), number)) = read_ask(&bytes) {
                prop_assert_eq!(ask(what, number).to_vec(), bytes);
            }
        }

        #[test]
        fn answers_come_back_with_their_number(code in 0u8..4, number: u32) {
            let what = [Answer::Ready, Answer::NoInstance, Answer::Busy, Answer::Unknown];
            let what = what[usize::from(code)];
            prop_assert_eq!(read_answer(&answer(what, number)), Ok((what, number)));
        }
    }
}
