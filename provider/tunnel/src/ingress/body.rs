//! Bodies on their way: counted, and not waited for without end.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use super::answer::BodyError;

/// What the forwarding side learns of a request's body while hyper reads it.
pub(super) struct Upload {
    /// The client sent more than the manifest allows.
    pub(super) too_large: AtomicBool,
    /// The client stopped sending.
    pub(super) stalled: AtomicBool,
    last_progress: Mutex<Instant>,
}

impl Upload {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            too_large: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            last_progress: Mutex::new(Instant::now()),
        })
    }

    /// When the last piece passed; the wait for the answer counts from here.
    pub(super) fn last_progress(&self) -> Instant {
        *self.last_progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_progress(&self) {
        *self.last_progress.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// A request's body from the client to the workload.
pub(super) struct RequestBody {
    inner: Incoming,
    /// Bytes that may still come; `None` without a limit.
    left: Option<u64>,
    waiting: IdleTimer,
    upload: Arc<Upload>,
}

impl RequestBody {
    /// `limit` in bytes, 0 for none.
    pub(super) fn new(inner: Incoming, limit: u64, idle: Duration, upload: Arc<Upload>) -> Self {
        let left = (limit > 0).then_some(limit);
        Self { inner, left, waiting: IdleTimer::new(idle), upload }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                this.waiting.restart();
                this.upload.note_progress();
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                match this.left.map(|left| left.checked_sub(bytes)) {
                    Some(None) => {
                        this.upload.too_large.store(true, Ordering::Relaxed);
                        return Poll::Ready(Some(Err("the request's body is too large".into())));
                    }
                    Some(left) => this.left = left,
                    None => {}
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if this.waiting.is_over(context) => {
                this.upload.stalled.store(true, Ordering::Relaxed);
                Poll::Ready(Some(Err("the client stopped sending".into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What is done once an answer's body was read to its end.
pub(super) type AtItsEnd = Box<dyn FnOnce() + Send>;

/// An answer's body from the workload to the client.
pub(super) struct ResponseBody {
    inner: Incoming,
    waiting: IdleTimer,
    at_its_end: Option<AtItsEnd>,
}

impl ResponseBody {
    pub(super) fn boxed(
        inner: Incoming,
        idle: Duration,
        at_its_end: Option<AtItsEnd>,
    ) -> UnsyncBoxBody<Bytes, BodyError> {
        UnsyncBoxBody::new(Self { inner, waiting: IdleTimer::new(idle), at_its_end })
    }

    fn end(&mut self) {
        if let Some(then) = self.at_its_end.take() {
            then();
        }
    }
}

impl Drop for ResponseBody {
    /// An empty one is not read at all.
    fn drop(&mut self) {
        if self.inner.is_end_stream() {
            self.end();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                this.waiting.restart();
                // Of a known length: its end is not asked for.
                if this.inner.is_end_stream() {
                    this.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.end();
                Poll::Ready(None)
            }
            Poll::Ready(other) => Poll::Ready(other.map(|result| result.map_err(Into::into))),
            Poll::Pending if this.waiting.is_over(context) => {
                Poll::Ready(Some(Err("the workload stopped sending".into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Runs only while something is waited for: time that the other side needs
/// to take what is there does not count.
struct IdleTimer {
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl IdleTimer {
    fn new(limit: Duration) -> Self {
        Self { limit, sleep: None }
    }

    fn restart(&mut self) {
        self.sleep = None;
    }

    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        let limit = self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        sleep.as_mut().poll(context).is_ready()
    }
}
