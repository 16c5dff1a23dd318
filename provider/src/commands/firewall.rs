//! `stoa-provider firewall`: the host's rules against workloads.

use clap::Subcommand;

use crate::config::Config;
use crate::runtime::firewall::remove_all;
use crate::runtime::Firewall;

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Action {
    /// Sets this provider's rules. Repeating it is fine.
    Install,
    /// Takes the rules of every provider on this machine away. Set
    /// workloads.firewall = false first, or running daemons set theirs again
    /// at once.
    Remove,
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
        Action::Remove => remove_all().await.map_err(anyhow::Error::msg)?,
        Action::Show => {}
    }
    match firewall.find().await {
        Some(program) => println!("there, by {program}"),
        None => println!("not there"),
    }
    Ok(())
}
