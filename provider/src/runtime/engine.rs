//! The engine's client: every call has a deadline, and every failure is
//! sorted into "the engine says no" and "nobody knows".

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use bollard::errors::Error;
use bollard::Docker;

use super::RuntimeError;

/// Bollard's own timeout runs until the response's head; ours bound whole
/// calls, so its only task is to be longer.
const CLIENT_TIMEOUT_SECONDS: u64 = 4 * 3600;

/// Connects and settles on an API version that both sides speak.
pub(super) async fn connect(socket: &Path, deadline: Duration) -> Result<Docker, RuntimeError> {
    let during = "connecting to the engine";
    let path = socket.to_str().ok_or_else(|| {
        RuntimeError::Setup(format!("the socket's path {} is not UTF-8", socket.display()))
    })?;
    let docker =
        Docker::connect_with_unix(path, CLIENT_TIMEOUT_SECONDS, bollard::API_DEFAULT_VERSION)
            .map_err(|e| RuntimeError::from_engine(during, e))?;
    bounded(during, deadline, docker.negotiate_version()).await
}

/// Waits for an engine call, at most until its deadline.
pub(super) async fn bounded<T>(
    during: impl Into<String>,
    deadline: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, RuntimeError> {
    match tokio::time::timeout(deadline, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(RuntimeError::from_engine(during, error)),
        Err(_) => Err(RuntimeError::Unknown {
            during: during.into(),
            cause: format!("no answer within {} s", deadline.as_secs()),
        }),
    }
}
