//! The connection to a command, by HTTP upgrade on the engine's socket.
//!
//! Not by the engine's client: it takes a terminal's bytes for framed ones
//! where they begin with 0, 1 or 2, and then holds as many as the tenant's
//! program says, up to 4 GiB.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::super::RuntimeError;

/// Without a version: the engine's own newest. Old versions come out of use.
const START: &str = "/exec";
/// Of an engine's refusal.
const MAX_REFUSAL: usize = 4096;

/// Starts a prepared command and gives the connection to it. Engines from 23
/// on give its terminal a size before it runs; earlier ones leave that out.
pub(super) async fn start(
    socket: &Path,
    exec: &str,
    tty: bool,
    (rows, columns): (u16, u16),
) -> Result<TokioIo<hyper::upgrade::Upgraded>, RuntimeError> {
    let unknown =
        |cause: String| RuntimeError::Unknown { during: "starting a command".into(), cause };
    let stream = UnixStream::connect(socket).await.map_err(|e| unknown(e.to_string()))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|e| unknown(e.to_string()))?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!("a command's connection: {error}");
        }
    });
    let mut body = serde_json::json!({ "Detach": false, "Tty": tty });
    if tty && rows > 0 && columns > 0 {
        body["ConsoleSize"] = serde_json::json!([rows, columns]);
    }
    let body = body.to_string();
    let request = Request::post(format!("{START}/{exec}/start"))
        .header(HOST, "engine")
        .header(CONTENT_TYPE, "application/json")
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "tcp")
        .body(Full::new(Bytes::from(body)))
        .map_err(|e| unknown(e.to_string()))?;
    let response = sender.send_request(request).await.map_err(|e| unknown(e.to_string()))?;
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => {
            let upgraded = hyper::upgrade::on(response).await;
            upgraded.map(TokioIo::new).map_err(|e| unknown(e.to_string()))
        }
        status => {
            let body = http_body_util::Limited::new(response.into_body(), MAX_REFUSAL);
            let text = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
            Err(refusal(status, &String::from_utf8_lossy(&text)))
        }
    }
}

fn refusal(status: StatusCode, body: &str) -> RuntimeError {
    let json: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let message = json.as_ref().and_then(|json| json.get("message")?.as_str()).unwrap_or(body);
    let (during, message) = ("starting a command".to_string(), message.trim().to_string());
    match status {
        StatusCode::NOT_FOUND => RuntimeError::Absent { during, message },
        StatusCode::CONFLICT => RuntimeError::Conflict { during, message },
        status => RuntimeError::Refused { during, status: status.as_u16(), message },
    }
}
