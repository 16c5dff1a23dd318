//! The service behind every path that reflection does not take.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use prost::Message;
use stoa_proto::market::v1::WatchMarketRequest;
use tonic::{
    body::Body,
    codegen::{Body as HttpBody, BoxFuture, Service, StdError},
    metadata::{MetadataMap, MetadataValue},
    server::{Grpc, ServerStreamingService, UnaryService},
    Request, Response, Status,
};

use super::codec::RawCodec;
use crate::{
    metrics::{self, Interface},
    query::{MAX_ANSWER, MAX_REQUEST},
    services::{Services, HEIGHT_HEADER},
    watch::{self, Watched, Watchers},
};

/// Forwards unary calls by their path.
#[derive(Clone)]
pub struct Gateway {
    services: Arc<Services>,
}

impl Gateway {
    /// A gateway to these services.
    pub const fn new(services: Arc<Services>) -> Self {
        Self { services }
    }

    async fn answer(&self, path: &str, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        let asked = asked_height(request.metadata())?;
        let answer = self.services.answer(path, request.into_inner(), asked).await?;
        let mut response = Response::new(answer.body);
        response.metadata_mut().insert(HEIGHT_HEADER, MetadataValue::from(answer.height));
        Ok(response)
    }
}

/// The height that a client wants its answer at.
fn asked_height(metadata: &MetadataMap) -> Result<Option<u64>, Status> {
    let Some(value) = metadata.get(HEIGHT_HEADER) else { return Ok(None) };
    let height = value.to_str().ok().and_then(|text| text.parse().ok());
    height.map(Some).ok_or_else(|| {
        Status::invalid_argument(format!("{HEIGHT_HEADER}: expected a height, such as 1200"))
    })
}

impl<B> Service<http::Request<B>> for Gateway
where
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let mut grpc = Grpc::new(RawCodec)
            .max_decoding_message_size(MAX_REQUEST)
            .max_encoding_message_size(MAX_ANSWER);
        if request.uri().path() == watch::PATH {
            let call = Watch { watchers: self.services.watchers().clone() };
            return Box::pin(async move { Ok(grpc.server_streaming(call, request).await) });
        }
        let call = Call { gateway: self.clone(), path: request.uri().path().to_owned() };
        Box::pin(async move { Ok(grpc.unary(call, request).await) })
    }
}

/// One call of a path.
struct Call {
    gateway: Gateway,
    path: String,
}

impl UnaryService<Bytes> for Call {
    type Response = Bytes;
    type Future = BoxFuture<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (gateway, path) = (self.gateway.clone(), self.path.clone());
        Box::pin(async move {
            let answer = gateway.answer(&path, request).await;
            metrics::get().called(Interface::Grpc, answer.is_ok());
            answer
        })
    }
}

/// A call of the one path whose answer is a stream.
struct Watch {
    watchers: Watchers,
}

impl ServerStreamingService<Bytes> for Watch {
    type Response = Bytes;
    type ResponseStream = Watched;
    type Future = BoxFuture<Response<Watched>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let watchers = self.watchers.clone();
        Box::pin(async move {
            let request = WatchMarketRequest::decode(request.into_inner()).map_err(|error| {
                Status::invalid_argument(format!("the request does not decode: {error}"))
            })?;
            let stream = watchers.watch(request).await;
            metrics::get().called(Interface::Grpc, stream.is_ok());
            stream.map(Response::new)
        })
    }
}
