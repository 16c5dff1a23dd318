//! Routes and answers on a chain of one block, without an engine behind it.

use std::{collections::BTreeSet, sync::Arc};

use base64::{engine::general_purpose::STANDARD, Engine as _};
use bytes::Bytes;
use http::{header, HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{json, Value};
use stoa_chain::types::Address;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    answer::Rest,
    json::Schema,
    openapi,
    routes::{Found, Segment, Table},
    Options, Server,
};
use crate::{
    app::testing::{genesis, open, Consensus, Wallet, CHAIN},
    comet::Rpc,
    services::{Facts, Services},
};

struct Node {
    rest: Rest,
    wallet: Wallet,
    services: Arc<Services>,
    _chain: Consensus,
    _dir: tempfile::TempDir,
}

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }
}

impl Node {
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let wallet = Wallet::new(CHAIN, 1);
        let mut chain = Consensus::connect(open(dir.path()));
        chain.begin(genesis(&[&wallet, &Wallet::new(CHAIN, 2)]));
        chain.block(&[]);
        let rpc = Rpc::new("tcp://127.0.0.1:1").unwrap();
        let facts = Facts { min_gas_prices: "0.025ustoa".to_owned(), retain_heights: 100 };
        let services = Arc::new(Services::new(chain.app.queries().clone(), rpc, facts));
        let rest = Rest::new(Arc::clone(&services), true).unwrap();
        Self { rest, wallet, services, _chain: chain, _dir: dir }
    }

    async fn call(&self, request: http::request::Builder, body: &str) -> Got {
        let (head, ()) = request.body(()).unwrap().into_parts();
        let response = self.rest.answer(&head, Bytes::copy_from_slice(body.as_bytes())).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Got { status: head.status, headers: head.headers, body }
    }

    async fn get(&self, uri: &str) -> Got {
        self.call(Request::get(uri), "").await
    }

    async fn post(&self, uri: &str, body: &Value) -> Got {
        self.call(Request::post(uri), &body.to_string()).await
    }
}

#[tokio::test]
async fn an_account_and_its_balances_are_written_as_cosmos_rest_does() {
    let node = Node::new();
    let address = node.wallet.address().to_string();
    let got = node.get(&format!("/cosmos/auth/v1beta1/accounts/{address}")).await;
    assert_eq!(got.status, StatusCode::OK, "{:?}", got.body);
    assert_eq!(got.headers["content-type"], "application/json");
    assert_eq!(got.headers["x-cosmos-block-height"], "1");
    assert_eq!(got.headers["grpc-metadata-x-cosmos-block-height"], "1");
    let account = &got.json()["account"];
    assert_eq!(account["@type"], "/cosmos.auth.v1beta1.BaseAccount");
    assert_eq!((&account["address"], &account["sequence"]), (&json!(address), &json!("0")));
    assert_eq!(account["pub_key"], Value::Null);

    let got = node.get(&format!("/cosmos/bank/v1beta1/balances/{address}")).await;
    assert_eq!(got.json()["balances"], json!([{ "denom": "ustoa", "amount": "1000000" }]));
    assert_eq!(got.json()["pagination"]["next_key"], Value::Null);
    let uri = format!("/cosmos/bank/v1beta1/balances/{address}/by_denom?denom=ustoa");
    let got = node.get(&uri).await.json();
    assert_eq!(got, json!({ "balance": { "denom": "ustoa", "amount": "1000000" } }));
}

#[tokio::test]
async fn an_account_that_is_not_there_is_not_found() {
    let node = Node::new();
    let nobody = Address::new([42; 20]);
    let got = node.get(&format!("/cosmos/auth/v1beta1/accounts/{nobody}")).await;
    assert_eq!((got.status, got.json()["code"].clone()), (StatusCode::NOT_FOUND, json!(5)));
    assert!(got.message().contains("not found"), "{}", got.message());
    assert_eq!(got.json()["details"], json!([]));
}

