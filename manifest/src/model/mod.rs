//! The manifest: what a provider is told to run. Its canonical form is in `canonical.rs`; the
//! order of lists is part of it.

mod expose;
mod params;
mod resources;

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::image::{Blob, ImageRef};
pub use expose::{Expose, HttpOptions, Proto};
pub use params::{Credentials, Mount, Params, Permissions, Tee, TeeKind};
pub use resources::{Attribute, Cpu, Endpoint, EndpointKind, Gpu, Memory, ResourceUnit, Storage};

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

    /// What is shipped with the deployment (images and volumes' first content), each once, in
    /// order of first use.
    pub fn blobs(&self) -> Vec<Blob> {
        once(self.groups.iter().flat_map(|group| &group.services))
    }
}

/// What services need of what is shipped, each once, in order of first use.
fn once<'a>(services: impl Iterator<Item = &'a Service>) -> Vec<Blob> {
    let mut seen = HashSet::new();
    services.flat_map(Service::blobs).filter(|blob| seen.insert(*blob)).collect()
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

impl Group {
    /// What its services need of what is shipped, each once, in order of first use.
    pub fn blobs(&self) -> Vec<Blob> {
        once(self.services.iter())
    }
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

    /// The volumes that have content at first, and the archives that hold it.
    pub fn bundles(&self) -> impl Iterator<Item = (&Mount, Blob)> {
        let mounts = self.params.iter().flat_map(|params| &params.storage);
        mounts.filter_map(|mount| Some((mount, mount.bundle()?)))
    }

    /// What it needs of what is shipped: its image first, then volumes' content.
    pub fn blobs(&self) -> Vec<Blob> {
        let image = match self.image_ref() {
            Some(ImageRef::Blob(blob)) => Some(blob),
            _ => None,
        };
        image.into_iter().chain(self.bundles().map(|(_, blob)| blob)).collect()
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
