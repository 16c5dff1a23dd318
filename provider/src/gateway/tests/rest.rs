//! HTTP and JSON on the same port.

use futures::{SinkExt, StreamExt};
use stoa_client::token::Scope;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::tests_inside::tar_file;

#[tokio::test]
async fn anybody_reads_the_status_and_only_the_tenant_its_lease() {
    let stage = Stage::set().await;
    let open = stage.rest(None, http::Request::get("/status"), b"").await;
    assert_eq!((open.status, open.json()["provider"].as_str()), (200, Some(me().as_str())));
    assert_eq!(open.headers["cache-control"], "no-store");
    let version = stage.rest(None, http::Request::get("/version"), b"").await;
    assert_eq!(version.json()["version"], env!("CARGO_PKG_VERSION"));
    let path = format!("{}/status", stage.lease_path());
    let nobody = stage.rest(None, http::Request::get(&path), b"").await;
    assert_eq!(
        (nobody.status, &nobody.headers["www-authenticate"]),
        (401, &"Bearer".parse().unwrap())
    );
    let own = stage.get(&path).await;
    assert_eq!(
        (own.status, own.json()["phase"].as_str()),
        (200, Some("LEASE_PHASE_AWAITING_MANIFEST"))
    );
    assert_eq!(stage.get("/nowhere").await.status, 404);
    let wrong = stage.rest(None, http::Request::post("/status"), b"").await;
    assert_eq!(wrong.status, 405);
}

