//! One request: find the route, try its instances, pass the answer on.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{header, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::answer::{text, AnswerBody, BodyError};
use super::body::{AtItsEnd, RequestBody, ResponseBody, Upload};
use super::headers::{requested_host, rewrite_request, strip_hop_by_hop, wanted_upgrade};
use super::io::WriteTimeout;
use super::kept::{self, Way};
use super::Ingress;
use crate::live::LiveRoute;
use crate::reach::InstanceStream;
use crate::relay::relay;
use crate::routes::{HttpOptions, NextCase, Target};
use crate::slots::Slot;

/// Bytes of an answer's head, where the manifest does not say; and what it may
/// say.
const ANSWER_HEAD_BYTES: usize = 256 << 10;
const LEAST_ANSWER_HEAD_BYTES: usize = 8 << 10;
const MOST_ANSWER_HEAD_BYTES: usize = 1 << 20;
/// What 0 in the manifest's timeouts means.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The side that asked.
#[derive(Clone)]
pub(super) struct ClientSide {
    pub(super) peer: SocketAddr,
    pub(super) scheme: &'static str,
    /// Held until the connection, or what it was upgraded to, ends.
    pub(super) slot: Arc<Slot>,
}

pub(super) type OutgoingBody = UnsyncBoxBody<Bytes, BodyError>;
type Answer = Response<AnswerBody>;

/// Why an instance gave no answer.
struct Failure {
    case: NextCase,
    words: String,
}

/// A request on its way.
struct Journey<'a> {
    ingress: &'a Ingress,
    route: &'a Arc<LiveRoute>,
    host: String,
    head: Parts,
    /// Until it is sent: a body can be sent once.
    body: Option<Incoming>,
    /// Nothing is lost when the request is sent again: no body, and a method
    /// that may be repeated.
    repeatable: bool,
    upload: Arc<Upload>,
    began: Instant,
}

/// Answers a client's request, whatever happens.
pub(super) async fn handle(
    ingress: Arc<Ingress>,
    client: ClientSide,
    mut request: Request<Incoming>,
) -> Answer {
    ingress.counters.requests.add();
    let upgrade = wanted_upgrade(request.headers()).map(|_| hyper::upgrade::on(&mut request));
    let (mut head, body) = request.into_parts();
    if let Err((status, problem)) = check(&head, ingress.limits.headers) {
        return refuse(&head, status, problem);
    }
    if [Method::CONNECT, Method::TRACE].contains(&head.method) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "CONNECT and TRACE are not served here");
    }
    let (host, host_header) = match requested_host(&head) {
        Ok(found) => found,
        Err(problem) => return refuse(&head, StatusCode::BAD_REQUEST, problem),
    };
    if let Some(words) = ingress.challenges.answer(&host, head.uri.path()) {
        return text(StatusCode::OK, words);
    }
    let Some(route) = ingress.routes.current().find(&host) else {
        ingress.counters.unknown_hosts.add();
        let words = format!("no deployment answers for host {host} here");
        return text(StatusCode::NOT_FOUND, words);
    };
    if let Some(port) = ingress.https.redirect_to().filter(|_| client.scheme == "http") {
        return redirect(&host, port, &head);
    }
    let limit = route.route.http.max_body_size;
    if limit > 0 && body.size_hint().lower() > limit {
        return too_large(limit);
    }
    rewrite_request(&mut head, host_header, client.peer.ip(), client.scheme);
    let repeatable = body.is_end_stream() && head.method.is_idempotent() && upgrade.is_none();
    let journey = Journey {
        ingress: &ingress,
        route: &route,
        host,
        head,
        body: Some(body),
        repeatable,
        upload: Upload::new(),
        began: Instant::now(),
    };
    let answer = journey.run().await;
    match upgrade {
        Some(upgrade) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            join_upgraded(&ingress, client, upgrade, answer)
        }
        _ => answer.map(|body| body.inner),
    }
}

