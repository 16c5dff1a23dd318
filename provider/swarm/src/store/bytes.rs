//! Bytes at offsets: of a file, or in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use bao_tree::io::sync::{ReadAt, WriteAt};

/// Where content or hashes are.
#[derive(Debug)]
pub(super) enum Bytes {
    File(File),
    Memory(Mutex<Vec<u8>>),
}

impl Bytes {
    pub(super) fn memory(bytes: Vec<u8>) -> Self {
        Self::Memory(Mutex::new(bytes))
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        match self {
            Self::File(file) => file.sync_data(),
            Self::Memory(_) => Ok(()),
        }
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => FileExt::read_at(file, buffer, at),
            Self::Memory(bytes) => {
                bytes.lock().unwrap_or_else(PoisonError::into_inner).read_at(at, buffer)
            }
        }
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => FileExt::write_at(file, bytes, at),
            Self::Memory(all) => {
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                all.as_mut_slice().write_at(at, bytes)
            }
        }
    }
}

/// Bytes as the verifier reads and writes them.
#[derive(Clone, Copy)]
pub(super) struct At<'a>(pub(super) &'a Bytes);

impl ReadAt for At<'_> {
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(at, buffer)
    }
}

impl WriteAt for At<'_> {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(at, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
