//! `auth.Query/AccountInfo` and `tx.Service/Simulate`, by path.

use std::{
    convert::Infallible,
    future::{ready, Ready},
    sync::{Arc, Mutex},
};

use http_body_util::BodyExt;
use prost::Message;
use stoa_proto::cosmos::{
    auth::v1beta1::{BaseAccount, QueryAccountInfoResponse},
    base::abci::v1beta1::GasInfo,
    tx::v1beta1::{SimulateRequest, SimulateResponse},
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{body::Body, codegen::http, server::NamedService, Status};

use super::{lock, recipients, State, FAILS, FAILS_DARKLY};

pub async fn serve(state: Arc<Mutex<State>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder()
        .add_service(Auth(state.clone()))
        .add_service(Service(state));
    tokio::spawn(async move {
        server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
    });
    address
}

#[derive(Clone)]
struct Auth(Arc<Mutex<State>>);

#[derive(Clone)]
struct Service(Arc<Mutex<State>>);

impl NamedService for Auth {
    const NAME: &'static str = "cosmos.auth.v1beta1.Query";
}

impl NamedService for Service {
    const NAME: &'static str = "cosmos.tx.v1beta1.Service";
}

type Reply = Result<http::Response<Body>, Infallible>;

impl tower::Service<http::Request<Body>> for Auth {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Reply>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        let account = BaseAccount {
            account_number: 7,
            sequence: lock(&self.0).sequence,
            ..BaseAccount::default()
        };
        let answer = QueryAccountInfoResponse { info: Some(account) };
        ready(Ok(framed(&answer.encode_to_vec())))
    }
}

impl tower::Service<http::Request<Body>> for Service {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn std::future::Future<Output = Reply> + Send>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            // Five bytes of gRPC's frame stand before the message.
            let request = SimulateRequest::decode(&body[5..]).unwrap();
            let to = recipients(&request.tx_bytes);
            let refused = |text: String| Ok(Status::unknown(text).into_http::<Body>());
            if to.iter().any(|t| t == FAILS_DARKLY) {
                return refused("something is wrong (sdk/18)".into());
            }
            if let Some(index) = to.iter().position(|t| t == FAILS) {
                return refused(format!("message index: {index}: insufficient funds (sdk/5)"));
            }
            let gas = GasInfo { gas_wanted: 0, gas_used: 1_000 };
            let answer = SimulateResponse { gas_info: Some(gas), result: None };
            Ok(framed(&answer.encode_to_vec()))
        })
    }
}

fn framed(message: &[u8]) -> http::Response<Body> {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
    bytes.extend_from_slice(message);
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let body = http_body_util::Full::new(bytes::Bytes::from(bytes))
        .with_trailers(std::future::ready(Some(Ok(trailers))));
    http::Response::builder()
        .header("content-type", "application/grpc")
        .body(Body::new(body))
        .unwrap()
}
