//! One connection: requests in order, answers at each Flush.

use std::io::{BufReader, Read, Write};

use prost::Message;
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::{request::Value as Ask, Request, Response};

use super::{
    dispatch,
    frame::{push_message, read_frame},
    AbciError,
};

/// Bytes read from the socket at once.
const READ_BUFFER: usize = 64 << 10;

/// Unflushed answers are written once they have this many bytes, so that a peer which never
/// flushes costs no more memory than one answer beyond it.
const WRITE_EARLY: usize = 1 << 20;

/// A frame buffer that grew beyond this is given back after its request.
const KEEP_BUFFER: usize = 1 << 20;

/// Serves a connection until its peer ends it.
///
/// # Errors
/// If the socket fails or the peer does not speak the protocol; in the latter case it was told
/// by an exception.
pub fn serve(
    app: &impl Application,
    input: impl Read,
    mut output: impl Write,
    frame_limit: usize,
) -> Result<(), AbciError> {
    let mut input = BufReader::with_capacity(READ_BUFFER, input);
    let mut frame = Vec::new();
    let mut pending = Vec::new();
    loop {
        let ask = match next_request(&mut input, &mut frame, frame_limit) {
            Ok(Some(ask)) => ask,
            Ok(None) => return Ok(()),
            Err(error) => {
                push_message(&mut pending, &dispatch::exception(&error));
                // The peer may be gone already; what it did wrong is the error to report.
                let _ = output.write_all(&pending);
                return Err(error);
            }
        };
        let flush = matches!(ask, Ask::Flush(_));
        let answer = dispatch::answer(app, ask);
        push_message(&mut pending, &Response { value: Some(answer) });
        if flush || pending.len() >= WRITE_EARLY {
            output.write_all(&pending)?;
            pending.clear();
            pending.shrink_to(KEEP_BUFFER);
        }
        frame.shrink_to(KEEP_BUFFER);
    }
}

fn next_request(
    input: &mut BufReader<impl Read>,
    frame: &mut Vec<u8>,
    limit: usize,
) -> Result<Option<Ask>, AbciError> {
    if !read_frame(input, frame, limit)? {
        return Ok(None);
    }
    let request = Request::decode(frame.as_slice())?;
    request.value.map(Some).ok_or(AbciError::UnknownRequest)
}