/// What hyper lets through and no workload is to see.
fn check(head: &Parts, most: usize) -> Result<(), (StatusCode, &'static str)> {
    if head.headers.len() > most {
        return Err((
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "the request has too many headers",
        ));
    }
    Ok(())
}

/// After a request that is not understood, nothing on its connection is.
fn refuse(head: &Parts, status: StatusCode, words: &str) -> Answer {
    let mut answer = text(status, words);
    if head.version < http::Version::HTTP_2 {
        let close = header::HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
    }
    answer
}

/// To the same place over HTTPS; the method stays.
fn redirect(host: &str, port: u16, head: &Parts) -> Answer {
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let location = format!("https://{host}{port}{target}");
    let Ok(location) = header::HeaderValue::from_str(&location) else {
        return text(StatusCode::BAD_REQUEST, "the request's target is not one");
    };
    let mut answer = text(StatusCode::PERMANENT_REDIRECT, "this is served over HTTPS");
    answer.headers_mut().insert(header::LOCATION, location);
    answer
}

/// An answer with the workload's side of an upgrade, where there is one.
struct Passed {
    inner: AnswerBody,
    upgrade: Option<OnUpgrade>,
}

impl Journey<'_> {
    /// Tries instances in turn, as far as the manifest's options say.
    async fn run(mut self) -> Response<Passed> {
        let order = self.route.targets.order();
        let tries = match self.options().next_tries {
            0 => order.len(),
            tries => order.len().min(tries as usize),
        };
        let mut last = None;
        for (number, index) in order.into_iter().take(tries).enumerate() {
            if number > 0 && self.is_out_of_time() {
                break;
            }
            match self.try_instance(index).await {
                Ok(answer) => match self.wants_another(&answer, number + 1 < tries) {
                    None => return answer,
                    Some(case) => last = Some(Failure { case, words: "its answer".into() }),
                },
                Err(failure) => {
                    self.note(index, &failure);
                    if let Some(refusal) = self.client_at_fault() {
                        return passed(refusal);
                    }
                    let stop = !self.options().tries_next_on(failure.case) || !self.can_repeat();
                    last = Some(failure);
                    if stop {
                        break;
                    }
                }
            }
        }
        passed(self.gateway_error(last))
    }

    fn options(&self) -> &HttpOptions {
        &self.route.route.http
    }

    fn is_out_of_time(&self) -> bool {
        let limit = self.options().next_timeout;
        limit > 0 && self.began.elapsed() >= Duration::from_millis(limit.into())
    }

    /// Nothing was sent yet, or it may be sent again.
    fn can_repeat(&self) -> bool {
        self.body.is_some() || self.repeatable
    }

    /// The case for which the manifest wants another instance's answer
    /// instead of this one.
    fn wants_another(&self, answer: &Response<Passed>, has_next: bool) -> Option<NextCase> {
        let case = NextCase::of_status(answer.status().as_u16())?;
        let may = has_next && self.repeatable && !self.is_out_of_time();
        (may && self.options().tries_next_on(case)).then_some(case)
    }

    async fn try_instance(&mut self, index: usize) -> Result<Response<Passed>, Failure> {
        if let Some(way) = self.kept_way(index) {
            match self.exchange(index, way).await {
                // Its end may have come while the request went out (RFC 9112,
                // 9.3.1): that says nothing about the instance.
                Err(Failure { case: NextCase::Error, .. }) => {}
                outcome => return outcome,
            }
        }
        let way = self.open(self.route.target(index)).await?;
        self.exchange(index, way).await
    }

    /// A waiting connection; only for what may be sent again, since it may
    /// end under the request.
    fn kept_way(&self, index: usize) -> Option<Way> {
        let netns = &self.route.target(index).netns;
        self.repeatable.then(|| self.route.kept.take(index, netns)).flatten()
    }

    async fn open(&self, target: &Target) -> Result<Way, Failure> {
        // Looked at before: one that changes meanwhile is then not taken for it.
        let place = kept::place(target);
        let stream = self.dial(target).await?;
        let stream = WriteTimeout::new(stream, wait(self.options().send_timeout));
        let stuck = stream.reached();
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(self.answer_head_bytes())
            .handshake::<_, OutgoingBody>(TokioIo::new(stream))
            .await
            .map_err(|e| Failure::broken(&e))?;
        tokio::spawn(async move {
            // An error here is also the request's or its body's.
            let _ = connection.with_upgrades().await;
        });
        Ok(Way::new(sender, stuck, place))
    }

    async fn exchange(&mut self, index: usize, mut way: Way) -> Result<Response<Passed>, Failure> {
        let request = Request::from_parts(self.head.clone(), self.outgoing_body());
        let answer = self.await_head(way.send(request)).await;
        let answer = answer.map_err(|failure| match way.is_stuck() {
            true => Failure::stuck(wait(self.options().send_timeout)),
            false => failure,
        })?;
        self.route.targets.note_success(index);
        Ok(self.pass_on(answer, index, way))
    }

    fn answer_head_bytes(&self) -> usize {
        match self.options().proxy_buffer_size {
            0 => ANSWER_HEAD_BYTES,
            size => (size as usize).clamp(LEAST_ANSWER_HEAD_BYTES, MOST_ANSWER_HEAD_BYTES),
        }
    }

    async fn dial(&self, target: &Target) -> Result<InstanceStream, Failure> {
        let limit = self.ingress.limits.dial_timeout;
        self.ingress.reach.connect(target, limit).await.map_err(|error| {
            let case = match error.kind() {
                std::io::ErrorKind::TimedOut => NextCase::Timeout,
                _ => NextCase::Error,
            };
            Failure { case, words: format!("cannot connect: {error}") }
        })
    }

    fn outgoing_body(&mut self) -> OutgoingBody {
        match self.body.take() {
            Some(body) if !body.is_end_stream() => UnsyncBoxBody::new(RequestBody::new(
                body,
                self.options().max_body_size,
                self.ingress.limits.body_timeout,
                Arc::clone(&self.upload),
            )),
            _ => Empty::new().map_err(|never| match never {}).boxed_unsync(),
        }
    }

    /// Waits for the answer's head; the wait begins anew with each piece of
    /// the request's body that went out.
    async fn await_head(
        &self,
        answer: impl std::future::Future<Output = hyper::Result<Response<Incoming>>>,
    ) -> Result<Response<Incoming>, Failure> {
        let limit = wait(self.options().read_timeout);
        let mut answer = std::pin::pin!(answer);
        let mut from = Instant::now();
        loop {
            match tokio::time::timeout_at(from + limit, answer.as_mut()).await {
                Ok(Ok(head)) => return Ok(head),
                Ok(Err(error)) => return Err(Failure::broken(&error)),
                Err(_) if self.upload.last_progress() > from => from = self.upload.last_progress(),
                Err(_) => {
                    let words = format!("no answer within {} ms", limit.as_millis());
                    return Err(Failure { case: NextCase::Timeout, words });
                }
            }
        }
    }

    fn pass_on(&self, mut answer: Response<Incoming>, index: usize, way: Way) -> Response<Passed> {
        let switching = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        let protocol = answer.headers().get(header::UPGRADE).cloned();
        let upgrade = switching.then(|| hyper::upgrade::on(&mut answer));
        strip_hop_by_hop(answer.headers_mut());
        if let Some(protocol) = protocol.filter(|_| switching) {
            let connection = header::HeaderValue::from_static("upgrade");
            answer.headers_mut().insert(header::CONNECTION, connection);
            answer.headers_mut().insert(header::UPGRADE, protocol);
        }
        let idle = wait(self.options().read_timeout);
        *answer.version_mut() = http::Version::HTTP_11;
        // A route that another table has replaced meanwhile keeps nothing.
        let route = Arc::downgrade(self.route);
        let at_its_end = move || {
            if let Some(route) = route.upgrade() {
                route.kept.put(index, way);
            }
        };
        // Where requests are such as cannot go over a kept one, none is kept.
        let keeps = self.repeatable && !switching;
        let inner = |body| {
            let then: Option<AtItsEnd> = if keeps { Some(Box::new(at_its_end)) } else { None };
            ResponseBody::boxed(body, idle, then)
        };
        answer.map(|body| Passed { inner: inner(body), upgrade })
    }

    fn note(&self, index: usize, failure: &Failure) {
        // A client that broke off says nothing about the instance.
        if self.client_at_fault().is_some() {
            return;
        }
        self.ingress.counters.failed_tries.add();
        self.route.targets.note_failure(index, &failure.words);
        let instance = &self.route.target(index).instance;
        tracing::warn!(host = %self.host, %instance, cause = %failure.words, "a try failed");
    }

    fn client_at_fault(&self) -> Option<Answer> {
        if self.upload.too_large.load(Ordering::Relaxed) {
            return Some(too_large(self.options().max_body_size));
        }
        let stalled = self.upload.stalled.load(Ordering::Relaxed);
        stalled.then(|| text(StatusCode::REQUEST_TIMEOUT, "the request's body stopped coming"))
    }

    fn gateway_error(&self, last: Option<Failure>) -> Answer {
        self.ingress.counters.gateway_errors.add();
        let host = &self.host;
        let (status, words) = match last.map(|failure| failure.case) {
            None => {
                let words = format!("the deployment for host {host} has no running instance now");
                (StatusCode::SERVICE_UNAVAILABLE, words)
            }
            Some(NextCase::Timeout) => {
                let words = format!("the deployment for host {host} did not answer in time");
                (StatusCode::GATEWAY_TIMEOUT, words)
            }
            Some(_) => {
                let words = format!("the deployment for host {host} could not be reached");
                (StatusCode::BAD_GATEWAY, words)
            }
        };
        tracing::warn!(%host, status = status.as_u16(), "{words}");
        text(status, words)
    }
}

