//! What a tenant may have unpacked into its instance: files, directories,
//! links. The engine unpacks as root, so that devices, sparse files (a few
//! bytes that become many) and packed streams (the same, and unseen) are
//! kept from it, and so is what two readers could read in two ways.

/// A tar record.
const BLOCK: usize = 512;
/// Of a long name or extended header.
const MAX_EXTRA: u64 = 64 << 10;

/// Follows a tar stream, piece by piece.
#[derive(Debug, Default)]
pub(super) struct TarCheck {
    block: Vec<u8>,
    /// Bytes of the present entry's content that are still to come, padding
    /// included.
    left: u64,
    /// An extended header that is being read, and how long it is.
    extended: Option<(Vec<u8>, u64)>,
    /// Two empty records: only zeros may follow.
    ended: bool,
}

impl TarCheck {
    /// Looks at the next piece; an error says what may not be in it.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> Result<(), String> {
        while !piece.is_empty() {
            if self.left > 0 {
                let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(piece.len());
                let (content, rest) = piece.split_at(count);
                if let Some((text, _)) = &mut self.extended {
                    text.extend_from_slice(content);
                }
                self.left -= count as u64;
                piece = rest;
                if self.left == 0 {
                    self.end_entry()?;
                }
                continue;
            }
            let count = (BLOCK - self.block.len()).min(piece.len());
            let (part, rest) = piece.split_at(count);
            self.block.extend_from_slice(part);
            piece = rest;
            if self.block.len() == BLOCK {
                let block = std::mem::take(&mut self.block);
                self.begin_entry(&block)?;
            }
        }
        Ok(())
    }

    fn begin_entry(&mut self, block: &[u8]) -> Result<(), String> {
        if block.iter().all(|byte| *byte == 0) {
            self.ended = true;
            return Ok(());
        }
        if self.ended {
            return Err("something follows its end".into());
        }
        if block.get(257..262) != Some(b"ustar") {
            return Err("not an unpacked tar archive (of the forms ustar, pax or GNU)".into());
        }
        let kind = block.get(156).copied().unwrap_or_default();
        let size = size_of(block).ok_or("an entry's size is no number")?;
        let has_content = match kind {
            b'0' | 0 | b'7' => true,
            // Links and directories have no content, whatever they say.
            b'1' | b'2' | b'5' => {
                if size != 0 && kind != b'1' {
                    return Err("a link or directory with content".into());
                }
                if size != 0 {
                    return Err("a hard link with content".into());
                }
                false
            }
            b'x' | b'L' | b'K' => {
                if size > MAX_EXTRA {
                    return Err(format!("a header of {size} bytes; at most {MAX_EXTRA}"));
                }
                self.extended = (kind == b'x').then(|| (vec![], size));
                true
            }
            b'3' | b'4' => return Err("devices may not be copied".into()),
            b'6' => return Err("pipes may not be copied".into()),
            b'S' => return Err("sparse files may not be copied; pack them in full".into()),
            other => return Err(format!("an entry of the kind {:?}", char::from(other))),
        };
        let padded = size.checked_next_multiple_of(BLOCK as u64).ok_or("an entry too large")?;
        self.left = if has_content { padded } else { 0 };
        if self.left == 0 {
            self.end_entry()?;
        }
        Ok(())
    }

    fn end_entry(&mut self) -> Result<(), String> {
        let Some((mut text, size)) = self.extended.take() else { return Ok(()) };
        text.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        // A size here would go over the one that was followed.
        for key in keys_of(&text)? {
            if key == b"size" || key.starts_with(b"GNU.sparse") {
                let key = String::from_utf8_lossy(&key).into_owned();
                return Err(format!("an extended header with {key}"));
            }
        }
        Ok(())
    }
}

