//! `market.Query/WatchMarket` by a script: what each call is answered.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use http_body_util::{BodyExt, Full};
use prost::Message;
use stoa_proto::market::v1::{
    market_event::Event, EventOrderOpened, MarketEvent, WatchMarketRequest, WatchMarketResponse,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{body::Body, codegen::http, server::NamedService, Code, Status};

/// Heights that a call tells of (negative: by a heartbeat), and how it ends.
pub type Call = (Vec<i64>, Code);

/// A node that answers each call by the script's next line.
#[derive(Clone)]
pub struct Market {
    script: Arc<Mutex<Vec<Call>>>,
    asked: Arc<Mutex<Vec<u64>>>,
}

impl NamedService for Market {
    const NAME: &'static str = "stoa.market.v1.Query";
}

impl Market {
    /// Serves it; also says where.
    pub async fn serve(script: Vec<Call>) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let script = script.into_iter().rev().collect();
        let market = Self { script: Arc::new(Mutex::new(script)), asked: Arc::default() };
        let server = tonic::transport::Server::builder().add_service(market.clone());
        tokio::spawn(async move {
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        (market, address)
    }

    /// From which heights it was asked to tell.
    pub fn asked(&self) -> Vec<u64> {
        self.asked.lock().unwrap().clone()
    }
}

impl tower::Service<http::Request<Body>> for Market {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let market = self.clone();
        Box::pin(async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let request = WatchMarketRequest::decode(&body[5..]).unwrap();
            market.asked.lock().unwrap().push(request.from_height);
            let call = market.script.lock().unwrap().pop();
            let (heights, code) = call.unwrap_or((Vec::new(), Code::Internal));
            if heights.is_empty() {
                return Ok(Status::new(code, "as the script says").into_http::<Body>());
            }
            Ok(stream(&heights, code))
        })
    }
}

fn stream(heights: &[i64], code: Code) -> http::Response<Body> {
    let mut bytes = Vec::new();
    // A 0 after a height: there is more of that block.
    let following = heights.iter().skip(1).map(Some).chain([None]);
    for (height, next) in heights.iter().zip(following).filter(|(height, _)| **height != 0) {
        let more = next == Some(&0);
        let order = EventOrderOpened { order: height.to_string(), ..Default::default() };
        let event = MarketEvent { event: Some(Event::OrderOpened(order)) };
        let events = if *height > 0 { vec![event] } else { Vec::new() };
        let answer = WatchMarketResponse { height: height.unsigned_abs(), time: 5, events, more };
        bytes.push(0);
        bytes.extend_from_slice(&u32::try_from(answer.encoded_len()).unwrap().to_be_bytes());
        answer.encode(&mut bytes).unwrap();
    }
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from(code as i32));
    let body =
        Full::new(bytes::Bytes::from(bytes)).with_trailers(std::future::ready(Some(Ok(trailers))));
    http::Response::builder()
        .header("content-type", "application/grpc")
        .body(Body::new(body))
        .unwrap()
}
