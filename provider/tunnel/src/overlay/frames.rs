//! Datagrams within a tunnel's connection: length (two bytes), the number of
//! the flow (four), both big-endian, then the datagram. A flow is one sender's
//! address at the client's side; its number is the client's choice.

/// The largest datagram that UDP over IPv4 carries.
pub(super) const MAX_DATAGRAM: usize = 65_507;
const HEADER: usize = 6;
/// Frames that wait to be taken.
const MAX_HELD: usize = 2 * (HEADER + MAX_DATAGRAM);

/// This is no datagram.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a datagram in a tunnel has at most {MAX_DATAGRAM} bytes")]
pub(super) struct TooLong;

/// Appends a frame; says whether the datagram may be carried.
pub(super) fn write(flow: u32, datagram: &[u8], into: &mut Vec<u8>) -> bool {
    let Some(length) =
        u16::try_from(datagram.len()).ok().filter(|n| usize::from(*n) <= MAX_DATAGRAM)
    else {
        return false;
    };
    into.extend_from_slice(&length.to_be_bytes());
    into.extend_from_slice(&flow.to_be_bytes());
    into.extend_from_slice(datagram);
    true
}

/// Frames out of bytes that come in any pieces.
#[derive(Default)]
pub(super) struct Reader {
    held: Vec<u8>,
    start: usize,
}

impl Reader {
    /// Takes more bytes. All frames of those before must have been taken.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.held.drain(..self.start);
        self.start = 0;
        self.held.extend_from_slice(bytes);
        debug_assert!(self.held.len() <= MAX_HELD);
    }

    /// The next whole frame: flow and datagram.
    pub(super) fn next(&mut self) -> Result<Option<(u32, &[u8])>, TooLong> {
        let rest = &self.held[self.start..];
        let Some([a, b, flow @ ..]) = rest.first_chunk::<HEADER>().copied() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([a, b]));
        if length > MAX_DATAGRAM {
            return Err(TooLong);
        }
        let Some(datagram) = rest.get(HEADER..HEADER + length) else { return Ok(None) };
        self.start += HEADER + length;
        Ok(Some((u32::from_be_bytes(flow), datagram)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_whatever_the_pieces(
            sent in proptest::collection::vec((any::<u32>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..12),
            piece in 1usize..700,
        ) {
            let mut bytes = vec![];
            for (flow, datagram) in &sent {
                prop_assert!(write(*flow, datagram, &mut bytes));
            }
            let (mut reader, mut got) = (Reader::default(), vec![]);
            for part in bytes.chunks(piece) {
                reader.push(part);
                while let Some((flow, datagram)) = reader.next().unwrap() {
                    got.push((flow, datagram.to_vec()));
                }
            }
            prop_assert_eq!(got, sent);
        }
    }

    #[test]
    fn no_datagram_is_longer_than_udp_has() {
        let mut bytes = vec![];
        assert!(write(1, &[0; MAX_DATAGRAM], &mut bytes));
        assert!(!write(1, &[0; MAX_DATAGRAM + 1], &mut bytes));
        let mut reader = Reader::default();
        reader.push(&[0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(reader.next(), Err(TooLong));
    }
}
