//! The manifest: what a provider is told to run. Its canonical form is in `canonical.rs`; the
//! order of lists is part of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::image::{Blob, ImageRef};
use crate::json;

/// What a deployment runs: its groups, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest {
    /// One group for each placement, sorted by name.
    pub groups: Vec<Group>,
}

impl Manifest {
    /// The group of this name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The images shipped with the deployment, each once, in order of first use.
    pub fn blobs(&self) -> Vec<Blob> {
        let mut blobs = Vec::new();
        for service in self.groups.iter().flat_map(|group| &group.services) {
            if let Some(ImageRef::Blob(blob)) = ImageRef::parse(&service.image) {
                if !blobs.contains(&blob) {
                    blobs.push(blob);
                }
            }
        }
        blobs
    }
}

/// The services placed together at one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The placement's name.
    pub name: String,
    /// Sorted by name, at least one.
    pub services: Vec<Service>,
}

/// One workload.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// `^[a-z]([-a-z0-9]*[a-z0-9])?$`.
    pub name: String,
    /// A registry's image, or `blob:<root>:<bytes>`; see [`ImageRef`].
    pub image: String,
    /// Overrides the image's entry point.
    pub command: Option<Vec<String>>,
    /// Overrides the image's command.
    pub args: Option<Vec<String>>,
    /// `NAME=value` or `NAME`. May hold secrets.
    pub env: Option<Vec<String>>,
    /// What each instance has.
    pub resources: ResourceUnit,
    /// Instances, at least 1.
    pub count: u32,
    /// Sorted by (service, port, protocol, global first).
    pub expose: Vec<Expose>,
    /// Mounts and permissions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Params>,
    /// For a private registry.
    pub credentials: Option<Credentials>,
    /// What the service may reach. The key is there only for [`Egress::None`], so that a file
    /// which does not use it keeps its version.
    #[serde(default, skip_serializing_if = "Egress::is_public")]
    pub egress: Egress,
}

impl Service {
    /// The image, taken apart; `None` only in a manifest that was never checked.
    pub fn image_ref(&self) -> Option<ImageRef> {
        ImageRef::parse(&self.image)
    }
}

impl fmt::Debug for Service {
    /// Leaves out the values of variables, for they may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Option<Vec<&str>> = self
            .env
            .as_ref()
            .map(|env| env.iter().map(|e| crate::names::variable_name(e)).collect());
        f.debug_struct("Service")
            .field("name", &self.name)
            .field("image", &self.image)
            .field("env (names)", &names)
            .field("resources", &self.resources)
            .field("count", &self.count)
            .field("expose", &self.expose)
            .field("params", &self.params)
            .field("credentials", &self.credentials)
            .field("egress", &self.egress)
            .finish_non_exhaustive()
    }
}

/// What a service may reach outside its own deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// The public internet.
    #[default]
    Public,
    /// Nothing.
    None,
}

impl Egress {
    fn is_public(&self) -> bool {
        *self == Self::Public
    }
}

/// What one instance has. The same shape stands in a group spec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceUnit {
    /// From 1 within the group.
    pub id: u32,
    /// Processor.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// Volumes, sorted by size.
    pub storage: Vec<Storage>,
    /// Graphics processors; there with 0 units where none are asked for.
    pub gpu: Gpu,
    /// What the group needs of the provider's addresses.
    pub endpoints: Vec<Endpoint>,
}

/// Processor of a [`ResourceUnit`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// Millicores.
    #[serde(with = "json::val")]
    pub units: u64,
    /// `arch` where asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
}

/// Memory of a [`ResourceUnit`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Bytes.
    #[serde(with = "json::val")]
    pub size: u64,
    /// None are defined yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
}

/// A volume of a [`ResourceUnit`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Unique within the unit.
    pub name: String,
    /// Bytes.
    #[serde(with = "json::val")]
    pub size: u64,
    /// `class` and `persistent`, where given. Without them the volume is ephemeral.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
}

impl Storage {
    /// The value of an attribute, such as `class`.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|a| a.key == key).map(|a| a.value.as_str())
    }

    /// The chain's word for what kind of volume it is: `ephemeral`, `ram`, or a persistent class
    /// (`default`, `beta1`, `beta2`, `beta3`), however the attributes spell it.
    pub fn class(&self) -> &str {
        match (self.attribute("class"), self.is_persistent()) {
            (Some(class), _) => class,
            (None, true) => "default",
            (None, false) => "ephemeral",
        }
    }

    /// Whether the volume outlives its container.
    pub fn is_persistent(&self) -> bool {
        self.attribute("persistent") == Some("true")
    }
}

/// Graphics processors of a [`ResourceUnit`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// How many.
    #[serde(with = "json::val")]
    pub units: u64,
    /// Acceptable ones: `vendor/VENDOR/model/MODEL[/ram/NGi][/interface/pcie|sxm]` = `true`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

impl Attribute {
    /// `key` = `value`.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// An address that a unit needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Left out of JSON for shared HTTP.
    #[serde(default, skip_serializing_if = "EndpointKind::is_shared_http")]
    pub kind: EndpointKind,
    /// Which leased IP; 0 for the other kinds.
    pub sequence_number: u32,
}

