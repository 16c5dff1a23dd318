//! Connections to an instance's ports, from inside its link container's
//! network namespace: nothing is published.

use std::time::Duration;

use stoa_tunnel::netns::Dialer;

use super::super::names::InstanceKey;
use super::super::{DockerBackend, RuntimeError};
use super::Connection;

/// How long a connection may take.
pub const DIAL_DEADLINE: Duration = Duration::from_secs(10);

impl DockerBackend {
    pub(in super::super) async fn dial_port(
        &self,
        key: &InstanceKey,
        port: u16,
    ) -> Result<Box<dyn Connection>, RuntimeError> {
        let during = format!("connecting to port {port} of {key}");
        let seen = self.observe_one(key).await?;
        let Some((netns, address)) = seen.way_to(port) else {
            let message = "the instance does not run".into();
            return Err(RuntimeError::Absent { during, message });
        };
        let setup = |error: std::io::Error| RuntimeError::Setup(format!("{during}: {error}"));
        let dialer = match self.dialer.get() {
            Some(dialer) => dialer,
            None => {
                let started = Dialer::start().map_err(setup)?;
                self.dialer.get_or_init(|| started)
            }
        };
        match dialer.connect(&netns, address, DIAL_DEADLINE).await {
            Ok(stream) => Ok(Box::new(stream)),
            // The tenant's program does not listen: nothing of ours failed.
            Err(error) => Err(RuntimeError::Refused {
                during: during.clone(),
                status: 502,
                message: match error.kind() {
                    std::io::ErrorKind::ConnectionRefused => "nothing listens there".into(),
                    std::io::ErrorKind::TimedOut => "no answer in time".into(),
                    _ => error.to_string(),
                },
            }),
        }
    }
}
