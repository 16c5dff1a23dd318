//! Connections to instances that wait for the next request: opening one for
//! each costs more than most answers do.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use super::forward::OutgoingBody;
use crate::netns::Identity;
use crate::routes::Target;

/// How long one waits: a little less than servers commonly let a connection
/// wait (5 s), so that few end while a request is on its way. It also keeps
/// a namespace alive whose container has died.
const WAITS: Duration = Duration::from_secs(4);
/// How often those are given up that waited longer.
pub(crate) const CLEAN: Duration = Duration::from_secs(1);
/// Waiting at one instance: a server may have a worker for each connection,
/// and not many of them.
const MOST: usize = 16;

/// A connection that can take a request.
pub(super) struct Way {
    sender: SendRequest<OutgoingBody>,
    /// Set once the instance took nothing of a request for too long.
    stuck: Arc<AtomicBool>,
    /// The namespace that it was opened in; `None`: it is not kept.
    namespace: Option<Identity>,
}

/// Waiting connections of one route, instance by instance.
#[derive(Default)]
pub(crate) struct Kept {
    waiting: Vec<Mutex<Vec<Waiting>>>,
}

struct Waiting {
    way: Way,
    namespace: Identity,
    since: Instant,
}

/// Where a target's namespace is, if its connections are to be kept. One on
/// another machine is asked anew each time: a machine that has gone silent
/// would hold up what goes over a kept connection.
pub(super) fn place(target: &Target) -> Option<Identity> {
    match target.hop {
        None => Identity::of(&target.netns).ok(),
        Some(_) => None,
    }
}

impl Way {
    pub(super) fn new(
        sender: SendRequest<OutgoingBody>,
        stuck: Arc<AtomicBool>,
        namespace: Option<Identity>,
    ) -> Self {
        Self { sender, stuck, namespace }
    }

    pub(super) async fn send(
        &mut self,
        request: Request<OutgoingBody>,
    ) -> hyper::Result<Response<Incoming>> {
        self.sender.send_request(request).await
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }
}

impl Kept {
    pub(crate) fn of(targets: usize) -> Self {
        Self { waiting: (0..targets).map(|_| Mutex::default()).collect() }
    }

    /// The one that was used last, if the target's namespace is still the
    /// one at its path.
    pub(super) fn take(&self, target: usize, netns: &Path) -> Option<Way> {
        let mut waiting = self.lock(target)?;
        if waiting.is_empty() {
            return None;
        }
        let now = Identity::of(netns).ok();
        waiting.retain(|one| Some(one.namespace) == now && one.is_good());
        // One that is not ready has an answer's end to read yet.
        let ready = waiting.iter().rposition(|one| one.way.sender.is_ready())?;
        Some(waiting.remove(ready).way)
    }

    /// Keeps one whose answer was read to its end.
    pub(super) fn put(&self, target: usize, way: Way) {
        let (Some(namespace), Some(mut waiting)) = (way.namespace, self.lock(target)) else {
            return;
        };
        if waiting.len() < MOST && !way.sender.is_closed() {
            waiting.push(Waiting { way, namespace, since: Instant::now() });
        }
    }

    /// Gives up those that have ended or waited long enough.
    pub(crate) fn clean(&self) {
        for target in 0..self.waiting.len() {
            if let Some(mut waiting) = self.lock(target) {
                waiting.retain(Waiting::is_good);
            }
        }
    }

    fn lock(&self, target: usize) -> Option<MutexGuard<'_, Vec<Waiting>>> {
        Some(self.waiting.get(target)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Waiting {
    fn is_good(&self) -> bool {
        !self.way.sender.is_closed() && self.since.elapsed() < WAITS
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, DuplexStream};

    use super::*;

    const PATH: &str = "/proc/self/ns/net";

    async fn way() -> (Way, DuplexStream) {
        let (near, far) = tokio::io::duplex(1024);
        let (mut sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
        tokio::spawn(connection);
        sender.ready().await.unwrap();
        let namespace = Identity::of(Path::new(PATH)).unwrap();
        (Way::new(sender, Arc::default(), Some(namespace)), far)
    }

    #[tokio::test]
    async fn a_connection_waits_for_a_while_in_its_namespace_and_then_ends() {
        let kept = Kept::of(2);
        let (one, mut far) = way().await;
        kept.put(1, one);
        assert!(kept.take(0, Path::new(PATH)).is_none(), "that of another instance");
        let again = kept.take(1, Path::new(PATH)).unwrap();
        assert!(kept.take(1, Path::new(PATH)).is_none(), "it is in use");
        kept.put(1, again);
        kept.clean();
        let again = kept.take(1, Path::new(PATH)).unwrap();
        kept.put(1, again);
        kept.lock(1).unwrap()[0].since -= WAITS;
        kept.clean();
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0, "it ended");

        // The namespace at the path is another.
        let (one, mut far) = way().await;
        kept.put(1, one);
        assert!(kept.take(1, Path::new("/proc/self/ns/mnt")).is_none());
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0, "it ended");
    }

    #[tokio::test]
    async fn what_the_instance_ended_is_not_given_and_no_more_than_a_bound_wait() {
        let kept = Kept::of(1);
        let (one, far) = way().await;
        kept.put(0, one);
        drop(far);
        let ended = async {
            while kept.lock(0).unwrap().iter().any(Waiting::is_good) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
        assert!(kept.take(0, Path::new(PATH)).is_none());
        let mut ends = vec![];
        for _ in 0..=MOST {
            let (one, far) = way().await;
            kept.put(0, one);
            ends.push(far);
        }
        assert_eq!(kept.lock(0).unwrap().len(), MOST);
        assert_eq!(ends.last_mut().unwrap().read(&mut [0]).await.unwrap(), 0, "it ended");
        drop(kept);
        assert_eq!(ends[0].read(&mut [0]).await.unwrap(), 0, "with its route");
    }
}
