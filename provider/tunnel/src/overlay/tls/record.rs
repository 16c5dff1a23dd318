//! Records of TLS 1.3 (RFC 8446, 5.2), sealed and opened in place.

use ring::aead::{
    Aad, Algorithm, LessSafeKey, Nonce, UnboundKey, AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305,
};
use rustls::ConnectionTrafficSecrets;

/// The most content of one record.
pub(in crate::overlay) const MAX_CONTENT: usize = 16_384;
pub(in crate::overlay) const HEADER: usize = 5;
const TAG: usize = 16;
/// What a record has beside its content: header, content type, tag.
pub(in crate::overlay) const RECORD_OVERHEAD: usize = HEADER + 1 + TAG;
/// RFC 8446, 5.2: content, its type and padding, and the tag.
const MAX_SEALED: usize = MAX_CONTENT + 256;
/// Keys are changed long before the limit of AES-GCM (2^24.5 full records).
const RECORDS_PER_KEY: u64 = 1 << 23;

pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const DATA: u8 = 23;

/// Why a record will not do. The connection is at its end.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum RecordError {
    #[error("this is no TLS record of a tunnel")]
    Malformed,
    #[error("a record was altered on its way")]
    Altered,
    #[error("the records' numbers are used up")]
    Exhausted,
}

/// One direction's key, with the number of the next record.
struct Direction {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
    used: u64,
}

impl Direction {
    fn new(secrets: &ConnectionTrafficSecrets, sequence: u64) -> Result<Self, RecordError> {
        let (algorithm, key, iv): (&'static Algorithm, _, _) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return Err(RecordError::Malformed),
        };
        let key = UnboundKey::new(algorithm, key.as_ref()).map_err(|_| RecordError::Malformed)?;
        let iv = iv.as_ref().try_into().map_err(|_| RecordError::Malformed)?;
        Ok(Self { key: LessSafeKey::new(key), iv, sequence, used: 0 })
    }

    /// RFC 8446, 5.3. A number is used once.
    fn next_nonce(&mut self) -> Result<Nonce, RecordError> {
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= number;
        }
        self.sequence = self.sequence.checked_add(1).ok_or(RecordError::Exhausted)?;
        self.used += 1;
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

/// Seals what is sent.
pub(super) struct Sealer(Direction);

impl Sealer {
    pub(super) fn new(secrets: &ConnectionTrafficSecrets, from: u64) -> Result<Self, RecordError> {
        Ok(Self(Direction::new(secrets, from)?))
    }

    /// Whether the key has done its work.
    pub(super) fn is_worn(&self) -> bool {
        self.0.used >= RECORDS_PER_KEY
    }

    /// Makes a slot a record: its content stands after the header's room, and
    /// the room for type and tag follows.
    pub(super) fn seal(&mut self, slot: &mut [u8], kind: u8) -> Result<(), RecordError> {
        let content = slot.len().checked_sub(RECORD_OVERHEAD).ok_or(RecordError::Malformed)?;
        let sealed = u16::try_from(content + 1 + TAG).map_err(|_| RecordError::Malformed)?;
        let [high, low] = sealed.to_be_bytes();
        let header = [DATA, 3, 3, high, low];
        let nonce = self.0.next_nonce()?;
        let (head, rest) = slot.split_at_mut(HEADER);
        let (inner, tag) = rest.split_at_mut(content + 1);
        head.copy_from_slice(&header);
        inner[content] = kind;
        let made = self.0.key.seal_in_place_separate_tag(nonce, Aad::from(header), inner);
        tag.copy_from_slice(made.map_err(|_| RecordError::Exhausted)?.as_ref());
        Ok(())
    }
}

/// Opens what is received.
pub(super) struct Opener(Direction);

/// An opened record: what kind it is, and where its content stands in the
/// buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) kind: u8,
    pub(super) content: std::ops::Range<usize>,
}

impl Opener {
    pub(super) fn new(secrets: &ConnectionTrafficSecrets, from: u64) -> Result<Self, RecordError> {
        Ok(Self(Direction::new(secrets, from)?))
    }

    /// Opens the whole record that the buffer begins with.
    pub(super) fn open(&mut self, record: &mut [u8]) -> Result<Opened, RecordError> {
        let (header, sealed) = record.split_at_mut(HEADER);
        let header: [u8; HEADER] = (&*header).try_into().map_err(|_| RecordError::Malformed)?;
        let nonce = self.0.next_nonce()?;
        let inner = self
            .0
            .key
            .open_in_place(nonce, Aad::from(header), sealed)
            .map_err(|_| RecordError::Altered)?;
        // Zeros behind the type are padding.
        let kind = inner.iter().rposition(|byte| *byte != 0).ok_or(RecordError::Malformed)?;
        if kind > MAX_CONTENT {
            return Err(RecordError::Malformed);
        }
        Ok(Opened { kind: inner[kind], content: HEADER..HEADER + kind })
    }
}

/// The length of the record that the bytes begin with; `None` where there are
/// too few to tell.
pub(super) fn record_length(bytes: &[u8]) -> Result<Option<usize>, RecordError> {
    let Some([kind, major, _, high, low]) = bytes.first_chunk::<HEADER>().copied() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if kind != DATA || major != 3 || length <= TAG || length > MAX_SEALED {
        return Err(RecordError::Malformed);
    }
    Ok(Some(HEADER + length))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rustls::crypto::cipher::{AeadKey, Iv};

    fn pair() -> (Sealer, Opener) {
        let mut key = [0; 32];
        key[0] = 7;
        let secrets = ConnectionTrafficSecrets::Chacha20Poly1305 {
            key: AeadKey::from(key),
            iv: Iv::copy(&[9; 12]),
        };
        (Sealer::new(&secrets, 0).unwrap(), Opener::new(&secrets, 0).unwrap())
    }

    fn sealed(sealer: &mut Sealer, content: &[u8]) -> Vec<u8> {
        let mut slot = vec![0; content.len() + RECORD_OVERHEAD];
        slot[HEADER..HEADER + content.len()].copy_from_slice(content);
        sealer.seal(&mut slot, DATA).unwrap();
        slot
    }

    #[test]
    fn records_open_in_their_order_and_only_as_they_were_sealed() {
        let (mut sealer, mut opener) = pair();
        for content in [&b"one"[..], b"", &[5; MAX_CONTENT]] {
            let mut record = sealed(&mut sealer, content);
            assert_eq!(record_length(&record), Ok(Some(record.len())));
            let opened = opener.open(&mut record).unwrap();
            assert_eq!((opened.kind, &record[opened.content]), (DATA, content));
        }
        let mut altered = sealed(&mut sealer, b"four");
        altered[HEADER] ^= 1;
        assert_eq!(opener.open(&mut altered), Err(RecordError::Altered));
        let (mut sealer, mut opener) = pair();
        let _lost = sealed(&mut sealer, b"one");
        let mut second = sealed(&mut sealer, b"two");
        assert_eq!(opener.open(&mut second), Err(RecordError::Altered), "one is missing");
    }

    #[test]
    fn what_is_no_record_is_told_from_its_header() {
        assert_eq!(record_length(&[23, 3, 3, 0]), Ok(None));
        for bad in [[22, 3, 3, 0, 99], [23, 2, 0, 0, 99], [23, 3, 3, 0, 16], [23, 3, 3, 255, 255]] {
            assert_eq!(record_length(&bad), Err(RecordError::Malformed), "{bad:?}");
        }
        assert!(record_length(b"GET / HTTP/1.1").is_err());
    }
}
