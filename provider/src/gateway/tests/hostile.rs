//! Clients that want to use the gateway up, and honest ones beside them. The
//! hostile ones come from other addresses of the loopback network.

use stoa_client::proto::gateway::v1::StatusRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const HOSTILE: &str = "127.0.0.66";

/// Resolves when the other end has closed; what it said before.
async fn until_closed(mut stream: impl tokio::io::AsyncRead + Unpin) -> Vec<u8> {
    let mut said = vec![];
    let mut buffer = [0; 1024];
    while let Ok(count) = stream.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        said.extend_from_slice(&buffer[..count]);
    }
    said
}

#[tokio::test]
async fn connections_that_only_begin_take_few_places_and_lose_them() {
    let stage = Stage::set_with(|gateway| {
        gateway.limits.connections_per_address = 3;
        gateway.limits.handshake_seconds = 1;
        gateway.limits.header_seconds = 1;
    })
    .await;
    let mut silent = vec![];
    for _ in 0..20 {
        silent.push(stage.dial_tcp(HOSTILE).await.unwrap());
    }
    // Meanwhile a tenant from elsewhere is served.
    let mut client = stage.client().await;
    stage.lease_status(&mut client).await.unwrap();
    // All are closed, with nothing said: 17 at once, 3 after a second.
    for stream in silent {
        assert!(until_closed(stream).await.is_empty());
    }
    // The places are free again, and one that shakes hands and then is
    // silent, or sends half a header, or a byte at a time, loses it too.
    let idle = stage.dial(HOSTILE, None).await.unwrap();
    let mut half = stage.dial(HOSTILE, None).await.unwrap();
    half.write_all(b"GET /status HTTP/1.1\r\nhost: x\r\nx-").await.unwrap();
    let slow = stage.dial(HOSTILE, None).await.unwrap();
    let (slow_read, mut slow_write) = tokio::io::split(slow);
    let dripping = tokio::spawn(async move {
        while slow_write.write_all(b"G").await.is_ok() && slow_write.flush().await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    until_closed(idle).await;
    until_closed(half).await;
    until_closed(slow_read).await;
    dripping.abort();
    stage.lease_status(&mut client).await.unwrap();
}

#[tokio::test]
async fn the_idle_make_room_when_all_places_are_taken() {
    let stage = Stage::set_with(|gateway| {
        gateway.max_connections = 4;
        gateway.limits.connections_per_address = 2;
        gateway.limits.handshake_seconds = 600;
        gateway.limits.header_seconds = 600;
    })
    .await;
    let mut idle = vec![];
    for host in [66, 66, 67, 67] {
        idle.push(stage.dial(&format!("127.0.0.{host}"), None).await.unwrap());
    }
    let mut client = stage.client().await;
    stage.lease_status(&mut client).await.unwrap();
    // The one that was idle longest went.
    until_closed(idle.remove(0)).await;
    // A stream is use: it stays while others come and go.
    let request = LeaseStatusRequest { lease: Some(stage.lease.clone()) };
    let mut watched = client.watch_lease(request).await.unwrap().into_inner();
    watched.message().await.unwrap().unwrap();
    for host in 70..80 {
        idle.push(stage.dial(&format!("127.0.0.{host}"), None).await.unwrap());
    }
    let mut status = stoa_client::proto::gateway::v1::LeaseStatusResponse::default();
    status.set_phase(LeasePhase::Running);
    stage.board.post(&stage.lease.text(), status);
    assert_eq!(watched.message().await.unwrap().unwrap().phase(), LeasePhase::Running);
}

#[tokio::test]
async fn headers_and_bodies_have_bounds() {
    let stage = Stage::set().await;
    // A header without an end: refused once it is too large.
    let mut stream = stage.dial(HOSTILE, None).await.unwrap();
    let mut sent = 0;
    stream.write_all(b"GET /status HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    while sent < 1 << 20 && stream.write_all(&[b'x'; 1024]).await.is_ok() {
        sent += 1024;
    }
    let said = until_closed(stream).await;
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 431"), "{said:?}");
    // Too many fields.
    let mut request = http::Request::get("/status");
    for number in 0..100 {
        request = request.header(format!("x-{number}"), "y");
    }
    assert_eq!(stage.rest(None, request, b"").await.status, 431);
    // By HTTP/2.
    let mut client = connect(&stage.record, None).await.unwrap();
    let mut request = tonic::Request::new(StatusRequest {});
    request.metadata_mut().insert("x", "y".repeat(40_000).parse().unwrap());
    assert!(client.status(request).await.is_err());
    client.status(StatusRequest {}).await.unwrap();
    // A message that is no manifest's size, from nobody: not even read.
    let manifest = vec![0; 3 << 20];
    let request = SubmitManifestRequest { deployment: Some(stage.deployment()), manifest };
    let refused = client.submit_manifest(request.clone()).await.unwrap_err();
    assert_ne!(refused.code(), Code::Ok);
    let mut own = stage.client().await;
    assert_eq!(own.submit_manifest(request).await.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test]
async fn a_flood_of_requests_is_slowed_down_and_another_tenant_is_not() {
    let stage = Stage::set_with(|gateway| gateway.limits.requests_per_second = 10).await;
    let stranger = stage.stranger();
    let mut flood = connect(&stage.record, Some(&stranger)).await.unwrap();
    let mut refused = None;
    for _ in 0..2000 {
        refused = flood.status(StatusRequest {}).await.err();
        if refused.is_some() {
            break;
        }
    }
    let refused = refused.expect("40 at once, then 10 a second");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    stage.lease_status(&mut stage.client().await).await.unwrap();
}

#[tokio::test]
async fn one_tenants_streams_leave_room_for_anothers() {
    let stage = Stage::set_with(|gateway| gateway.limits.requests_per_second = 1000).await;
    let request = || LeaseStatusRequest { lease: Some(stage.lease.clone()) };
    let mut open = vec![];
    let mut end = None;
    for _ in 0..100 {
        // A connection has few streams: several connections.
        let mut client = stage.client().await;
        for _ in 0..20 {
            match client.watch_lease(request()).await {
                Ok(stream) => open.push(stream.into_inner()),
                Err(status) => end = Some(status),
            }
            if end.is_some() {
                break;
            }
        }
        if end.is_some() {
            break;
        }
    }
    let end = end.expect("there is a bound");
    assert_eq!(end.code(), Code::ResourceExhausted);
    assert!(end.message().contains("end some"), "{end}");
    assert_eq!(open.len(), 64);
    // A restart takes a place as well.
    let restart = stoa_client::proto::gateway::v1::RestartRequest {
        lease: Some(stage.lease.clone()),
        service: "web".into(),
        instance: None,
    };
    let answer = stage.tenant_client().await.restart(restart).await;
    refused(answer, Code::ResourceExhausted, "end some");
    let post = http::Request::post(format!("{}/service/web/restart", stage.lease_path()));
    assert_eq!(stage.rest(Some(&stage.tenant), post, b"").await.status, 429);
    let lease = stage.lease_of_signer();
    let token = stage.token(&[stoa_client::token::Scope::Status], vec![]);
    let path = format!("/lease/{}/{}/1/1/status?follow", lease.owner, lease.dseq);
    let ask = http::Request::get(path).header("authorization", format!("Bearer {token}"));
    let stream = stage.dial("127.0.0.1", None).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let ask = ask.header("host", "gateway").body(http_body_util::Empty::<bytes::Bytes>::new());
    assert_eq!(sender.send_request(ask.unwrap()).await.unwrap().status(), 200);
    // Streams that end give their places back.
    drop(open);
    let mut client = stage.client().await;
    loop {
        match client.watch_lease(request()).await {
            Ok(_) => break,
            Err(status) => assert_eq!(status.code(), Code::ResourceExhausted),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_certificate_that_is_none_is_refused_at_the_handshake() {
    let stage = Stage::set().await;
    for identity in
        [tenant_certificate("nobody", 30).unwrap(), provider_root(&tenant(), 30).unwrap()]
    {
        // In TLS 1.3 the client learns of it with its first read.
        let served = match stage.dial(HOSTILE, Some(&identity)).await {
            Err(_) => vec![],
            Ok(mut stream) => {
                let _ = stream.write_all(b"GET /status HTTP/1.1\r\nhost: x\r\n\r\n").await;
                until_closed(stream).await
            }
        };
        assert!(served.is_empty(), "{}", String::from_utf8_lossy(&served));
    }
}
