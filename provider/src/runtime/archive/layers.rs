//! How large the layers are once unpacked, so that a small tarball cannot
//! fill the engine's disk.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use flate2::read::MultiGzDecoder;

use super::index::Extent;
use super::{bad, ImageLimits};
use crate::runtime::RuntimeError;

const GZIP: [u8; 2] = [0x1f, 0x8b];
/// First bytes of compressions that the oldest supported engine lacks or
/// that cannot be measured here.
const OTHERS: [(&[u8], &str); 3] =
    [(b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2")];

/// Refuses layers that unpack to more than the limit, or by other means than
/// gzip.
pub(super) fn check(
    file: &File,
    layers: &[Extent],
    limits: &ImageLimits,
) -> Result<(), RuntimeError> {
    let mut left = limits.unpacked_bytes;
    for layer in layers {
        let unpacked = unpacked_bytes(file, *layer, left)?;
        left = left.checked_sub(unpacked).ok_or_else(|| {
            bad(format!("its layers unpack to more than {} bytes", limits.unpacked_bytes))
        })?;
    }
    Ok(())
}

fn unpacked_bytes(file: &File, layer: Extent, limit: u64) -> Result<u64, RuntimeError> {
    let mut head = Vec::new();
    ExtentReader::new(file, layer).take(6).read_to_end(&mut head).map_err(cut_short)?;
    if let Some((_, name)) = OTHERS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(bad(format!("a layer is compressed with {name}; gzip or none is taken")));
    }
    if !head.starts_with(&GZIP) {
        return Ok(layer.bytes);
    }
    let reader = io::BufReader::with_capacity(64 << 10, ExtentReader::new(file, layer));
    let mut inflated = MultiGzDecoder::new(reader).take(limit.saturating_add(1));
    io::copy(&mut inflated, &mut io::sink()).map_err(|e| bad(format!("a layer's gzip: {e}")))
}

fn cut_short(error: io::Error) -> RuntimeError {
    bad(format!("a layer cannot be read: {error}"))
}

/// Reads one part of a file, without the file's own cursor.
pub(in crate::runtime) struct ExtentReader<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl<'a> ExtentReader<'a> {
    pub(in crate::runtime) fn new(file: &'a File, extent: Extent) -> Self {
        Self { file, offset: extent.offset, left: extent.bytes }
    }
}

impl Read for ExtentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}
