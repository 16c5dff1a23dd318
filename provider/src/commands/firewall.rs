//! `stoa-provider firewall`: the host's rules against workloads.

use clap::Subcommand;

use crate::config::Config;
use crate::runtime::firewall::remove_all;
use crate::runtime::Firewall;

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Action {
    /// Sets this provider's rules. Repeating it is fine.
    Install,
    /// Takes this provider's rules away. Set workloads.firewall = false first,
    /// or a running daemon sets them again at once.
    Remove {
        /// Those of every provider on this machine.
        #[arg(long)]
        all: bool,
    },
    /// Says whether this provider's are there.
    Show,
}

pub(super) async fn run(config: &Config, action: Action) -> anyhow::Result<()> {
    let provider = config.key_store().show(&config.key.name)?.address;
    let firewall = Firewall::new(&config.runtime(&provider)?);
    match action {
        Action::Install => {
            firewall.ensure().await.map_err(anyhow::Error::msg)?;
        }
        Action::Remove { all: true } => remove_all().await.map_err(anyhow::Error::msg)?,
        Action::Remove { all: false } => firewall.remove().await.map_err(anyhow::Error::msg)?,
        Action::Show => {}
    }
    match firewall.find().await {
        Some(program) => println!("there, by {program}"),
        None => println!("not there"),
    }
    Ok(())
}
