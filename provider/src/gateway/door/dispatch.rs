//! A request's way: how often, from which page, by whom; then to gRPC or to
//! REST. Who calls is found before the body is read.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderValue, Method, Request};
use hyper::body::Incoming;
use stoa_client::proto::gateway::v1::gateway_server::GatewayServer;
use stoa_client::proto::gateway::v1::secrets_server::SecretsServer as TenantSecretsServer;
use stoa_client::proto::gateway::v1::tenant_server::TenantServer;
use stoa_client::proto::peer::v1::secrets_server::SecretsServer as PeerSecretsServer;
use stoa_client::proto::peer::v1::tunnels_server::TunnelsServer;
use stoa_client::token::MAX_TOKEN;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::Status;

use super::super::caller::{nobody, Caller, Peer, ProviderCaller};
use super::super::providers::{Providers, RawService};
use super::super::rest::{self, Rest, Route};
use super::super::secrets::{PeerSecrets, TenantSecrets};
use super::super::service::GatewayService;
use super::super::tunnels::TunnelService;
use super::accept::Place;
use super::connection::Answer;
use super::origins::{self, Origins};
use super::rates::Rates;
use super::slots::neighbourhood;
use crate::store::MAX_CHUNK;

/// A piece of a blob with what is around it.
const MAX_MESSAGE: usize = MAX_CHUNK + (64 << 10);
/// How long a call may take that is no stream, its body included.
const CALL: Duration = Duration::from_secs(60);
/// An address may ask so many times as often as a tenant: several tenants
/// may be behind it.
const TENANTS_OF_ADDRESS: u32 = 4;

const GATEWAY: &str = "/stoa.gateway.v1.Gateway/";
const TENANT: &str = "/stoa.gateway.v1.Tenant/";
/// Calls of other providers.
const PEERS: &str = "/stoa.peer.v1.";
const PEER_SECRETS: &str = "/stoa.peer.v1.Secrets/";
const SECRETS: &str = "/stoa.gateway.v1.Secrets/";
const TUNNELS: &str = "/stoa.peer.v1.Tunnels/";
/// Calls for anybody.
const PUBLIC: [&str; 1] = ["/stoa.gateway.v1.Gateway/Status"];
/// Calls that take as long as they take; each has bounds of its own.
const STREAMS: [&str; 8] = [
    "/stoa.gateway.v1.Gateway/UploadBlob",
    "/stoa.gateway.v1.Gateway/WatchLease",
    "/stoa.gateway.v1.Gateway/Logs",
    "/stoa.gateway.v1.Tenant/Events",
    "/stoa.gateway.v1.Tenant/Shell",
    "/stoa.gateway.v1.Tenant/PortForward",
    "/stoa.gateway.v1.Tenant/CopyOut",
    "/stoa.gateway.v1.Tenant/CopyIn",
];

/// Where all requests come.
pub(super) struct Hall {
    service: GatewayService,
    gateway: GatewayServer<GatewayService>,
    tenant: TenantServer<GatewayService>,
    tunnels: TunnelsServer<TunnelService>,
    secrets: TenantSecretsServer<TenantSecrets>,
    peer_secrets: PeerSecretsServer<PeerSecrets>,
    providers: Providers,
    rest: Rest,
    origins: Origins,
    addresses: Rates<IpAddr>,
    callers: Rates<String>,
}

/// What a request wants, once it may.
enum Wish {
    Grpc,
    Rest(Route),
    /// A browser asks whether a page may ask.
    MayPageAsk,
}

impl Hall {
    pub(super) fn new(service: GatewayService) -> Self {
        let settings = &service.context.config.gateway;
        let rate = settings.limits.requests_per_second;
        Self {
            gateway: GatewayServer::new(service.clone())
                .max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(MAX_MESSAGE),
            tenant: TenantServer::new(service.clone())
                .max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(MAX_MESSAGE),
            tunnels: TunnelsServer::new(TunnelService(Arc::clone(&service.context))),
            secrets: TenantSecretsServer::new(TenantSecrets(Arc::clone(&service.context)))
                .max_decoding_message_size(MAX_MESSAGE),
            peer_secrets: PeerSecretsServer::new(PeerSecrets(Arc::clone(&service.context))),
            providers: Providers::new(Arc::clone(&service.context.reads)),
            rest: Rest::new(service.clone()),
            origins: Origins::new(&settings.cors_origins),
            addresses: Rates::new(rate.saturating_mul(TENANTS_OF_ADDRESS)),
            callers: Rates::new(rate),
            service,
        }
    }

    /// What speaks a protocol other than HTTP.
    pub(super) fn raw(&self, alpn: Option<&[u8]>) -> Option<Arc<dyn RawService>> {
        let mut services = self.service.context.raw.iter();
        services.find(|service| Some(service.alpn()) == alpn).cloned()
    }

    /// Another provider that calls, where it calls not too often.
    pub(super) async fn provider(&self, peer: &Peer) -> Result<ProviderCaller, Status> {
        let caller = self.providers.identify(peer).await?;
        match self.callers.take(&caller.address) {
            true => Ok(caller),
            false => Err(too_often()),
        }
    }