impl Failure {
    fn stuck(limit: Duration) -> Self {
        let words = format!("took nothing of the request for {} ms", limit.as_millis());
        Self { case: NextCase::Timeout, words }
    }

    fn broken(error: &hyper::Error) -> Self {
        Self { case: NextCase::Error, words: format!("the exchange broke: {error}") }
    }
}

/// Joins the two upgraded connections once both are free of HTTP.
fn join_upgraded(
    ingress: &Arc<Ingress>,
    client: ClientSide,
    near: OnUpgrade,
    answer: Response<Passed>,
) -> Answer {
    let (head, body) = answer.into_parts();
    if let Some(far) = body.upgrade {
        ingress.counters.upgrades.add();
        let idle = ingress.limits.upgraded_idle;
        tokio::spawn(async move {
            if let Ok((near, far)) = tokio::try_join!(near, far) {
                // How it ended is the two ends' affair.
                let _ = relay(TokioIo::new(near), TokioIo::new(far), idle).await;
            }
            drop(client.slot);
        });
    }
    Response::from_parts(head, body.inner)
}

fn passed(answer: Answer) -> Response<Passed> {
    answer.map(|inner| Passed { inner, upgrade: None })
}

fn too_large(limit: u64) -> Answer {
    let words = format!("the request's body is larger than {limit} bytes");
    text(StatusCode::PAYLOAD_TOO_LARGE, words)
}

/// A timeout of the manifest's.
fn wait(milliseconds: u32) -> Duration {
    match milliseconds {
        0 => LONGEST_WAIT,
        milliseconds => Duration::from_millis(milliseconds.into()).min(LONGEST_WAIT),
    }
}
