//! Sockets made before they are asked for, in namespaces that are dialled
//! often: entering one takes another thread, and a connection should not wait
//! for that.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::netns::Identity;

/// Of one namespace and family.
const MOST: usize = 4;
/// A spare socket keeps a namespace alive whose container has died; so none
/// waits for longer than this.
const LIFE: Duration = Duration::from_secs(10);

/// All spare TCP sockets.
#[derive(Default)]
pub(crate) struct Spares {
    by_place: Mutex<HashMap<Place, Spare>>,
}

/// A namespace's path, and whether the sockets are of IPv6.
type Place = (PathBuf, bool);

struct Spare {
    namespace: Identity,
    sockets: Vec<OwnedFd>,
    used: Instant,
}

impl Spares {
    /// One of the namespace that is at the path now.
    pub(crate) fn take(&self, netns: &Path, is_ipv6: bool) -> Option<OwnedFd> {
        let now = Identity::of(netns).ok()?;
        let place = (netns.to_path_buf(), is_ipv6);
        let mut by_place = self.by_place();
        let spare = by_place.get_mut(&place)?;
        if spare.namespace != now {
            by_place.remove(&place);
            return None;
        }
        spare.used = Instant::now();
        spare.sockets.pop()
    }

    pub(crate) fn put(&self, netns: &Path, is_ipv6: bool, namespace: Identity, socket: OwnedFd) {
        let fresh = || Spare { namespace, sockets: vec![], used: Instant::now() };
        let mut by_place = self.by_place();
        let spare = by_place.entry((netns.to_path_buf(), is_ipv6)).or_insert_with(fresh);
        if spare.namespace != namespace {
            *spare = fresh();
        }
        if spare.sockets.len() < MOST {
            spare.sockets.push(socket);
        }
    }

    /// Gives up those that nobody has asked for lately.
    pub(crate) fn clean(&self) {
        self.by_place().retain(|_, spare| spare.used.elapsed() < LIFE);
    }

    fn by_place(&self) -> MutexGuard<'_, HashMap<Place, Spare>> {
        self.by_place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
