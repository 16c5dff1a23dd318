//! Length-prefixed frames, read in one pass and within a limit.

use std::io::{BufRead, ErrorKind, Read};

use prost::Message;

use super::AbciError;

/// Bytes of a 64-bit varint.
const MAX_VARINT_BYTES: u32 = 10;

/// Reads the next frame into `frame`. `false` means that the peer ended the stream between
/// frames. Memory grows with what arrives, not with what a length announces.
pub fn read_frame(
    stream: &mut impl BufRead,
    frame: &mut Vec<u8>,
    limit: usize,
) -> Result<bool, AbciError> {
    frame.clear();
    let Some(length) = read_length(stream)? else { return Ok(false) };
    if usize::try_from(length).map_or(true, |length| length > limit) {
        return Err(AbciError::FrameTooLarge { length, limit });
    }
    let read = stream.take(length).read_to_end(frame)?;
    if read as u64 != length {
        return Err(AbciError::CutShort);
    }
    Ok(true)
}

/// Reads a varint; `None` if the stream ends before its first byte.
fn read_length(stream: &mut impl Read) -> Result<Option<u64>, AbciError> {
    let mut length = 0_u64;
    for index in 0..MAX_VARINT_BYTES {
        let Some(byte) = read_byte(stream)? else {
            return if index == 0 { Ok(None) } else { Err(AbciError::CutShort) };
        };
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if index == MAX_VARINT_BYTES - 1 && byte > 1 {
            return Err(AbciError::Length);
        }
        length |= bits << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some(length));
        }
    }
    Err(AbciError::Length)
}

fn read_byte(stream: &mut impl Read) -> Result<Option<u8>, AbciError> {
    let mut byte = [0];
    loop {
        match stream.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(byte[0])),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Appends a message with its length.
pub fn push_message(out: &mut Vec<u8>, message: &impl Message) {
    out.reserve(message.encoded_len() + MAX_VARINT_BYTES as usize);
    // A vector grows as needed: encoding into it cannot run out of room.
    if message.encode_length_delimited(out).is_err() {
        unreachable!("a vector has room for every message");
    }
}
