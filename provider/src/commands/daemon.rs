//! `stoa-provider run`.

use crate::config::Config;
use crate::{daemon, failpoint};

pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    // The environment goes over the file, here as everywhere.
    failpoint::arm(&config.failpoint);
    daemon::run(config).await
}
