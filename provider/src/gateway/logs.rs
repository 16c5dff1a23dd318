//! Workloads' output, of all instances in one stream.

use std::sync::Arc;

use futures::StreamExt;
use stoa_client::ids::TextId;
use stoa_client::proto::gateway::v1::{LogLine, LogsRequest};
use stoa_client::proto::types::v1::BidId;
use tokio::sync::mpsc;
use tonic::Status;

use super::Context;
use crate::runtime::{InstanceKey, LogPiece, LogRequest, RuntimeError};

/// Lines that wait for a slow reader.
const WAITING: usize = 64;

/// Begins streaming; ends when all instances' logs do, or the reader goes.
pub(super) async fn stream(
    context: &Arc<Context>,
    lease: BidId,
    request: LogsRequest,
) -> Result<mpsc::Receiver<Result<LogLine, Status>>, Status> {
    let name = lease.text();
    let seen = context.backend.observe().await.map_err(engine_error)?;
    let keys: Vec<InstanceKey> = seen
        .instances
        .iter()
        .filter(|(key, instance)| key.lease == name && instance.workload.is_some())
        .map(|(key, _)| key.clone())
        .filter(|key| request.service.is_empty() || key.service == request.service)
        .filter(|key| request.instance.is_none_or(|index| key.index == index))
        .collect();
    if keys.is_empty() {
        let of = match request.service.as_str() {
            "" => String::new(),
            service => format!(" of the service {service}"),
        };
        return Err(Status::not_found(format!("nothing{of} runs for lease {name} yet")));
    }
    let wanted = LogRequest {
        follow: request.follow,
        tail: request.tail,
        since: i32::try_from(request.since).ok().filter(|since| *since > 0),
    };
    let (lines, receiver) = mpsc::channel(WAITING);
    for key in keys {
        let mut pieces = context.backend.logs(&key, wanted);
        let lines = lines.clone();
        tokio::spawn(async move {
            while let Some(piece) = tokio::select! {
                piece = pieces.next() => piece,
                () = lines.closed() => None,
            } {
                let line = piece.map(|piece| line(&key, piece)).map_err(engine_error);
                if lines.send(line).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(receiver)
}

/// Splits the time off that the engine puts before each line.
fn line(key: &InstanceKey, piece: LogPiece) -> LogLine {
    let space = piece.bytes.iter().position(|byte| *byte == b' ');
    let (time, rest) = match space {
        Some(at) if at <= 40 => (piece.bytes.slice(..at), piece.bytes.slice(at + 1..)),
        _ => (piece.bytes.slice(..0), piece.bytes),
    };
    let rest = rest.strip_suffix(b"\n").unwrap_or(&rest);
    LogLine {
        service: key.service.clone(),
        instance: key.index,
        stderr: piece.stderr,
        time: String::from_utf8_lossy(&time).into_owned(),
        line: rest.to_vec(),
    }
}

pub(super) fn engine_error(error: RuntimeError) -> Status {
    match error {
        RuntimeError::Absent { .. } => Status::not_found("the instance is gone"),
        error => Status::unavailable(format!("the container engine: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_time_is_split_off() {
        let key = InstanceKey { lease: "l".into(), service: "web".into(), index: 1 };
        let bytes = bytes::Bytes::from_static(b"2026-01-02T03:04:05.6Z hello there\n");
        let told = line(&key, LogPiece { stderr: true, bytes });
        assert_eq!(told.time, "2026-01-02T03:04:05.6Z");
        assert_eq!(told.line, b"hello there");
        assert!(told.stderr && told.instance == 1);
        let bare = line(&key, LogPiece { stderr: false, bytes: bytes::Bytes::from_static(b"x") });
        assert_eq!((bare.time.as_str(), bare.line.as_slice()), ("", &b"x"[..]));
    }
}
