//! The control daemon's side.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{Request, Response, Status, MAX_LINE_BYTES};
use crate::routes::RouteTable;

const DEADLINE: Duration = Duration::from_secs(30);

/// Speaks to a data plane. Each call is a connection of its own, so a
/// restart of either side needs no care.
#[derive(Debug, Clone)]
pub struct ControlClient {
    socket: PathBuf,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It does not answer; its routes are in force all the same if it runs.
    #[error("the data plane at {socket} does not answer: {cause}")]
    Unreachable { socket: String, cause: String },
    /// Push again with a generation above this.
    #[error("the data plane has the newer or another table {current}")]
    Stale { current: u64 },
    #[error("the data plane refused: {0}")]
    Refused(String),
}

impl ControlClient {
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Replaces the whole table. Pushing the same table again is well.
    pub async fn set_routes(&self, table: &RouteTable) -> Result<(), ControlError> {
        match self.call(&Request::SetRoutes { table: Box::new(table.clone()) }).await? {
            Response::Applied { .. } => Ok(()),
            Response::Stale { current } => Err(ControlError::Stale { current }),
            other => Err(unexpected(other)),
        }
    }

    pub async fn status(&self) -> Result<Status, ControlError> {
        match self.call(&Request::Status).await? {
            Response::Status(status) => Ok(*status),
            other => Err(unexpected(other)),
        }
    }

    async fn call(&self, request: &Request) -> Result<Response, ControlError> {
        let unreachable = |cause: String| ControlError::Unreachable {
            socket: self.socket.display().to_string(),
            cause,
        };
        tokio::time::timeout(DEADLINE, self.exchange(request))
            .await
            .map_err(|_| unreachable(format!("no answer within {} s", DEADLINE.as_secs())))?
            .map_err(|e| unreachable(e.to_string()))
    }

    async fn exchange(&self, request: &Request) -> std::io::Result<Response> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        if line.len() > MAX_LINE_BYTES {
            let words = format!("{} bytes are more than a line may have", line.len());
            return Err(std::io::Error::other(words));
        }
        let mut stream = UnixStream::connect(&self.socket).await?;
        stream.write_all(&line).await?;
        let mut answer = Vec::new();
        let limit = MAX_LINE_BYTES as u64;
        BufReader::new(stream.take(limit)).read_until(b'\n', &mut answer).await?;
        if answer.last() != Some(&b'\n') {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_slice(&answer)?)
    }
}

fn unexpected(response: Response) -> ControlError {
    match response {
        Response::Refused { problem } => ControlError::Refused(problem),
        other => ControlError::Refused(format!("an answer to another question: {other:?}")),
    }
}
