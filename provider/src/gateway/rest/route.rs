//! Reading a request's path and query. Any text may come here.

use http::Method;
use stoa_client::ids::TextId;
use stoa_client::proto::types::v1::{BidId, DeploymentId, OrderId};
use stoa_client::Address;
use tonic::Status;

use super::query::Query;

/// Bytes of a path.
const MAX_PATH: usize = 1024;
/// Words of a shell's command in a query.
const MAX_WORDS: usize = 64;

/// What a request is for. Leases are named without their provider: it is the
/// one that is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    Status,
    Version,
    LeaseStatus { lease: Lease, follow: bool },
    Logs { lease: Lease, wanted: LogsWanted },
    Events { lease: Lease, follow: bool, after: u64 },
    GetManifest { lease: Lease },
    PutManifest { deployment: DeploymentId },
    Connections { deployment: DeploymentId },
    Screen { order: OrderId },
    Restart { lease: Lease, service: String, instance: Option<u32> },
    Shell { place: Place, command: Vec<String>, tty: bool, rows: u32, columns: u32 },
    Port { place: Place, port: u32 },
    GetFiles { place: Place, path: String },
    PutFiles { place: Place, path: String },
}

/// A lease at this provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub owner: String,
    pub dseq: u64,
    pub gseq: u32,
    pub oseq: u32,
}

/// An instance of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub lease: Lease,
    pub service: String,
    pub instance: u32,
}

/// Which part of the logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogsWanted {
    /// Empty: all.
    pub service: String,
    pub instance: Option<u32>,
    pub follow: bool,
    pub tail: Option<u32>,
    /// Unix seconds.
    pub since: u64,
}

impl Lease {
    /// With the provider that it is at.
    pub fn id(&self, provider: &str) -> BidId {
        BidId {
            owner: self.owner.clone(),
            dseq: self.dseq,
            gseq: self.gseq,
            oseq: self.oseq,
            provider: provider.into(),
        }
    }
}

impl Route {
    /// Reads a method, path and query.
    ///
    /// # Errors
    /// Not found where there is no such path, unimplemented where it is
    /// there with another method, invalid argument with what is wrong else.
    pub fn parse(method: &Method, path: &str, query: &str) -> Result<Self, Status> {
        let unknown = || {
            let shown: String = path.chars().take(80).collect();
            Status::not_found(format!("there is no {shown}; docs/provider.md lists the paths"))
        };
        if path.len() > MAX_PATH {
            return Err(Status::invalid_argument(format!("a path has at most {MAX_PATH} bytes")));
        }
        let mut query = Query::parse(query)?;
        let parts: Vec<&str> = path.strip_prefix('/').ok_or_else(unknown)?.split('/').collect();
        let (route, right) = match parts.as_slice() {
            ["status"] => (Self::Status, Method::GET),
            ["version"] => (Self::Version, Method::GET),
            ["deployment", owner, dseq, "manifest"] => {
                let deployment =
                    DeploymentId { owner: address(owner)?, dseq: number(dseq, "dseq")? };
                (Self::PutManifest { deployment }, Method::PUT)
            }
            ["deployment", owner, dseq, "connections"] => {
                let deployment =
                    DeploymentId { owner: address(owner)?, dseq: number(dseq, "dseq")? };
                (Self::Connections { deployment }, Method::GET)
            }
            ["order", owner, dseq, gseq, oseq, "screen"] => {
                let order = OrderId {
                    owner: address(owner)?,
                    dseq: number(dseq, "dseq")?,
                    gseq: number(gseq, "gseq")?,
                    oseq: number(oseq, "oseq")?,
                };
                (Self::Screen { order }, Method::GET)
            }
            ["lease", owner, dseq, gseq, oseq, rest @ ..] => {
                let lease = Lease {
                    owner: address(owner)?,
                    dseq: number(dseq, "dseq")?,
                    gseq: number(gseq, "gseq")?,
                    oseq: number(oseq, "oseq")?,
                };
                Self::of_lease(method, lease, rest, &mut query)?.ok_or_else(unknown)?
            }
            _ => return Err(unknown()),
        };
        if *method != right {
            return Err(Status::unimplemented(format!("{path} takes {right}, not {method}")));
        }
        query.is_empty()?;
        Ok(route)
    }

