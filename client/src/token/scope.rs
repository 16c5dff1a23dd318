//! What a token lets its bearer do.

use std::{fmt, str::FromStr};

/// One thing that it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Send manifests and blobs.
    SendManifest,
    /// Read the manifest, secrets in it included.
    GetManifest,
    /// Read the status of leases.
    Status,
    /// Read what workloads print.
    Logs,
    /// Read what happened to leases.
    Events,
    /// Run commands, forward ports, copy files.
    Shell,
    /// Restart services.
    Restart,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::SendManifest,
        Self::GetManifest,
        Self::Status,
        Self::Logs,
        Self::Events,
        Self::Shell,
        Self::Restart,
    ];

    /// As tokens and command lines write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendManifest => "send-manifest",
            Self::GetManifest => "get-manifest",
            Self::Status => "status",
            Self::Logs => "logs",
            Self::Events => "events",
            Self::Shell => "shell",
            Self::Restart => "restart",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|scope| scope.name()).collect();
            let shown: String = text.chars().take(40).collect();
            format!("`{shown}` is no scope; right are {}", known.join(", "))
        })
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// With one more.
    pub fn with(self, scope: Scope) -> Self {
        Self(self.0 | bit(scope))
    }

    /// Whether one is in it.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    /// Whether none is.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in it, in order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

fn bit(scope: Scope) -> u8 {
    1 << scope as u8
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::default(), Self::with)
    }
}

/// Separated by one space each, as OAuth's `scope` (RFC 8693, 4.2).
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Scope::name).collect();
        f.write_str(&names.join(" "))
    }
}

impl FromStr for Scopes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut scopes = Self::default();
        for word in text.split(' ') {
            let scope: Scope = word.parse()?;
            if scopes.has(scope) {
                return Err(format!("the scope {scope} stands there twice"));
            }
            scopes = scopes.with(scope);
        }
        Ok(scopes)
    }
}
