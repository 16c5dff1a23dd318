//! Logs that are followed.

use crate::runtime::LogPiece;

use super::*;

fn piece(second: u32, text: &str) -> LogPiece {
    let line = format!("2026-01-02T03:04:{second:02}.000000000Z {text}\n");
    LogPiece { stderr: false, bytes: line.into() }
}

fn texts(lines: &[stoa_client::proto::gateway::v1::LogLine]) -> Vec<String> {
    lines.iter().map(|line| String::from_utf8(line.line.clone()).unwrap()).collect()
}

#[tokio::test]
async fn who_follows_sees_on_over_a_restart_and_no_line_twice() {
    let stage = Stage::set().await;
    stage.run_web().await;
    let mut status = stoa_client::proto::gateway::v1::LeaseStatusResponse::default();
    status.set_phase(LeasePhase::Running);
    stage.board.post(&stage.lease.text(), status.clone());
    // The engine gives the whole second again; parts of a line have one time.
    *stage.engine.logs.lock().unwrap() = vec![
        vec![piece(1, "one"), piece(2, "long"), piece(2, "er")],
        vec![],
        vec![piece(2, "long"), piece(2, "er"), piece(3, "after")],
    ];
    let mut client = stage.client().await;
    let request =
        LogsRequest { lease: Some(stage.lease.clone()), follow: true, ..LogsRequest::default() };
    let mut lines = client.logs(request).await.unwrap().into_inner();
    let mut got = vec![];
    while got.len() < 4 {
        got.push(lines.message().await.unwrap().unwrap());
    }
    assert_eq!(texts(&got), ["one", "long", "er", "after"]);
    // The stream ends with the lease.
    status.set_phase(LeasePhase::Closing);
    stage.board.post(&stage.lease.text(), status);
    assert_eq!(lines.message().await.unwrap(), None);
    let asked = stage.engine.logs_asked.lock().unwrap().clone();
    assert_eq!((asked[0].tail, asked[0].since), (None, None));
    let second = Some(1_767_323_042);
    assert!(asked[1..].iter().all(|one| one.since == second || one.since == Some(1_767_323_043)));
}

#[tokio::test]
async fn no_old_lines_is_not_all_old_lines() {
    let stage = Stage::set().await;
    stage.run_web().await;
    let mut client = stage.client().await;
    for tail in [None, Some(0), Some(5)] {
        let request =
            LogsRequest { lease: Some(stage.lease.clone()), tail, ..LogsRequest::default() };
        let mut lines = client.logs(request).await.unwrap().into_inner();
        assert_eq!(lines.message().await.unwrap(), None);
    }
    let asked: Vec<_> = stage.engine.logs_asked.lock().unwrap().iter().map(|r| r.tail).collect();
    assert_eq!(asked, [None, Some(0), Some(5)]);
    let other = LogsRequest {
        lease: Some(stage.lease.clone()),
        instance: Some(3),
        ..LogsRequest::default()
    };
    refused(client.logs(other).await.map(drop), Code::NotFound, "index 3");
}
