//! What is shipped with a deployment, by content; and what a service runs: an image in a registry,
//! or one of those.

use std::fmt;

/// A file shipped with the deployment, by content: an image, or a volume's first content.
/// Canonical form: `blob:<64 hex digits of the BLAKE3 root>:<bytes>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Blob {
    /// BLAKE3 root of the file.
    pub root: blake3::Hash,
    /// The file's length in bytes, at least 1.
    pub bytes: u64,
}

impl Blob {
    /// The blob with this root, in hex of 64 lower-case digits, and length.
    pub fn from_hex(root: &str, bytes: u64) -> Option<Self> {
        let lower = root.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if root.len() != 64 || !lower || bytes == 0 {
            return None;
        }
        blake3::Hash::from_hex(root).ok().map(|root| Self { root, bytes })
    }

    /// Reads the canonical form, and no other.
    pub fn parse(text: &str) -> Option<Self> {
        let (root, bytes) = text.strip_prefix(BLOB_PREFIX)?.split_once(':')?;
        let length = crate::units::whole(bytes)?;
        let canonical = length.to_string() == bytes;
        Self::from_hex(root, length).filter(|_| canonical)
    }
}

impl fmt::Display for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}:{}", BLOB_PREFIX, self.root.to_hex(), self.bytes)
    }
}

const BLOB_PREFIX: &str = "blob:";

/// A canonical `image`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageRef {
    /// To be pulled from a registry, by this name.
    Registry(String),
    /// Shipped with the deployment.
    Blob(Blob),
}

impl ImageRef {
    /// Reads a canonical `image`. `None` where it is empty, has spaces or control characters,
    /// names a file, or is a malformed `blob:`.
    pub fn parse(image: &str) -> Option<Self> {
        const LONGEST: usize = 512;
        if image.starts_with(BLOB_PREFIX) {
            return Blob::parse(image).map(Self::Blob);
        }
        let odd = image.chars().any(|c| c.is_control() || c.is_whitespace());
        let empty = image.is_empty() || image.len() > LONGEST;
        (!empty && !odd && !is_file(image)).then(|| Self::Registry(image.to_owned()))
    }
}

/// Whether an SDL file's `image` or `data` names a file to be shipped: it begins with `./`, `../`
/// or `/`.
pub fn is_file(image: &str) -> bool {
    image.starts_with("./") || image.starts_with("../") || image.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_go_there_and_back() {
        let blob = Blob { root: blake3::hash(b"x"), bytes: 10_240 };
        assert_eq!(ImageRef::parse(&blob.to_string()), Some(ImageRef::Blob(blob)));
    }

    #[test]
    fn refuses_what_is_neither() {
        let hex = "a".repeat(64);
        for wrong in [
            "",
            "./web.tar",
            "/web.tar",
            "nginx latest",
            "blob:",
            "blob:abc:1",
            &format!("blob:{hex}:0"),
            &format!("blob:{hex}:01"),
            &format!("blob:{}:1", hex.to_uppercase()),
            &format!("blob:{hex}"),
        ] {
            assert_eq!(ImageRef::parse(wrong), None, "{wrong}");
        }
        assert!(matches!(ImageRef::parse("ghcr.io/a/b:1@sha256:ab"), Some(ImageRef::Registry(_))));
    }
}
