//! The service behind every path that reflection does not take.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::sync::Semaphore;
use tonic::{
    body::Body,
    codegen::{Body as HttpBody, BoxFuture, Service, StdError},
    metadata::MetadataValue,
    server::{Grpc, UnaryService},
    Request, Response, Status,
};

use super::{codec::RawCodec, engine::Engine, status::to_status, MAX_WORKERS};
use crate::{
    comet::Rpc,
    query::{Queries, MAX_ANSWER, MAX_REQUEST},
};

/// Header in which Cosmos clients find the height that was looked at.
const HEIGHT_HEADER: &str = "x-cosmos-block-height";

/// Forwards unary calls by their path.
#[derive(Clone)]
pub struct Gateway {
    queries: Arc<Queries>,
    engine: Engine,
    workers: Arc<Semaphore>,
}

impl Gateway {
    /// A gateway to these queries and this engine.
    pub fn new(queries: Arc<Queries>, rpc: Rpc) -> Self {
        let workers = Arc::new(Semaphore::new(MAX_WORKERS));
        Self { queries, engine: Engine::new(rpc), workers }
    }

    async fn answer(&self, path: &str, request: Bytes) -> Result<Response<Bytes>, Status> {
        if let Some(answer) = self.engine.answer(path, &request).await {
            return answer.map(Response::new);
        }
        let (height, answer) = self.query(path.to_owned(), request).await?;
        let mut response = Response::new(answer);
        response.metadata_mut().insert(HEIGHT_HEADER, MetadataValue::from(height));
        Ok(response)
    }

    /// Runs a query on a blocking thread; those beyond the limit wait for their turn.
    async fn query(&self, path: String, request: Bytes) -> Result<(u64, Bytes), Status> {
        let turn = Arc::clone(&self.workers).acquire_owned().await;
        let turn = turn.map_err(|_| Status::unavailable("the node is stopping"))?;
        let queries = Arc::clone(&self.queries);
        let run = move || {
            let answer = queries.answer(&path, &request);
            drop(turn);
            answer
        };
        let answer = tokio::task::spawn_blocking(run).await;
        let answer = answer.map_err(|_| Status::internal("the query could not be run"))?;
        answer.map(|(height, bytes)| (height, bytes.into())).map_err(|failure| to_status(&failure))
    }
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
        let call = Call { gateway: self.clone(), path: request.uri().path().to_owned() };
        Box::pin(async move {
            let mut grpc = Grpc::new(RawCodec)
                .max_decoding_message_size(MAX_REQUEST)
                .max_encoding_message_size(MAX_ANSWER);
            Ok(grpc.unary(call, request).await)
        })
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
        Box::pin(async move { gateway.answer(&path, request.into_inner()).await })
    }
}
