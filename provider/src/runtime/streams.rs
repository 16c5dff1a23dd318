//! What flows: logs, use of resources, and the engine's events.

use std::collections::HashMap;

use bollard::container::LogOutput;
use bollard::models::EventMessageTypeEnum;
use bollard::query_parameters::{EventsOptionsBuilder, LogsOptionsBuilder, StatsOptionsBuilder};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use super::error::chain;
use super::names::{key_of, label, InstanceKey, Role};
use super::{DockerBackend, RuntimeError};

/// Which part of a workload's log is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRequest {
    /// Go on until the container ends.
    pub follow: bool,
    /// This many of the last lines; all that are kept where `None`.
    pub tail: Option<u32>,
    /// Not before this moment, in seconds since 1970.
    pub since: Option<i32>,
}

/// A piece of a log, usually a line. It begins with its time (RFC 3339,
/// then a space).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPiece {
    pub stderr: bool,
    pub bytes: Bytes,
}

/// What an instance uses, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStats {
    /// Nanoseconds of CPU since the container's start.
    pub cpu_nanoseconds: u64,
    /// Without the page cache, where the engine tells it.
    pub memory_bytes: u64,
    pub processes: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

/// Something happened to an instance: a hint to look, never the truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineEvent {
    pub key: InstanceKey,
    /// Not of the workload: of the link container, whose restart changes its
    /// namespace, or of one through which a volume is filled.
    pub link: bool,
    /// The engine's word: `start`, `die`, `oom`, `health_status: unhealthy`.
    pub action: String,
    /// Of a container that ended.
    pub exit_code: Option<i64>,
}

impl DockerBackend {
    pub(super) fn stream_logs(
        &self,
        key: &InstanceKey,
        request: LogRequest,
    ) -> BoxStream<'static, Result<LogPiece, RuntimeError>> {
        let name = self.names.instance(key).workload;
        let tail = request.tail.map_or_else(|| "all".to_string(), |lines| lines.to_string());
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .follow(request.follow)
            .tail(&tail)
            .since(request.since.unwrap_or(0))
            .build();
        let during = format!("reading the log of {name}");
        self.docker
            .logs(&name, Some(options))
            .map(move |piece| match piece {
                Ok(output) => Ok(LogPiece {
                    stderr: matches!(output, LogOutput::StdErr { .. }),
                    bytes: output.into_bytes(),
                }),
                Err(error) => Err(RuntimeError::from_engine(during.as_str(), error)),
            })
            .boxed()
    }

    pub(super) async fn read_stats(
        &self,
        key: &InstanceKey,
    ) -> Result<InstanceStats, RuntimeError> {
        let name = self.names.instance(key).workload;
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let mut answers = self.docker.stats(&name, Some(options)).boxed();
        let during = format!("measuring {name}");
        let call = async {
            answers.next().await.unwrap_or(Err(bollard::errors::Error::RequestTimeoutError))
        };
        let stats = self.bounded(during, self.config.deadlines.query, call).await?;
        Ok(read_engine_stats(&stats))
    }

    /// The engine's events on this provider's containers. The stream ends or
    /// fails when the engine goes: observe, and ask for a new one.
    pub(super) fn stream_events(&self) -> BoxStream<'static, Result<EngineEvent, RuntimeError>> {
        let mut filter = self.provider_filter();
        filter.insert("type".into(), vec!["container".into()]);
        let options = EventsOptionsBuilder::default().filters(&filter).build();
        self.docker
            .events(Some(options))
            .filter_map(|event| async move {
                match event {
                    Ok(event) => read_event(event).map(Ok),
                    Err(error) => Some(Err(RuntimeError::Unknown {
                        during: "listening for events".into(),
                        cause: chain(&error),
                    })),
                }
            })
            .boxed()
    }
}

fn read_event(event: bollard::models::EventMessage) -> Option<EngineEvent> {
    if event.typ != Some(EventMessageTypeEnum::CONTAINER) {
        return None;
    }
    let labels = event.actor?.attributes?;
    Some(EngineEvent {
        key: key_of(&labels)?,
        link: labels.get(label::ROLE).is_some_and(|role| role != Role::Workload.as_str()),
        exit_code: labels.get("exitCode").and_then(|code| code.parse().ok()),
        action: event.action?,
    })
}

fn read_engine_stats(stats: &bollard::models::ContainerStatsResponse) -> InstanceStats {
    let memory = stats.memory_stats.as_ref();
    let used = memory.and_then(|m| m.usage).unwrap_or(0);
    // The two cgroup versions name the reclaimable page cache differently.
    let cache = memory
        .and_then(|m| m.stats.as_ref())
        .and_then(|s| s.get("inactive_file").or_else(|| s.get("total_inactive_file")))
        .copied()
        .unwrap_or(0);
    let networks = || stats.networks.iter().flat_map(HashMap::values);
    InstanceStats {
        cpu_nanoseconds: stats
            .cpu_stats
            .as_ref()
            .and_then(|cpu| cpu.cpu_usage.as_ref())
            .and_then(|usage| usage.total_usage)
            .unwrap_or(0),
        memory_bytes: used.saturating_sub(cache),
        processes: stats.pids_stats.as_ref().and_then(|pids| pids.current).unwrap_or(0),
        received_bytes: networks().filter_map(|n| n.rx_bytes).sum(),
        sent_bytes: networks().filter_map(|n| n.tx_bytes).sum(),
    }
}
