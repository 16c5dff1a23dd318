//! From a request to an answer.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use http::{header, request::Parts, HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tokio::sync::Semaphore;
use tonic::{Code, Status};

use super::{
    http_status::{body, http_status},
    json::Schema,
    openapi, params,
    routes::{Found, Route, Table, Verb},
};
use crate::{
    metrics::{self, Interface},
    services::{Answer, Services, HEIGHT_HEADER},
};

/// The same height under the name that grpc-gateway gives it.
const GATEWAY_HEIGHT_HEADER: &str = "grpc-metadata-x-cosmos-block-height";

/// Where the OpenAPI document is.
const OPENAPI: &str = "/openapi.json";

/// Answers that are written as JSON at the same time. A large one takes several times its bytes
/// meanwhile.
const MAX_WRITERS: usize = 4;

/// Everything that answers need.
pub struct Rest {
    services: Arc<Services>,
    schema: Arc<Schema>,
    table: Table,
    openapi: Bytes,
    writers: Arc<Semaphore>,
    cors: bool,
}

/// A call that came to nothing.
struct Refusal {
    status: StatusCode,
    code: Code,
    message: String,
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let code = status.code();
        Self { status: http_status(code), code, message: status.message().to_owned() }
    }
}

impl Refusal {
    fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
    }
}

/// A route, and the values that its path holds.
type Routed<'a> = (&'a Route, Vec<(&'a str, String)>);

impl Rest {
    pub fn new(services: Arc<Services>, cors: bool) -> Result<Self> {
        let schema = Arc::new(Schema::new()?);
        let table = Table::new(&schema, &services.paths())?;
        let served = table.routes().iter().filter(|route| route.served);
        let openapi = openapi::document(&schema, served).into();
        let writers = Arc::new(Semaphore::new(MAX_WRITERS));
        Ok(Self { services, schema, table, openapi, writers, cors })
    }

    #[cfg(test)]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// Answers a request whose body was read.
    pub async fn answer(&self, head: &Parts, body: Bytes) -> Response<Full<Bytes>> {
        let mut response = match head.method {
            Method::OPTIONS => empty(StatusCode::NO_CONTENT),
            Method::GET if head.uri.path() == OPENAPI => found(self.openapi.clone(), None),
            _ => match self.call(head, body).await {
                Ok((json, height)) => found(json, Some(height)),
                Err(refusal) => refused(&refusal),
            },
        };
        if self.cors {
            allow_any_origin(response.headers_mut());
        }
        response
    }

    async fn call(&self, head: &Parts, body: Bytes) -> Result<(Bytes, u64), Refusal> {
        let (route, path) = self.route(head)?;
        let of = route.method.input();
        let request = match route.verb {
            Verb::Get => {
                params::request(&self.schema, &of, &path, head.uri.query().unwrap_or_default())
                    .map_err(|error| Refusal::invalid(error.to_string()))?
            }
            Verb::Post => self.read_body(&of, &body)?,
        };
        let asked = asked_height(&head.headers)?;
        let answer = self.services.answer(&route.rpc, request.encode_to_vec().into(), asked).await;
        metrics::get().called(Interface::Rest, answer.is_ok());
        let Answer { height, body } = answer?;
        Ok((self.write(route.method.output(), body).await?, height))
    }

    fn route<'a>(&'a self, head: &'a Parts) -> Result<Routed<'a>, Refusal> {
        let path = head.uri.path();
        let verb = match head.method {
            Method::GET => Verb::Get,
            Method::POST => Verb::Post,
            _ => return Err(wrong_verb("GET or POST")),
        };
        match self.table.find(verb, path) {
            Found::Route(route, values) if route.served => Ok((route, values)),
            Found::Route(route, _) => {
                let text = format!("this node does not serve {}; see {OPENAPI}", route.rpc);
                Err(Refusal::new(StatusCode::NOT_FOUND, Code::Unimplemented, text))
            }
            Found::OtherVerb(Verb::Get) => Err(wrong_verb("GET")),
            Found::OtherVerb(Verb::Post) => Err(wrong_verb("POST")),
            Found::Nothing => {
                let text = format!("nothing is served under {path}; see {OPENAPI}");
                Err(Refusal::new(StatusCode::NOT_FOUND, Code::NotFound, text))
            }
        }
    }

    fn read_body(&self, of: &MessageDescriptor, body: &Bytes) -> Result<DynamicMessage, Refusal> {
        let json = serde_json::from_slice(body)
            .map_err(|error| Refusal::invalid(format!("the body is no JSON: {error}")))?;
        self.schema.read(of, &json).map_err(|error| Refusal::invalid(error.to_string()))
    }

    /// Writes an answer on a blocking thread.
    async fn write(&self, of: MessageDescriptor, body: Bytes) -> Result<Bytes, Refusal> {
        let turn = Arc::clone(&self.writers).acquire_owned().await;
        let turn = turn.map_err(|_| Status::unavailable("the node is stopping"))?;
        let schema = Arc::clone(&self.schema);
        let write = move || {
            let json = DynamicMessage::decode(of, body).map(|message| schema.write(&message));
            drop(turn);
            json
        };
        let written = tokio::task::spawn_blocking(write).await;
        let json = written.map_err(|_| Status::internal("the answer could not be written"))?;
        let json = json.map_err(|_| Status::internal("the answer is none of its method's"))?;
        Ok(json.into())
    }
}

fn wrong_verb(right: &str) -> Refusal {
    let text = format!("call it with {right}");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, text)
}

fn asked_height(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let value = headers.get(HEIGHT_HEADER).or_else(|| headers.get(GATEWAY_HEIGHT_HEADER));
    let Some(value) = value else { return Ok(None) };
    let height = value.to_str().ok().and_then(|text| text.parse().ok());
    height.map(Some).ok_or_else(|| {
        Refusal::invalid(format!("{HEIGHT_HEADER}: expected a height, such as 1200"))
    })
}

fn found(json: Bytes, height: Option<u64>) -> Response<Full<Bytes>> {
    let mut response = with_json(StatusCode::OK, json);
    if let Some(height) = height {
        let headers = response.headers_mut();
        headers.insert(HEIGHT_HEADER, height.into());
        headers.insert(GATEWAY_HEIGHT_HEADER, height.into());
    }
    response
}

fn refused(refusal: &Refusal) -> Response<Full<Bytes>> {
    with_json(refusal.status, body(refusal.code, &refusal.message).into())
}

/// A refusal of what is no call at all, such as a body that is too large.
pub fn refuse(status: StatusCode, code: Code, message: &str) -> Response<Full<Bytes>> {
    refused(&Refusal::new(status, code, message))
}

fn with_json(status: StatusCode, json: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn allow_any_origin(headers: &mut HeaderMap) {
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "*"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    for (name, value) in allowed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
