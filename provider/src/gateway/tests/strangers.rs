//! Another tenant, with a good certificate, at every call.

use stoa_client::proto::gateway::v1::copy_in_request::Input as CopyInput;
use stoa_client::proto::gateway::v1::port_forward_request::Input as PortInput;
use stoa_client::proto::gateway::v1::{
    CopyInRequest, CopyInStart, CopyOutRequest, EventsRequest, GetManifestRequest,
    PortForwardRequest, PortForwardStart, RestartRequest,
};

use super::inside::{start, web};
use super::*;

#[tokio::test]
async fn no_call_of_grpc_reaches_another_tenants_lease() {
    let stage = Stage::set().await;
    stage.run_web().await;
    let stranger = stage.stranger();
    let lease = || Some(stage.lease.clone());
    let mut client = stage.tenant_client_of(&stranger).await;
    let mut answers: Vec<(&str, Result<(), Status>)> = vec![];
    let wanted = GetManifestRequest { lease: lease() };
    answers.push(("manifest", client.get_manifest(wanted).await.map(drop)));
    let wanted = EventsRequest { lease: lease(), ..Default::default() };
    answers.push(("events", client.events(wanted).await.map(drop)));
    let wanted = futures::stream::iter([start(&stage)]);
    answers.push(("shell", client.shell(wanted).await.map(drop)));
    let begin = PortForwardStart { instance: web(&stage), port: 8080 };
    let wanted = PortForwardRequest { input: Some(PortInput::Start(begin)) };
    answers.push(("port", client.port_forward(futures::stream::iter([wanted])).await.map(drop)));
    let wanted = CopyOutRequest { instance: web(&stage), path: "/etc/file".into() };
    answers.push(("copy out", client.copy_out(wanted).await.map(drop)));
    let begin = CopyInStart { instance: web(&stage), path: "/".into() };
    let wanted = CopyInRequest { input: Some(CopyInput::Start(begin)) };
    answers.push(("copy in", client.copy_in(futures::stream::iter([wanted])).await.map(drop)));
    let wanted = RestartRequest { lease: lease(), service: "web".into(), instance: None };
    answers.push(("restart", client.restart(wanted).await.map(drop)));
    let mut client = connect(&stage.record, Some(&stranger)).await.unwrap();
    let wanted = LeaseStatusRequest { lease: lease() };
    answers.push(("watch", client.watch_lease(wanted.clone()).await.map(drop)));
    answers.push(("status", client.lease_status(wanted).await.map(drop)));
    answers.push(("blob", client.blob_status(stage.blob_request()).await.map(drop)));
    for (call, answer) in answers {
        assert_eq!(answer.unwrap_err().code(), Code::PermissionDenied, "{call}");
    }
    assert!(stage.engine.written.lock().unwrap().is_empty());
    assert!(stage.engine.restarted.lock().unwrap().is_empty());
    assert!(stage.engine.logs_asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn no_path_of_rest_reaches_another_tenants_lease() {
    let stage = Stage::set().await;
    stage.run_web().await;
    let stranger = stage.stranger();
    let lease = stage.lease_path();
    let deployment = format!("/deployment/{}/1/manifest", tenant());
    for (method, path) in [
        ("GET", format!("{lease}/status")),
        ("GET", format!("{lease}/status?follow")),
        ("GET", format!("{lease}/logs")),
        ("GET", format!("{lease}/events")),
        ("GET", format!("{lease}/manifest")),
        ("PUT", deployment),
        ("POST", format!("{lease}/service/web/restart")),
        ("GET", format!("{lease}/service/web/files?path=/etc/file")),
        ("PUT", format!("{lease}/service/web/files?path=/")),
    ] {
        let request = http::Request::builder().method(method).uri(&path);
        let body = stage.manifest.canonical_json();
        let answer = stage.rest(Some(&stranger), request, &body).await;
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
        let request = http::Request::builder().method(method).uri(&path);
        let nobody = stage.rest(None, request, &body).await;
        assert_eq!(nobody.status, 401, "{method} {path}: {}", nobody.text());
    }
    for path in ["shell", "port/8080"] {
        let request = http::Request::get(format!("{lease}/service/web/{path}"))
            .header("upgrade", "websocket")
            .header("connection", "Upgrade")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let answer = stage.rest(Some(&stranger), request, b"").await;
        assert_eq!(answer.status, 403, "{path}");
    }
}
