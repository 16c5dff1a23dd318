//! The image that an archive is made into.

use std::io::{self, Write};

use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use super::{Bundle, Entry, Kind, BYTES_LABEL, CONTENT, OWNERS_LABEL};
use crate::runtime::archive::layers::ExtentReader;
use crate::runtime::archive::{bad, host_architecture};
use crate::runtime::RuntimeError;

/// A tar's block.
const BLOCK: u64 = 512;

impl Bundle {
    /// With its layer's size and hash, which stand before it in the image.
    pub(super) fn measured(mut self) -> Result<Self, RuntimeError> {
        let mut sink = Measuring { hash: Sha256::new(), bytes: 0 };
        self.write_layer(&mut sink).map_err(|e| bad(format!("it cannot be read: {e}")))?;
        self.layer_bytes = sink.bytes;
        self.diff_id = format!("sha256:{}", hex::encode(sink.hash.finalize()));
        Ok(self)
    }

    /// Streams the image as a docker-archive under one name. Blocking.
    pub(in crate::runtime) fn write_image(&self, tag: &str, mut out: impl Write) -> io::Result<()> {
        let config = json!({
            "architecture": host_architecture(),
            "os": "linux",
            "config": { "Labels": {
                BYTES_LABEL: self.bytes.to_string(),
                OWNERS_LABEL: self.says_owners.to_string(),
            } },
            "rootfs": { "type": "layers", "diff_ids": [self.diff_id] },
        })
        .to_string();
        let config_name = format!("{}.json", hex::encode(Sha256::digest(config.as_bytes())));
        let manifest =
            json!([{ "Config": config_name, "RepoTags": [tag], "Layers": ["layer.tar"] }]);
        write_member(&mut out, &config_name, config.as_bytes())?;
        begin_member(&mut out, "layer.tar", self.layer_bytes)?;
        self.write_layer(&mut out)?;
        write_member(&mut out, "manifest.json", manifest.to_string().as_bytes())?;
        out.write_all(&[0; 2 * BLOCK as usize])?;
        out.flush()
    }

    /// Folders before what is in them, and hard links last.
    fn write_layer(&self, out: impl Write) -> io::Result<()> {
        let mut layer = tar::Builder::new(out);
        let content = CONTENT.trim_start_matches('/');
        let above = content.split('/').next().unwrap_or(content);
        self.write_entry(&mut layer, above, &Entry::folder())?;
        let is_hard = |entry: &Entry| matches!(entry.kind, Kind::Hard(_));
        for hard in [false, true] {
            for (name, entry) in self.entries.iter().filter(|(_, e)| is_hard(e) == hard) {
                self.write_entry(&mut layer, &below(content, name), entry)?;
            }
        }
        layer.into_inner().map(drop)
    }

    fn write_entry<W: Write>(
        &self,
        layer: &mut tar::Builder<W>,
        name: &str,
        entry: &Entry,
    ) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_mode(entry.mode);
        header.set_uid(entry.user);
        header.set_gid(entry.group);
        header.set_mtime(entry.time);
        header.set_size(0);
        match &entry.kind {
            Kind::Folder => {
                header.set_entry_type(EntryType::Directory);
                layer.append_data(&mut header, format!("{name}/"), io::empty())
            }
            Kind::File(extent) => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(extent.bytes);
                layer.append_data(&mut header, name, ExtentReader::new(&self.file, *extent))
            }
            Kind::Symlink(target) => {
                header.set_entry_type(EntryType::Symlink);
                layer.append_link(&mut header, name, target)
            }
            Kind::Hard(target) => {
                header.set_entry_type(EntryType::Link);
                let content = CONTENT.trim_start_matches('/');
                layer.append_link(&mut header, name, below(content, target))
            }
        }
    }
}

fn below(folder: &str, name: &str) -> String {
    match name {
        "" => folder.to_owned(),
        name => format!("{folder}/{name}"),
    }
}

fn begin_member(out: &mut impl Write, name: &str, bytes: u64) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_path(name)?;
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_cksum();
    out.write_all(header.as_bytes())
}

fn write_member(out: &mut impl Write, name: &str, content: &[u8]) -> io::Result<()> {
    begin_member(out, name, content.len() as u64)?;
    out.write_all(content)?;
    let rest = (content.len() as u64).next_multiple_of(BLOCK) - content.len() as u64;
    out.write_all(&vec![0; rest as usize])
}

/// Hashes and counts what is written.
struct Measuring {
    hash: Sha256,
    bytes: u64,
}

impl Write for Measuring {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.hash.update(buffer);
        self.bytes = self.bytes.saturating_add(buffer.len() as u64);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