    /// Answers one request.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        place: Place,
    ) -> Answer {
        let grpc = is_grpc(request.headers());
        let origin = match self.origins.check(request.headers()) {
            Ok(origin) => origin,
            Err(why) => return refusal(Status::permission_denied(why), grpc),
        };
        if grpc && request.uri().path().starts_with(PEERS) {
            return self.answer_provider(request, &peer).await;
        }
        let mut answer = match self.admit(&request, &peer, grpc).await {
            Ok((wish, caller)) => self.fulfil(wish, caller, request, place).await,
            Err(status) => refusal(status, grpc),
        };
        if let Some(origin) = origin {
            origins::allow(answer.headers_mut(), origin);
        }
        answer
    }

    /// A provider's call.
    async fn answer_provider(&self, mut request: Request<Incoming>, peer: &Peer) -> Answer {
        if !self.addresses.take(&neighbourhood(peer.address.ip())) {
            return too_often().into_http();
        }
        match self.provider(peer).await {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                self.grpc(request).await
            }
            Err(status) => status.into_http(),
        }
    }

    /// Who calls, and what for.
    async fn admit(
        &self,
        request: &Request<Incoming>,
        peer: &Peer,
        grpc: bool,
    ) -> Result<(Wish, Option<Caller>), Status> {
        if !self.addresses.take(&neighbourhood(peer.address.ip())) {
            return Err(too_often());
        }
        let path = request.uri().path();
        let (wish, public) = match grpc {
            true => (Wish::Grpc, PUBLIC.contains(&path)),
            false if request.method() == Method::OPTIONS => (Wish::MayPageAsk, true),
            false => {
                let query = request.uri().query().unwrap_or_default();
                let route = Route::parse(request.method(), path, query)?;
                let public = route.is_public();
                (Wish::Rest(route), public)
            }
        };
        let token = bearer(request.headers())?;
        let caller = match self.service.tenants.identify(peer, token).await {
            Ok(caller) => caller,
            // Whoever asks what anybody may need not be known.
            Err(_) if public => None,
            Err(status) => return Err(status),
        };
        match &caller {
            Some(caller) if !self.callers.take(&caller.tenant) => Err(too_often()),
            None if !public => Err(nobody()),
            _ => Ok((wish, caller)),
        }
    }

    async fn fulfil(
        &self,
        wish: Wish,
        caller: Option<Caller>,
        mut request: Request<Incoming>,
        place: Place,
    ) -> Answer {
        match wish {
            Wish::MayPageAsk => {
                let mut answer = Answer::new(Body::empty());
                *answer.status_mut() = http::StatusCode::NO_CONTENT;
                origins::allow_asking(answer.headers_mut());
                answer
            }
            Wish::Rest(route) => self.rest.answer(route, caller, request, place).await,
            Wish::Grpc => {
                if let Some(caller) = caller {
                    request.extensions_mut().insert(caller);
                }
                self.grpc(request).await
            }
        }
    }

    async fn grpc(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        let is_stream = STREAMS.contains(&path);
        let calling = async {
            // Both servers never fail but by an answer.
            if path_is_of(&request, GATEWAY) {
                self.gateway.clone().call(request).await.unwrap_or_else(|never| match never {})
            } else if path_is_of(&request, TENANT) {
                self.tenant.clone().call(request).await.unwrap_or_else(|never| match never {})
            } else if path_is_of(&request, SECRETS) {
                self.secrets.clone().call(request).await.unwrap_or_else(|never| match never {})
            } else if path_is_of(&request, PEER_SECRETS) {
                self.peer_secrets.clone().call(request).await.unwrap_or_else(|never| match never {})
            } else if path_is_of(&request, TUNNELS) {
                self.tunnels.clone().call(request).await.unwrap_or_else(|never| match never {})
            } else {
                Status::unimplemented("no such service").into_http()
            }
        };
        if is_stream {
            return Box::pin(calling).await;
        }
        match tokio::time::timeout(CALL, Box::pin(calling)).await {
            Ok(answer) => answer,
            Err(_) => too_long().into_http(),
        }
    }
}

fn path_is_of(request: &Request<Incoming>, service: &str) -> bool {
    request.uri().path().starts_with(service)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.starts_with(b"application/grpc")
}

/// The token that a request shows: in `Authorization: Bearer …`, or, from
/// browsers' WebSockets, which can set no header, as the protocol
/// `bearer.…`.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Status> {
    let bad = |why: &str| Status::unauthenticated(why);
    if let Some(value) = headers.get(AUTHORIZATION) {
        let text = value.to_str().map_err(|_| bad("the authorization is no text"))?;
        let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > MAX_TOKEN {
            return Err(bad("the authorization must be `Bearer TOKEN`"));
        }
        return Ok(Some(token));
    }
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let protocols = offered.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    Ok(protocols.filter_map(|protocol| protocol.trim().strip_prefix("bearer.")).next())
}

fn too_often() -> Status {
    Status::resource_exhausted("too many requests; wait a little")
}

fn too_long() -> Status {
    Status::deadline_exceeded(format!("the call took over {} s", CALL.as_secs()))
}

fn refusal(status: Status, grpc: bool) -> Answer {
    if grpc {
        status.into_http()
    } else {
        rest::refusal(&status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_in_the_header_or_among_a_websockets_protocols() {
        let with = |name: http::HeaderName, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            bearer(&headers).map(|token| token.map(String::from))
        };
        assert_eq!(with(AUTHORIZATION, "Bearer a.b.c").unwrap().unwrap(), "a.b.c");
        assert_eq!(with(AUTHORIZATION, "bearer a.b.c").unwrap().unwrap(), "a.b.c");
        for bad in ["Bearer", "Bearer ", "Basic eDp5", "a.b.c", ""] {
            assert!(with(AUTHORIZATION, bad).is_err(), "{bad}");
        }
        let protocols = with(SEC_WEBSOCKET_PROTOCOL, "stoa.v1, bearer.a.b.c");
        assert_eq!(protocols.unwrap().unwrap(), "a.b.c");
        assert_eq!(with(SEC_WEBSOCKET_PROTOCOL, "stoa.v1").unwrap(), None);
    }
}