    fn of_lease(
        method: &Method,
        lease: Lease,
        rest: &[&str],
        query: &mut Query,
    ) -> Result<Option<(Self, Method)>, Status> {
        Ok(Some(match rest {
            ["status"] => (Self::LeaseStatus { lease, follow: query.flag("follow")? }, Method::GET),
            ["logs"] => {
                let wanted = LogsWanted {
                    service: query.optional("service")?.map_or(Ok(String::new()), service)?,
                    instance: query.number("instance")?,
                    follow: query.flag("follow")?,
                    tail: query.number("tail")?,
                    since: query.number("since")?.unwrap_or(0),
                };
                (Self::Logs { lease, wanted }, Method::GET)
            }
            ["events"] => {
                let follow = query.flag("follow")?;
                let after = query.number("after")?.unwrap_or(0);
                (Self::Events { lease, follow, after }, Method::GET)
            }
            ["manifest"] => (Self::GetManifest { lease }, Method::GET),
            ["service", name, rest @ ..] => {
                let name = service((*name).into())?;
                return Self::of_service(method, lease, name, rest, query);
            }
            _ => return Ok(None),
        }))
    }

    fn of_service(
        method: &Method,
        lease: Lease,
        service: String,
        rest: &[&str],
        query: &mut Query,
    ) -> Result<Option<(Self, Method)>, Status> {
        let instance = query.number("instance")?;
        let place = |lease, service| Place { lease, service, instance: instance.unwrap_or(0) };
        Ok(Some(match rest {
            ["restart"] => (Self::Restart { lease, service, instance }, Method::POST),
            ["shell"] => {
                let command = query.all("command", MAX_WORDS)?;
                let tty = query.flag("tty")?;
                let rows = query.number("rows")?.unwrap_or(0);
                let columns = query.number("columns")?.unwrap_or(0);
                let place = place(lease, service);
                (Self::Shell { place, command, tty, rows, columns }, Method::GET)
            }
            ["port", port] => {
                let port = number(port, "port")?;
                (Self::Port { place: place(lease, service), port }, Method::GET)
            }
            ["files"] => {
                let missing = || Status::invalid_argument("files needs ?path=/…");
                let path = query.optional("path")?.ok_or_else(missing)?;
                let place = place(lease, service);
                match *method {
                    Method::PUT => (Self::PutFiles { place, path }, Method::PUT),
                    _ => (Self::GetFiles { place, path }, Method::GET),
                }
            }
            _ => return Ok(None),
        }))
    }

    /// What anybody may ask.
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Status | Self::Version)
    }

    /// The path that it is read from, without its query.
    pub fn path(&self) -> String {
        let of = |lease: &Lease| {
            format!("/lease/{}/{}/{}/{}", lease.owner, lease.dseq, lease.gseq, lease.oseq)
        };
        let at = |place: &Place| format!("{}/service/{}", of(&place.lease), place.service);
        match self {
            Self::Status => "/status".into(),
            Self::Version => "/version".into(),
            Self::LeaseStatus { lease, .. } => format!("{}/status", of(lease)),
            Self::Logs { lease, .. } => format!("{}/logs", of(lease)),
            Self::Events { lease, .. } => format!("{}/events", of(lease)),
            Self::GetManifest { lease } => format!("{}/manifest", of(lease)),
            Self::PutManifest { deployment } => {
                format!("/deployment/{}/manifest", deployment.text())
            }
            Self::Connections { deployment } => {
                format!("/deployment/{}/connections", deployment.text())
            }
            Self::Screen { order } => format!("/order/{}/screen", order.text()),
            Self::Restart { lease, service, .. } => {
                format!("{}/service/{service}/restart", of(lease))
            }
            Self::Shell { place, .. } => format!("{}/shell", at(place)),
            Self::Port { place, port } => format!("{}/port/{port}", at(place)),
            Self::GetFiles { place, .. } | Self::PutFiles { place, .. } => {
                format!("{}/files", at(place))
            }
        }
    }
}

fn address(text: &str) -> Result<String, Status> {
    text.parse::<Address>()
        .map(|address| address.to_string())
        .map_err(|error| Status::invalid_argument(error.to_string()))
        .and_then(|written| match written == text {
            true => Ok(written),
            false => Err(Status::invalid_argument(format!("write the address as {written}"))),
        })
}

/// A number in its one form: no sign, no zero before it.
fn number<T: std::str::FromStr + ToString>(text: &str, what: &str) -> Result<T, Status> {
    let parsed = text.parse::<T>().ok().filter(|number| number.to_string() == text);
    parsed.ok_or_else(|| {
        let shown: String = text.chars().take(24).collect();
        Status::invalid_argument(format!("{what}: `{shown}` is no number"))
    })
}