/// Octal, or GNU's base 256.
fn size_of(block: &[u8]) -> Option<u64> {
    let field = block.get(124..136)?;
    if field[0] & 0x80 != 0 {
        if field[0] != 0x80 || field[1..4].iter().any(|byte| *byte != 0) {
            return None;
        }
        return Some(field[4..].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches(|c: char| c == '\0' || c == ' ');
    match text {
        "" => Some(0),
        digits if digits.bytes().all(|b| (b'0'..=b'7').contains(&b)) => {
            u64::from_str_radix(digits, 8).ok()
        }
        _ => None,
    }
}

/// The keys of records `LENGTH KEY=VALUE\n`.
fn keys_of(mut text: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let bad = || "an extended header that is none".to_string();
    let mut keys = vec![];
    while !text.is_empty() {
        let space = text.iter().take(8).position(|byte| *byte == b' ').ok_or_else(bad)?;
        let length = std::str::from_utf8(&text[..space]).ok().and_then(|t| t.parse().ok());
        let length: usize = length.filter(|length| *length > space + 1).ok_or_else(bad)?;
        let record = text.get(space + 1..length).ok_or_else(bad)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(bad)?;
        if record.last() != Some(&b'\n') {
            return Err(bad());
        }
        keys.push(record[..equals].to_vec());
        text = &text[length..];
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tar = tar::Builder<Vec<u8>>;

    fn archive(fill: impl FnOnce(&mut Tar)) -> Vec<u8> {
        let mut builder = tar::Builder::new(vec![]);
        fill(&mut builder);
        builder.into_inner().unwrap()
    }

    fn entry(builder: &mut Tar, kind: tar::EntryType, name: &str, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content).unwrap();
    }

    /// The verdict is the same wherever the stream is cut.
    fn verdict(archive: &[u8]) -> Result<(), String> {
        let of = |size: usize| {
            let mut check = TarCheck::default();
            archive.chunks(size).try_for_each(|piece| check.push(piece))
        };
        let whole = of(archive.len());
        for size in [1, 7, 511, 512, 513] {
            assert_eq!(of(size), whole, "cut into {size}");
        }
        whole
    }

    #[test]
    fn files_directories_links_and_long_names_pass() {
        let archive = archive(|builder| {
            entry(builder, tar::EntryType::Directory, "dir/", b"");
            entry(builder, tar::EntryType::Regular, "dir/file", &[7; 1300]);
            entry(builder, tar::EntryType::Regular, &"long/".repeat(60), b"x");
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            builder.append_link(&mut header, "link", "dir/file").unwrap();
            builder.append_pax_extensions([("mtime", &b"1.5"[..])]).unwrap();
            entry(builder, tar::EntryType::Regular, "last", b"y");
        });
        verdict(&archive).unwrap();
    }

    #[test]
    fn devices_pipes_sparse_files_and_packed_streams_are_refused() {
        for (kind, word) in [
            (tar::EntryType::Char, "devices"),
            (tar::EntryType::Block, "devices"),
            (tar::EntryType::Fifo, "pipes"),
            (tar::EntryType::GNUSparse, "sparse"),
            (tar::EntryType::XGlobalHeader, "kind 'g'"),
        ] {
            let archive = archive(|builder| entry(builder, kind, "x", b""));
            let why = verdict(&archive).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
        let packed: Vec<u8> = [0x1f, 0x8b].into_iter().chain([8; 600]).collect();
        assert!(verdict(&packed).unwrap_err().contains("unpacked"));
    }

    #[test]
    fn no_device_hides_behind_a_second_size() {
        // The engine would believe the extended header and see the device.
        let archive = archive(|builder| {
            builder.append_pax_extensions([("size", &b"0"[..])]).unwrap();
            entry(builder, tar::EntryType::Regular, "x", &[1; 512]);
        });
        assert!(verdict(&archive).unwrap_err().contains("size"));
        let sparse = |builder: &mut Tar| {
            builder.append_pax_extensions([("GNU.sparse.realsize", &b"9999999"[..])]).unwrap();
            entry(builder, tar::EntryType::Regular, "x", b"");
        };
        assert!(verdict(&super::tests::archive(sparse)).unwrap_err().contains("GNU.sparse"));
        let mut link = archive_with_link_of_size();
        assert!(verdict(&link).unwrap_err().contains("content"));
        link.truncate(100);
        verdict(&link).unwrap();
    }

    fn archive_with_link_of_size() -> Vec<u8> {
        archive(|builder| entry(builder, tar::EntryType::Link, "x", &[0; 512]))
    }

    #[test]
    fn nothing_follows_the_end_and_no_bytes_make_it_panic() {
        let mut twice = archive(|builder| entry(builder, tar::EntryType::Regular, "a", b"1"));
        let second = twice.clone();
        twice.extend(second);
        assert!(verdict(&twice).unwrap_err().contains("follows"));
        let base = archive(|builder| {
            builder.append_pax_extensions([("mtime", &b"1.5"[..])]).unwrap();
            entry(builder, tar::EntryType::Regular, "a", b"1");
        });
        for at in 0..1536.min(base.len()) {
            for byte in [0, 0x20, 0x30, 0x39, 0x80, 0xff] {
                let mut bytes = base.clone();
                bytes[at] = byte;
                let _ = TarCheck::default().push(&bytes);
            }
        }
    }
}
