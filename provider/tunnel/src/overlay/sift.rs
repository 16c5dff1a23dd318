//! Leaving out of an overlay what could not be served, so that the rest can:
//! a table is refused as a whole, and no lease's part may cost the others
//! theirs.

use std::collections::{HashMap, HashSet};

use super::table::{
    is_id, Backend, Credential, OverlayTable, MAX_BACKENDS, MAX_LINKS, MAX_LINK_ENTRIES,
    MAX_OVERLAY_BYTES, MAX_OVERLAY_LISTEN, MAX_RESOLVERS, MAX_TUNNELS,
};

impl OverlayTable {
    /// Leaves out each part for which [`OverlayTable::validate`] would refuse
    /// the whole, and says which and why. What comes first stays.
    pub fn sift(&mut self) -> Vec<String> {
        let mut out = vec![];
        let bad = self.listen.iter().filter(|l| l.port() == 0 || l.ip().is_multicast());
        out.extend(bad.map(|bad| format!("{bad} cannot be listened on")));
        self.listen.retain(|listen| listen.port() != 0 && !listen.ip().is_multicast());
        self.listen.truncate(MAX_OVERLAY_LISTEN);
        self.resolvers.truncate(MAX_RESOLVERS);
        self.sift_credentials(&mut out);
        let mut room = MAX_OVERLAY_BYTES;
        self.sift_outgoing(&mut room, &mut out);
        self.sift_incoming(&mut room, &mut out);
        self.sift_links(&mut room, &mut out);
        self.drop_unused_credentials();
        out
    }

    fn sift_credentials(&mut self, out: &mut Vec<String>) {
        let mut seen = HashSet::new();
        self.credentials.retain(|credential| {
            let admitted = match is_id(&credential.id) && seen.insert(credential.id.clone()) {
                true => credential.validate(),
                false => Err(format!("the credential {:?} is no name, or twice", credential.id)),
            };
            keep(admitted, out)
        });
    }

    fn sift_outgoing(&mut self, room: &mut usize, out: &mut Vec<String>) {
        let known = weights(&self.credentials);
        let (mut ids, mut seen) = (HashSet::new(), HashMap::<String, Backend>::new());
        self.outgoing.retain_mut(|connection| {
            let backends = std::mem::take(&mut connection.backends);
            let id = &connection.id;
            let full = ids.len() >= MAX_TUNNELS;
            let admitted = check(id, true, full, connection.bytes(), room);
            let admitted = admitted.and_then(|()| match is_id(id) && ids.insert(id.clone()) {
                true => Ok(()),
                false => Err(format!("the connection {id:?} is no name, or twice")),
            });
            if !keep(admitted, out) {
                return false;
            }
            for backend in backends {
                let before = seen.get(&backend.tunnel.descriptor);
                let full = connection.backends.len() >= MAX_BACKENDS
                    || before.is_none() && seen.len() >= MAX_TUNNELS;
                let key = known.get(&backend.credential);
                let bytes = backend.bytes() + key.unwrap_or(&0);
                let admitted = backend.admit(before).and_then(|()| {
                    check(&backend.tunnel.descriptor, key.is_some(), full, bytes, room)
                });
                if keep(admitted, out) {
                    seen.insert(backend.tunnel.descriptor.clone(), backend.clone());
                    connection.backends.push(backend);
                }
            }
            true
        });
    }

    fn sift_incoming(&mut self, room: &mut usize, out: &mut Vec<String>) {
        let known = weights(&self.credentials);
        let mut seen = HashSet::new();
        self.incoming.retain(|served| {
            let tunnel = &served.tunnel.descriptor;
            let (key, full) = (known.get(&served.credential), seen.len() >= MAX_TUNNELS);
            let bytes = served.bytes() + key.unwrap_or(&0);
            let admitted = served.validate().and_then(|()| match seen.contains(tunnel) {
                true => Err(format!("the tunnel {tunnel:?} comes in twice")),
                false => check(tunnel, key.is_some(), full, bytes, room),
            });
            let kept = keep(admitted, out);
            if kept {
                seen.insert(tunnel.clone());
            }
            kept
        });
    }

    fn sift_links(&mut self, room: &mut usize, out: &mut Vec<String>) {
        let connections: HashSet<&str> = self.outgoing.iter().map(|one| one.id.as_str()).collect();
        let mut names = HashSet::new();
        self.links.retain_mut(|link| {
            let whole = link.clone();
            let (mut places, mut hosts) = (HashSet::new(), HashSet::new());
            link.ports.retain(|port| {
                let entry = entries(&whole.instance, places.len());
                keep(entry.and_then(|()| whole.admit_port(port, &connections, &mut places)), out)
            });
            link.names.retain(|name| {
                let entry = entries(&whole.instance, hosts.len());
                keep(entry.and_then(|()| whole.admit_name(name, &mut hosts)), out)
            });
            let name = &link.link;
            let admitted = link.validate(&connections).and_then(|()| {
                match is_id(name) && !names.contains(name) {
                    true => {}
                    false => return Err(format!("the link {name:?} is no name, or twice")),
                }
                check(&link.instance, true, names.len() >= MAX_LINKS, link.bytes(), room)
            });
            let kept = keep(admitted, out);
            if kept {
                names.insert(name.clone());
            }
            kept
        });
    }

    /// Drops the credentials of tunnels that the table has not.
    fn drop_unused_credentials(&mut self) {
        let outgoing = self.outgoing.iter().flat_map(|one| &one.backends).map(|b| &b.credential);
        let used: HashSet<&String> =
            outgoing.chain(self.incoming.iter().map(|served| &served.credential)).collect();
        self.credentials.retain(|credential| used.contains(&credential.id));
    }
}

/// What each credential takes, by its id.
fn weights(credentials: &[Credential]) -> HashMap<String, usize> {
    credentials.iter().map(|one| (one.id.clone(), one.bytes())).collect()
}

/// What all parts must have: a key, a place, and room, which is taken.
fn check(
    what: &str,
    has_key: bool,
    full: bool,
    bytes: usize,
    room: &mut usize,
) -> Result<(), String> {
    if !has_key {
        return Err(format!("{what}: it has no credential"));
    }
    match room.checked_sub(bytes).filter(|_| !full) {
        Some(left) => *room = left,
        None => return Err(format!("{what}: the table is full")),
    }
    Ok(())
}

fn entries(instance: &str, count: usize) -> Result<(), String> {
    match count < MAX_LINK_ENTRIES {
        true => Ok(()),
        false => Err(format!("{instance}: more than {MAX_LINK_ENTRIES} names or ports")),
    }
}

/// Whether it stays; if not, why is told.
fn keep(admitted: Result<(), String>, out: &mut Vec<String>) -> bool {
    admitted.map_err(|problem| out.push(problem)).is_ok()
}

#[cfg(test)]
#[path = "sift_tests.rs"]
mod tests;
