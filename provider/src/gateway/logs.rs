//! Workloads' output, of all instances in one stream. Who follows sees on
//! over restarts and updates of the containers, without a line twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::StreamExt;
use stoa_client::ids::TextId;
use stoa_client::proto::gateway::v1::{LeasePhase, LogLine, LogsRequest};
use stoa_client::proto::types::v1::BidId;
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tonic::Status;

use super::Context;
use crate::runtime::{InstanceKey, LogPiece, LogRequest, RuntimeError};

/// Lines that wait for a slow reader; the engine is not read on meanwhile.
const WAITING: usize = 64;
/// Before a log that ended is looked at again.
const AGAIN: Duration = Duration::from_millis(500);

type Lines = mpsc::Sender<Result<LogLine, Status>>;

/// Begins streaming. Ends when all instances' logs do; with `follow`, when
/// the lease is over; in any case when the reader goes.
pub(super) fn stream(
    context: &Arc<Context>,
    lease: BidId,
    request: LogsRequest,
) -> Result<mpsc::Receiver<Result<LogLine, Status>>, Status> {
    let name = lease.text();
    let keys = instances(context, &name).map(|mut keys| {
        keys.retain(|key| is_wanted(key, &request));
        keys
    });
    let keys = match keys {
        Err(_) if may_come(context, &name, &request) => vec![],
        keys => keys?,
    };
    if keys.is_empty() && !may_come(context, &name, &request) {
        return Err(Status::not_found(format!(
            "nothing{} runs for lease {name} yet; `stoa status` shows what does",
            of_what(&request)
        )));
    }
    let (lines, receiver) = mpsc::channel(WAITING);
    let wanted = LogRequest {
        follow: request.follow,
        tail: request.tail,
        since: i32::try_from(request.since).ok().filter(|since| *since > 0),
    };
    let mut known = BTreeSet::new();
    for key in keys {
        known.insert(key.clone());
        tokio::spawn(read(Arc::clone(context), key, wanted, lines.clone()));
    }
    if request.follow {
        tokio::spawn(newcomers(Arc::clone(context), name, request, known, lines));
    }
    Ok(receiver)
}

/// What there is of a lease, by the reconciler's last look: a call of a
/// tenant's never costs a look at everybody's containers.
pub(super) fn instances(context: &Context, lease: &str) -> Result<Vec<InstanceKey>, Status> {
    context.board.instances(lease).ok_or_else(|| {
        Status::unavailable("the container engine has not been looked at yet; try again soon")
    })
}

fn is_wanted(key: &InstanceKey, request: &LogsRequest) -> bool {
    (request.service.is_empty() || key.service == request.service)
        && request.instance.is_none_or(|index| key.index == index)
}

fn of_what(request: &LogsRequest) -> String {
    match (request.service.as_str(), request.instance) {
        ("", None) => String::new(),
        ("", Some(index)) => format!(" with the index {index}"),
        (service, None) => format!(" of the service {service}"),
        (service, Some(index)) => format!(" of the service {service} with the index {index}"),
    }
}

/// Who follows may wait for an instance that the manifest has.
fn may_come(context: &Context, lease: &str, request: &LogsRequest) -> bool {
    let Some(status) = context.board.get(lease).filter(|_| request.follow) else { return false };
    status.services.iter().any(|service| {
        (request.service.is_empty() || service.name == request.service)
            && request.instance.is_none_or(|index| index < service.wanted)
    })
}

/// Begins with the instances that come later: of an update, after a failure.
async fn newcomers(
    context: Arc<Context>,
    lease: String,
    request: LogsRequest,
    mut known: BTreeSet<InstanceKey>,
    lines: Lines,
) {
    let mut changes = context.board.changes();
    let wanted = LogRequest { follow: true, tail: None, since: None };
    loop {
        for key in on_the_board(&context, &lease) {
            if is_wanted(&key, &request) && known.insert(key.clone()) {
                tokio::spawn(read(Arc::clone(&context), key, wanted, lines.clone()));
            }
        }
        if is_over(&context, &lease) {
            return;
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = lines.closed() => return,
        }
    }
}

fn on_the_board(context: &Context, lease: &str) -> Vec<InstanceKey> {
    let services = context.board.get(lease).map(|status| status.services).unwrap_or_default();
    let keys = services.into_iter().flat_map(|service| {
        let made = service.instances.into_iter().filter(|instance| instance.state != "absent");
        made.map(move |instance| (service.name.clone(), instance.index))
    });
    keys.map(|(service, index)| InstanceKey { lease: lease.into(), service, index }).collect()
}

fn is_over(context: &Context, lease: &str) -> bool {
    context.board.get(lease).is_none_or(|status| status.phase() == LeasePhase::Closing)
}

/// One instance's lines; with `follow`, those of the containers after this
/// one too.
async fn read(context: Arc<Context>, key: InstanceKey, mut wanted: LogRequest, lines: Lines) {
    let begun = OffsetDateTime::now_utc();
    // The time of the last line that was given.
    let mut last = String::new();
    loop {
        let pieces = context.backend.logs(&key, wanted);
        if !give(&key, pieces, wanted.follow, &mut last, &lines).await {
            return;
        }
        if !wanted.follow || is_over(&context, &key.lease) {
            return;
        }
        // What came meanwhile, and what comes from now on.
        if wanted.tail.is_some() || !last.is_empty() {
            let since = Some(second_of(&last, begun));
            wanted = LogRequest { follow: true, tail: None, since };
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = lines.closed() => return,
        }
    }
}

/// Gives what one reading of a log has, but for lines up to the last that was
/// given before it. False where nothing more is to be read.
async fn give(
    key: &InstanceKey,
    mut pieces: BoxStream<'static, Result<LogPiece, RuntimeError>>,
    follow: bool,
    last: &mut String,
    lines: &Lines,
) -> bool {
    // Not beyond: the parts of a long line have one time.
    let given = last.clone();
    loop {
        let piece = tokio::select! {
            piece = pieces.next() => piece,
            () = lines.closed() => return false,
        };
        let line = match piece {
            None => return true,
            Some(Ok(piece)) => line(key, piece),
            // It is gone, or being replaced.
            Some(Err(error)) if follow && error.is_absent() => return true,
            Some(Err(error)) => {
                let _ = lines.send(Err(engine_error(error))).await;
                return false;
            }
        };
        if !line.time.is_empty() && line.time <= given {
            continue;
        }
        if !line.time.is_empty() {
            last.clone_from(&line.time);
        }
        if lines.send(Ok(line)).await.is_err() {
            return false;
        }
    }
}

/// The second in which a line was written.
fn second_of(time: &str, or: OffsetDateTime) -> i32 {
    let parsed = OffsetDateTime::parse(time, &Rfc3339).unwrap_or(or);
    i32::try_from(parsed.unix_timestamp()).unwrap_or(i32::MAX)
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
        RuntimeError::Absent { message, .. } => {
            Status::not_found(format!("it is not there: {message}"))
        }
        RuntimeError::Conflict { message, .. } | RuntimeError::Refused { message, .. } => {
            Status::failed_precondition(message)
        }
        RuntimeError::Spec { problem, .. } => Status::invalid_argument(problem),
        error => Status::unavailable(format!("the container engine: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(second).unwrap()
    }

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
        assert_eq!(second_of("2026-01-02T03:04:05.123456789Z", at(9)), 1_767_323_045);
        assert_eq!(second_of("", at(9)), 9);
    }
}