#[tokio::test]
async fn a_page_with_a_token_is_served_where_its_origin_may() {
    let page = "https://console.example";
    let stage = Stage::set_with(|gateway| gateway.cors_origins = vec![page.into()]).await;
    let lease = stage.lease_of_signer();
    let path = format!("/lease/{}/{}/1/1/status", lease.owner, lease.dseq);
    let token = format!("Bearer {}", stage.token(&[Scope::Status], vec![]));
    let ask = |origin: &str| {
        http::Request::get(&path).header("origin", origin).header("authorization", &token)
    };
    let answer = stage.rest(None, ask(page), b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.headers["access-control-allow-origin"], page);
    let preflight = http::Request::options(&path).header("origin", page);
    let preflight = stage.rest(None, preflight, b"").await;
    assert_eq!(preflight.status, 204);
    assert!(preflight.headers["access-control-allow-headers"]
        .to_str()
        .unwrap()
        .contains("authorization"));
    // Another page, even with the tenant's certificate in the browser.
    let other = stage.rest(Some(&stage.tenant), ask("https://evil.example"), b"").await;
    assert_eq!(other.status, 403);
    assert!(other.headers.get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn manifest_files_restart_and_events_by_rest() {
    let stage = Stage::set().await;
    stage.run_web().await;
    let lease = stage.lease_path();
    let tenant_of = Some(&stage.tenant);
    let put = http::Request::put(format!("/deployment/{}/1/manifest", tenant()));
    let bytes = stage.manifest.canonical_json();
    let sent = stage.rest(tenant_of, put, &bytes).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    assert_eq!(sent.json()["missing_blobs"][0]["complete"], false);
    assert_eq!(stage.get(&format!("{lease}/manifest")).await.body, bytes);
    let put = http::Request::put(format!("/deployment/{}/1/manifest", tenant()));
    let huge = vec![b' '; stoa_manifest::MAX_CANONICAL_BYTES + 1];
    assert_eq!(stage.rest(tenant_of, put, &huge).await.status, 400);

    let files = format!("{lease}/service/web/files?path=/etc/file");
    assert_eq!(stage.get(&files).await.body, tar_file("file", b"content"));
    assert_eq!(stage.get(&files.replace("/etc/file", "/nothing")).await.status, 404);
    let put = http::Request::put(format!("{lease}/service/web/files?path=/srv"));
    let copied = stage.rest(tenant_of, put, &tar_file("a", b"b")).await;
    assert_eq!(copied.json()["bytes"], tar_file("a", b"b").len().to_string());
    let post = http::Request::post(format!("{lease}/service/web/restart"));
    let done = stage.rest(tenant_of, post, b"").await;
    assert_eq!(done.json(), serde_json::json!({ "instances": [0] }));

    let events = stage.get(&format!("{lease}/events")).await;
    assert_eq!(events.headers["content-type"], "application/x-ndjson");
    let lines: Vec<serde_json::Value> =
        events.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["kind"], "EVENT_KIND_MANIFEST");
    assert!(lines.iter().any(|line| line["message"] == "a restart was asked for"));
    let sse = http::Request::get(format!("{lease}/events")).header("accept", "text/event-stream");
    let sse = stage.rest(tenant_of, sse, b"").await;
    assert_eq!(sse.headers["content-type"], "text/event-stream");
    assert!(sse.text().starts_with("data: {"), "{}", sse.text());
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>;

async fn socket(stage: &Stage, path: &str) -> Socket {
    let stream = stage.dial("127.0.0.1", Some(&stage.tenant)).await.unwrap();
    let request = format!("wss://gateway{path}").into_client_request().unwrap();
    tokio_tungstenite::client_async(request, stream).await.unwrap().0
}

#[tokio::test]
async fn a_shell_and_a_port_over_websockets() {
    let stage = Stage::set().await;
    stage.run_web().await;
    let lease = stage.lease_path();
    let mut shell = socket(&stage, &format!("{lease}/service/web/shell?command=sh&tty")).await;
    let first = shell.next().await.unwrap().unwrap().into_data();
    assert_eq!(first, &b"\x02web[0] [\"sh\"] tty=true\n"[..]);
    shell.send(Message::binary(&b"hi"[..])).await.unwrap();
    assert_eq!(shell.next().await.unwrap().unwrap().into_data(), &b"\x01hi"[..]);
    shell.send(Message::text(r#"{"resize":{"rows":5,"columns":6}}"#)).await.unwrap();
    assert_eq!(shell.next().await.unwrap().unwrap().into_data(), &b"\x015x6"[..]);
    shell.send(Message::text(r#"{"end_stdin":true}"#)).await.unwrap();
    assert_eq!(shell.next().await.unwrap().unwrap(), Message::text(r#"{"exit_code":3}"#));
    assert!(matches!(shell.next().await, Some(Ok(Message::Close(_)))));
    // What is no message of ours ends it.
    let mut shell = socket(&stage, &format!("{lease}/service/web/shell")).await;
    shell.next().await.unwrap().unwrap();
    shell.send(Message::text("rm -rf /")).await.unwrap();
    assert!(matches!(shell.next().await, Some(Ok(Message::Close(_)))));

    let mut port = socket(&stage, &format!("{lease}/service/web/port/8080")).await;
    port.send(Message::binary(&b"abc"[..])).await.unwrap();
    assert_eq!(port.next().await.unwrap().unwrap().into_data(), &b"ABC"[..]);
    let plain = stage.get(&format!("{lease}/service/web/shell")).await;
    assert_eq!(plain.status, 409, "{}", plain.text());
    let mut events = socket(&stage, &format!("{lease}/events")).await;
    let event = events.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(event.contains("was begun"), "{event}");
}

#[tokio::test]
async fn a_websocket_is_use_and_makes_no_room_for_others() {
    let stage = Stage::set_with(|gateway| gateway.max_connections = 2).await;
    stage.run_web().await;
    let path = format!("{}/service/web/shell", stage.lease_path());
    let mut shell = socket(&stage, &path).await;
    shell.next().await.unwrap().unwrap();
    let mut idle = vec![];
    for _ in 0..4 {
        // Each takes the one other place from the one before.
        idle.push(stage.dial("127.0.0.66", None).await.unwrap());
    }
    shell.send(Message::binary(&b"still here"[..])).await.unwrap();
    assert_eq!(shell.next().await.unwrap().unwrap().into_data(), &b"\x01still here"[..]);
}
