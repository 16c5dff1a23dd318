//! What a provider says of itself.

use std::net::Ipv6Addr;

use stoa_proto::provider::v1 as pb;
use stoa_proto::types::v1::Attribute as PbAttribute;

use super::{Error, Params};
use crate::error::Failure;
use crate::types::{bounded, Attribute};

/// Bytes of a host URI.
const MAX_URI_BYTES: usize = 256;
/// Bytes of an e-mail address, and of a web site's.
const MAX_INFO_BYTES: usize = 256;
/// Attributes of a provider, whatever the parameters say.
pub const MAX_ATTRIBUTES: usize = 256;

/// Where it is reached, what it offers, who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub host_uri: String,
    pub attributes: Vec<Attribute>,
    pub email: String,
    pub website: String,
}

impl Profile {
    pub fn from_proto(
        host_uri: String,
        attributes: Vec<PbAttribute>,
        info: Option<pb::ProviderInfo>,
    ) -> Result<Self, Failure> {
        let info = info.unwrap_or_default();
        Ok(Self {
            host_uri: self::host_uri(host_uri)?,
            attributes: Attribute::list_from_proto(attributes, MAX_ATTRIBUTES, false)?,
            email: bounded("the e-mail address", info.email, MAX_INFO_BYTES)?,
            website: bounded("the web site", info.website, MAX_INFO_BYTES)?,
        })
    }

    /// Against what the parameters bound.
    pub fn check(&self, params: &Params) -> Result<(), Error> {
        let (count, max) = (self.attributes.len(), params.max_attributes);
        if u32::try_from(count).is_ok_and(|count| count <= max) {
            Ok(())
        } else {
            Err(Error::TooManyAttributes { count, max })
        }
    }
}

/// The URI, where it is `https://host:port` and nothing else.
pub fn host_uri(uri: String) -> Result<String, Failure> {
    let uri = bounded("the host URI", uri, MAX_URI_BYTES)?;
    if is_host_uri(&uri) {
        Ok(uri)
    } else {
        Err(Error::HostUri(uri).into())
    }
}

fn is_host_uri(uri: &str) -> bool {
    let authority = uri.strip_prefix("https://");
    let Some((host, port)) = authority.and_then(|authority| authority.rsplit_once(':')) else {
        return false;
    };
    is_host(host) && is_port(port)
}

fn is_port(port: &str) -> bool {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    digits && !port.starts_with('0') && port.parse::<u16>().is_ok()
}

/// A name by RFC 1123, an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok();
    }
    (1..=253).contains(&host.len()) && host.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_uri_is_https_host_and_port() {
        for uri in [
            "https://stoa.example.org:8443",
            "https://localhost:1",
            "https://127.0.0.1:65535",
            "https://[2001:db8::1]:8443",
        ] {
            assert!(is_host_uri(uri), "{uri}");
        }
        for uri in [
            "",
            "stoa.example.org:8443",
            "http://stoa.example.org:8443",
            "https://stoa.example.org",
            "https://stoa.example.org:",
            "https://stoa.example.org:0",
            "https://stoa.example.org:08443",
            "https://stoa.example.org:65536",
            "https://stoa.example.org:+1",
            "https://stoa.example.org:8443/",
            "https://user@stoa.example.org:8443",
            "https://stoa..org:8443",
            "https://-stoa.org:8443",
            "https://2001:db8::1:8443",
            "https://[stoa]:8443",
            "https://st\u{f6}a.org:8443",
            "https://:8443",
        ] {
            assert!(!is_host_uri(uri), "{uri}");
        }
    }
}
