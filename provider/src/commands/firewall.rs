//! `stoa-provider firewall`: the host's rule against workloads.

use clap::Subcommand;

use crate::runtime::belt;

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Action {
    /// Puts the rule there. Repeating it is fine.
    Install,
    /// Takes it away, for every provider on this machine. Set
    /// workloads.firewall = false, or the daemon puts it back at its next
    /// start.
    Remove,
    /// Says whether it is there.
    Show,
}

pub(super) async fn run(action: Action) -> anyhow::Result<()> {
    match action {
        Action::Install => {
            belt::install().await.map_err(anyhow::Error::msg)?;
        }
        Action::Remove => belt::remove().await.map_err(anyhow::Error::msg)?,
        Action::Show => {}
    }
    match belt::find().await {
        Some(found) => println!("there, by {}", found.program()),
        None => println!("not there"),
    }
    Ok(())
}
