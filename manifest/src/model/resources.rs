//! What an instance has: processor, memory, volumes, graphics processors, endpoints.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::json;

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
