//! Between the network and the tar library, which reads and writes blocking.

use std::io::{Error, ErrorKind, Read, Result, Write};

use tokio::sync::mpsc;

/// Bytes of a piece; under the gateway's limit of 1 MiB.
const PIECE: usize = 256 << 10;
/// Pieces that wait.
const WAITING: usize = 4;

/// Takes bytes and hands them on in pieces.
pub struct PieceWriter {
    to: mpsc::Sender<Vec<u8>>,
    piece: Vec<u8>,
}

/// Gives the bytes of pieces.
pub struct PieceReader {
    from: mpsc::Receiver<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

pub fn writer() -> (PieceWriter, mpsc::Receiver<Vec<u8>>) {
    let (to, from) = mpsc::channel(WAITING);
    (PieceWriter { to, piece: Vec::with_capacity(PIECE) }, from)
}

pub fn reader() -> (mpsc::Sender<Vec<u8>>, PieceReader) {
    let (to, from) = mpsc::channel(WAITING);
    (to, PieceReader { from, piece: vec![], at: 0 })
}

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let count = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.to.blocking_send(piece).map_err(|_| Error::from(ErrorKind::BrokenPipe))
    }
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while self.at == self.piece.len() {
            match self.from.blocking_recv() {
                Some(piece) => (self.piece, self.at) = (piece, 0),
                None => return Ok(0),
            }
        }
        let rest = &self.piece[self.at..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}