/// The kinds of [`Endpoint`]; their numbers are part of the canonical form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u32", try_from = "u32")]
pub enum EndpointKind {
    /// 0: the provider's shared HTTP ingress, by host name.
    #[default]
    SharedHttp,
    /// 1: a port of the provider's choice.
    RandomPort,
    /// 2: an IP of the tenant's own.
    LeasedIp,
}

impl EndpointKind {
    fn is_shared_http(&self) -> bool {
        *self == Self::SharedHttp
    }
}

impl fmt::Display for EndpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SharedHttp => "shared HTTP",
            Self::RandomPort => "random port",
            Self::LeasedIp => "leased IP",
        })
    }
}

impl From<EndpointKind> for u32 {
    fn from(kind: EndpointKind) -> u32 {
        match kind {
            EndpointKind::SharedHttp => 0,
            EndpointKind::RandomPort => 1,
            EndpointKind::LeasedIp => 2,
        }
    }
}

impl TryFrom<u32> for EndpointKind {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        match number {
            0 => Ok(Self::SharedHttp),
            1 => Ok(Self::RandomPort),
            2 => Ok(Self::LeasedIp),
            other => Err(format!("{other} is not an endpoint kind: 0, 1 or 2")),
        }
    }
}

/// A port that others may reach, and who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expose {
    /// Port in the container, 1..65535.
    pub port: u16,
    /// Port as seen from outside; 0 means the same.
    pub external_port: u16,
    /// Transport.
    pub proto: Proto,
    /// The service that may connect, at whatever placement; empty for none in particular.
    pub service: String,
    /// Whether the world may connect.
    pub global: bool,
    /// Host names for the shared HTTP ingress.
    pub hosts: Option<Vec<String>>,
    /// The ingress's limits.
    pub http_options: HttpOptions,
    /// Name of the leased IP, or empty.
    pub ip: String,
    /// Which leased IP, from 1; 0 for none.
    pub endpoint_sequence_number: u32,
}

impl Expose {
    /// The port as seen from outside.
    pub fn outside_port(&self) -> u16 {
        if self.external_port == 0 {
            self.port
        } else {
            self.external_port
        }
    }

    /// Whether the shared HTTP ingress serves it: TCP, global, port 80.
    pub fn is_ingress(&self) -> bool {
        self.proto == Proto::Tcp && self.global && self.outside_port() == 80
    }

    /// The endpoints that it takes: none unless global; a leased IP stands after the other.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        if !self.global {
            return Vec::new();
        }
        let kind =
            if self.is_ingress() { EndpointKind::SharedHttp } else { EndpointKind::RandomPort };
        let mut endpoints = vec![Endpoint { kind, sequence_number: 0 }];
        if !self.ip.is_empty() {
            endpoints.push(Endpoint {
                kind: EndpointKind::LeasedIp,
                sequence_number: self.endpoint_sequence_number,
            });
        }
        endpoints
    }

    /// What exposes are sorted by.
    pub(crate) fn order(&self) -> (&str, u16, Proto, bool) {
        (&self.service, self.port, self.proto, !self.global)
    }
}

/// Transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Proto {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// The ingress's limits for one port. Times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpOptions {
    /// Bytes of a request's body.
    pub max_body_size: u32,
    /// Wait for a response.
    pub read_timeout: u32,
    /// Wait for a request to be taken.
    pub send_timeout: u32,
    /// Tries at other instances.
    pub next_tries: u32,
    /// Time for those tries; 0 means no limit.
    pub next_timeout: u32,
    /// When to try another instance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next_cases: Vec<String>,
    /// Buffer for a response's head in bytes; 0 (left out) means the provider's default.
    #[serde(default, skip_serializing_if = "json::is_zero")]
    pub proxy_buffer_size: u32,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            max_body_size: 1_048_576,
            read_timeout: 60_000,
            send_timeout: 60_000,
            next_tries: 3,
            next_timeout: 0,
            next_cases: vec!["error".to_owned(), "timeout".to_owned()],
            proxy_buffer_size: 0,
        }
    }
}

/// A service's parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Where volumes are mounted, sorted by volume.
    #[serde(with = "json::null_if_empty")]
    pub storage: Vec<Mount>,
    /// What the service may read about its own deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
    /// A trusted execution environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tee: Option<Tee>,
}

/// Where a volume is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mount {
    /// The volume.
    pub name: String,
    /// An absolute path.
    pub mount: String,
    /// Whether it may not be written.
    pub read_only: bool,
}

/// What a service may read about its own deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// `deployment`, `logs`, `events`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
}

/// A trusted execution environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tee {
    /// What is inside.
    #[serde(rename = "type")]
    pub kind: TeeKind,
    /// Always true.
    pub attestation: bool,
}

/// What is inside a trusted execution environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TeeKind {
    /// The processor.
    Cpu,
    /// The processor and the graphics processors.
    CpuGpu,
}

impl TeeKind {
    /// As the SDL writes it: `cpu` or `cpu-gpu`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::CpuGpu => "cpu-gpu",
        }
    }
}

/// For a private registry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The registry.
    pub host: String,
    /// May be empty; always so in 2.0 files.
    pub email: String,
    /// The account.
    pub username: String,
    /// Secret.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("host", &self.host)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}
