//! A service's parameters, and its account at a private registry.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::image::Blob;
use crate::json;

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
    /// What is in the volume at first: a tar archive shipped with the deployment, as
    /// `blob:<root>:<bytes>`. The key is there only where it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

impl Mount {
    /// The archive with the volume's first content, taken apart.
    pub fn bundle(&self) -> Option<Blob> {
        self.data.as_deref().and_then(Blob::parse)
    }
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