/// As manifests name services.
fn service(name: String) -> Result<String, Status> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    match !name.is_empty() && name.len() <= 63 && name.bytes().all(plain) {
        true => Ok(name),
        false => Err(Status::invalid_argument("a service's name is 1 to 63 of a-z, 0-9 and -")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::tenant;

    fn get(path: &str, query: &str) -> Result<Route, Status> {
        Route::parse(&Method::GET, path, query)
    }

    fn lease() -> String {
        format!("/lease/{}/7/1/2", tenant())
    }

    #[test]
    fn paths_are_read_and_written_alike() {
        let lease = lease();
        for (method, path, query) in [
            ("GET", "/status".to_string(), ""),
            ("GET", "/version".into(), ""),
            ("GET", format!("{lease}/status"), "follow=true"),
            ("GET", format!("/deployment/{}/7/connections", tenant()), ""),
            ("GET", format!("/order/{}/7/1/2/screen", tenant()), ""),
            ("GET", format!("{lease}/logs"), "follow&tail=0&since=9&service=web&instance=1"),
            ("GET", format!("{lease}/events"), "after=7"),
            ("GET", format!("{lease}/manifest"), ""),
            ("PUT", format!("/deployment/{}/7/manifest", tenant()), ""),
            ("POST", format!("{lease}/service/web/restart"), "instance=0"),
            ("GET", format!("{lease}/service/web/shell"), "tty&command=ls&command=-l&rows=20"),
            ("GET", format!("{lease}/service/web/port/8080"), ""),
            ("GET", format!("{lease}/service/web/files"), "path=%2Fetc%2Fa+b"),
            ("PUT", format!("{lease}/service/web/files"), "path=/etc"),
        ] {
            let method: Method = method.parse().unwrap();
            let route = Route::parse(&method, &path, query).unwrap();
            assert_eq!(route.path(), path);
        }
        let Route::Logs { wanted, .. } = get(&format!("{lease}/logs"), "tail=0").unwrap() else {
            panic!("logs")
        };
        assert_eq!((wanted.tail, wanted.follow), (Some(0), false));
        let files = get(&format!("{lease}/service/web/files"), "path=%2Fetc%2Fa+b").unwrap();
        assert!(matches!(files, Route::GetFiles { path, .. } if path == "/etc/a b"));
    }

    #[test]
    fn what_is_not_a_path_of_ours_is_refused() {
        let lease = lease();
        for path in ["", "/", "status", "//status", "/status/", "/lease", "/../status", "/STATUS"] {
            assert_eq!(get(path, "").unwrap_err().code(), tonic::Code::NotFound, "{path}");
        }
        for (path, query) in [
            (format!("/lease/{}/07/1/2/status", tenant()), ""),
            (format!("/lease/{}/+7/1/2/status", tenant()), ""),
            (format!("/lease/{}/7/1/4294967296/status", tenant()), ""),
            (format!("/lease/{}/7/1/2/status", tenant().to_uppercase()), ""),
            ("/lease/stoa1x/7/1/2/status".into(), ""),
            (format!("{lease}/service/We%62/shell"), ""),
            (format!("{lease}/service/a..b/shell"), ""),
            (format!("{lease}/service/web/port/65536x"), ""),
            (format!("{lease}/service/web/files"), ""),
            (format!("{lease}/logs"), "tail=-1"),
            (format!("{lease}/logs"), "tail=1&tail=2"),
            (format!("{lease}/logs"), "tial=1"),
            (format!("{lease}/logs"), "follow=yes"),
            (format!("{lease}/logs"), "service=%zz"),
            ("/status".into(), "x=1"),
        ] {
            let error = get(&path, query).unwrap_err();
            assert_eq!(error.code(), tonic::Code::InvalidArgument, "{path}?{query}: {error}");
        }
        let wrong = Route::parse(&Method::POST, "/status", "").unwrap_err();
        assert_eq!(wrong.code(), tonic::Code::Unimplemented);
        assert!(get(&format!("/{}", "a".repeat(MAX_PATH)), "").is_err());
    }

    #[test]
    fn no_change_of_a_byte_makes_the_reader_panic_or_read_another_path_than_it_writes() {
        let path = format!("{}/service/web/files", lease());
        let query = "path=%2Fetc&instance=1";
        let whole = format!("{path}?{query}");
        for at in 0..whole.len() {
            for byte in [b'/', b'%', b'+', b'&', b'=', b'?', b'.', b'0', b'A', b' ', 0x7f] {
                let mut bytes = whole.clone().into_bytes();
                bytes[at] = byte;
                let text = String::from_utf8(bytes).unwrap();
                let (path, query) = text.split_once('?').unwrap_or((&text, ""));
                if let Ok(route) = get(path, query) {
                    assert_eq!(route.path(), path);
                }
            }
        }
    }
}