#[tokio::test]
async fn our_own_records_have_their_ids_in_the_path() {
    let node = Node::new();
    let owner = node.wallet.address();
    let got = node.get("/stoa/market/v1/params").await;
    assert_eq!(got.status, StatusCode::OK, "{:?}", got.body);
    assert!(got.json()["params"]["min_bid_window"].is_string());
    let got = node.get("/stoa/escrow/v1/community_pool").await;
    assert!(got.json()["pool"].is_array());
    let got = node.get(&format!("/stoa/deployment/v1/deployments/{owner}/7")).await;
    assert_eq!(got.status, StatusCode::NOT_FOUND, "{:?}", got.body);
    assert!(got.message().contains(&format!("{owner}/7")), "{}", got.message());
    let got = node.get("/stoa/market/v1/orders?state=ORDER_STATE_OPEN&pagination.limit=5").await;
    assert_eq!(got.json()["orders"], json!([]));
    let got = node.get("/stoa/market/v1/orders?state=1").await;
    assert_eq!(got.status, StatusCode::OK, "an enum by its number");
}

#[tokio::test]
async fn pages_are_followed_by_their_key() {
    let node = Node::new();
    let first = node.get("/cosmos/auth/v1beta1/accounts?pagination.limit=1").await.json();
    assert_eq!(first["accounts"].as_array().unwrap().len(), 1, "{first}");
    let key = first["pagination"]["next_key"].as_str().unwrap().to_owned();
    let safe = key.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned();
    let encoded = key.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let mut pages = Vec::new();
    for key in [&key, &safe, &encoded] {
        let uri = format!("/cosmos/auth/v1beta1/accounts?pagination.limit=1&pagination.key={key}");
        let page = node.get(&uri).await;
        assert_eq!(page.status, StatusCode::OK, "{:?}", page.body);
        assert_ne!(page.json()["accounts"], first["accounts"]);
        pages.push(page.json());
    }
    assert_eq!(pages[0], pages[1]);
    assert_eq!(pages[0], pages[2]);
    let all = node.get("/cosmos/auth/v1beta1/accounts?pagination.count_total=true").await.json();
    let total: usize = all["pagination"]["total"].as_str().unwrap().parse().unwrap();
    assert_eq!(total, all["accounts"].as_array().unwrap().len());
    let last = total - 1;
    let uri = format!("/cosmos/auth/v1beta1/accounts?pagination.offset={last}");
    assert_eq!(node.get(&uri).await.json()["accounts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let node = Node::new();
    for (uri, named) in [
        ("/cosmos/auth/v1beta1/accounts?pagination.limit=x", "limit: expected a number"),
        ("/cosmos/auth/v1beta1/accounts?pagination.key=*", "key: expected base64"),
        ("/cosmos/auth/v1beta1/accounts?pagination.reverse=maybe", "reverse: expected true"),
        ("/stoa/market/v1/orders?state=OPEN", "ORDER_STATE_OPEN"),
        ("/cosmos/auth/v1beta1/accounts/stoa1x", "address"),
    ] {
        let got = node.get(uri).await;
        assert_eq!((got.status, got.json()["code"].clone()), (StatusCode::BAD_REQUEST, json!(3)));
        assert!(got.message().contains(named), "{uri}: {}", got.message());
    }
    let got = node.get("/cosmos/bank/v1beta1/supply?_=12&pagination.x.y=1&pagination.limit=").await;
    assert_eq!(got.status, StatusCode::OK, "what is not known or empty is passed over");
}

#[tokio::test]
async fn what_is_not_served_says_so() {
    let node = Node::new();
    let got = node.get("/cosmos/nothing").await;
    assert_eq!((got.status, got.json()["code"].clone()), (StatusCode::NOT_FOUND, json!(5)));
    assert!(got.message().contains("/openapi.json"), "{}", got.message());
    let got = node.get("/cosmos/tx/v1beta1/simulate").await;
    assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(got.message().contains("POST"), "{}", got.message());
    let got = node.call(Request::builder().method(Method::DELETE).uri("/cosmos"), "").await;
    assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_transaction_is_simulated() {
    let mut node = Node::new();
    let to = node.wallet.address();
    let tx = STANDARD.encode(node.wallet.send(to, 5));
    let got = node.post("/cosmos/tx/v1beta1/simulate", &json!({ "tx_bytes": tx })).await;
    assert_eq!(got.status, StatusCode::OK, "{:?}", got.body);
    let used: u64 = got.json()["gas_info"]["gas_used"].as_str().unwrap().parse().unwrap();
    assert!(used > 0);
    let responses = &got.json()["result"]["msg_responses"];
    assert_eq!(responses, &json!([{ "@type": "/cosmos.bank.v1beta1.MsgSendResponse" }]));
    let got = node.post("/cosmos/tx/v1beta1/simulate", &json!({ "tx_bytes": "*" })).await;
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    let got = node.call(Request::post("/cosmos/tx/v1beta1/simulate"), "{").await;
    assert!(got.message().contains("no JSON"), "{}", got.message());
}

#[tokio::test]
async fn the_node_tells_its_settings_and_an_engine_that_is_gone() {
    let node = Node::new();
    let got = node.get("/cosmos/base/node/v1beta1/config").await.json();
    assert_eq!(got["minimum_gas_price"], "0.025ustoa");
    assert_eq!(got["pruning_keep_recent"], "100");
    let got = node.get("/cosmos/base/tendermint/v1beta1/blocks/latest").await;
    assert_eq!(
        (got.status, got.json()["code"].clone()),
        (StatusCode::SERVICE_UNAVAILABLE, json!(14))
    );
    let path = "path=%2Fcosmos.bank.v1beta1.Query%2FParams";
    let got = node.get(&format!("/cosmos/base/tendermint/v1beta1/abci_query?{path}")).await.json();
    assert_eq!((&got["code"], &got["height"]), (&json!(0), &json!("1")), "{got}");
}

#[tokio::test]
async fn a_height_that_has_not_come_is_refused() {
    let node = Node::new();
    let at = |height: &str| {
        Request::get("/cosmos/bank/v1beta1/supply").header("x-cosmos-block-height", height)
    };
    assert_eq!(node.call(at("1"), "").await.status, StatusCode::OK);
    assert_eq!(node.call(at("0"), "").await.status, StatusCode::OK);
    let got = node.call(at("7"), "").await;
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    assert!(got.message().contains("not committed yet"), "{}", got.message());
    assert_eq!(node.call(at("x"), "").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn pages_of_other_origins_may_call_only_where_it_is_said() {
    let mut node = Node::new();
    let ask = || Request::builder().method(Method::OPTIONS).uri("/cosmos/bank/v1beta1/supply");
    let got = node.call(ask(), "").await;
    assert_eq!(got.status, StatusCode::NO_CONTENT);
    assert_eq!(got.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    let refused = node.get("/cosmos/nothing").await;
    assert_eq!(refused.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*", "refusals are read too");
    node.rest = Rest::new(Arc::clone(&node.services), false).unwrap();
    let got = node.call(ask(), "").await;
    assert!(!got.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
}

/// A path that a route takes, with the words of its fields.
fn example(segments: &[Segment]) -> String {
    let parts = segments.iter().map(|segment| match segment {
        Segment::Literal(text) => format!("/{text}"),
        Segment::One(field) => format!("/{field}"),
        Segment::Rest(field) => format!("/{field}/and%2Fmore"),
    });
    parts.collect()
}

#[test]
fn every_route_leads_to_its_own_method_with_its_own_values() {
    let node = Node::new();
    let routes = node.rest.table().routes();
    assert!(routes.len() > 100, "{}", routes.len());
    for route in routes {
        let path = example(&route.segments);
        let Found::Route(found, values) = node.rest.table().find(route.verb, &path) else {
            panic!("{path} leads nowhere");
        };
        assert_eq!((&found.rpc, &found.segments), (&route.rpc, &route.segments), "{path}");
        let expected: Vec<_> = route.path_fields().collect();
        assert_eq!(values.iter().map(|(field, _)| *field).collect::<Vec<_>>(), expected);
        for (segment, (_, value)) in
            route.segments.iter().filter(|s| !matches!(s, Segment::Literal(_))).zip(&values)
        {
            match segment {
                Segment::Rest(field) => assert_eq!(value, &format!("{field}/and/more")),
                Segment::One(field) => assert_eq!(value, field),
                Segment::Literal(_) => {}
            }
        }
    }
}

#[tokio::test]
async fn every_served_path_is_answered_and_no_other() {
    let node = Node::new();
    let address = node.wallet.address().to_string();
    for route in node.rest.table().routes() {
        let path: String = route
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(text) => format!("/{text}"),
                Segment::One(field) | Segment::Rest(field) => {
                    let number = ["height", "id", "proposal_id", "id.dseq", "id.gseq", "id.oseq"];
                    let text = if number.contains(&field.as_str()) { "1" } else { &address };
                    format!("/{text}")
                }
            })
            .collect();
        let request =
            Request::builder().method(route.verb.name().to_uppercase().as_str()).uri(&path);
        let got = node.call(request, "{}").await;
        let unserved = got.status == StatusCode::NOT_FOUND
            && got.json()["message"].as_str().is_some_and(|m| m.contains("does not serve"));
        assert_eq!(unserved, !route.served, "{path}: {:?}", got.body);
        let fault = got.json()["code"] == 13;
        assert!(!fault, "{path}: {:?}", got.body);
        assert!(got.json().is_object(), "{path}");
    }
}

#[tokio::test]
async fn over_a_connection_calls_follow_one_another_and_a_large_body_is_refused() {
    let node = Node::new();
    let options = Options { max_connections: 4, cors: false };
    let server = Server::new(Arc::clone(&node.services), options).unwrap();
    let listener = super::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(server.serve(listener));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let supply = format!("http://{address}/cosmos/bank/v1beta1/supply");
    for _ in 0..3 {
        let got: Value = client.get(&supply).send().await.unwrap().json().await.unwrap();
        assert_eq!(got["supply"][0]["denom"], "ustoa");
    }
    let simulate = format!("http://{address}/cosmos/tx/v1beta1/simulate");
    let large = client.post(&simulate).body("x".repeat(2 << 20)).send().await;
    // The refusal may be overtaken by the end of the connection.
    if let Ok(refused) = large {
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    let mut raw = tokio::net::TcpStream::connect(address).await.unwrap();
    raw.write_all(b"NONSENSE\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    raw.read_to_end(&mut said).await.unwrap();
    assert!(said.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&said));
    serving.abort();
}

#[tokio::test]
async fn the_openapi_document_is_of_what_is_served() {
    let node = Node::new();
    let document = node.get("/openapi.json").await.json();
    for route in node.rest.table().routes() {
        let known = !document["paths"][route.template()][route.verb.name()].is_null();
        assert_eq!(known, route.served, "{}", route.template());
    }
    check_references(&document, &document["components"]["schemas"]);
    let balances = &document["paths"]["/cosmos/bank/v1beta1/balances/{address}"]["get"];
    assert_eq!(balances["summary"], "An account's balances.");
    let names: Vec<_> =
        balances["parameters"].as_array().unwrap().iter().map(|p| &p["name"]).collect();
    assert!(names.contains(&&json!("address")) && names.contains(&&json!("pagination.limit")));
}

#[test]
fn the_openapi_document_of_all_routes_is_kept_in_docs() {
    let schema = Schema::new().unwrap();
    let table = Table::new(&schema, &BTreeSet::new()).unwrap();
    let document = openapi::document(&schema, table.routes().iter());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    if std::env::var_os("STOA_UPDATE_DOCS").is_some() {
        std::fs::write(path, &document).unwrap();
    }
    let kept = std::fs::read(path).unwrap_or_default();
    assert!(
        kept == document,
        "docs/openapi.json is out of date; write it anew by \
         STOA_UPDATE_DOCS=1 cargo test -p stoad --lib openapi"
    );
}

/// Every reference leads somewhere.
fn check_references(at: &Value, schemas: &Value) {
    match at {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                let name = reference.trim_start_matches("#/components/schemas/");
                assert!(schemas[name].is_object(), "{reference} leads nowhere");
            }
            fields.values().for_each(|value| check_references(value, schemas));
        }
        Value::Array(values) => values.iter().for_each(|value| check_references(value, schemas)),
        _ => {}
    }
}
