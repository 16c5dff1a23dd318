//! `stoa-provider drain`: no new orders, and where wanted an end of leases.

use clap::Args;
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use crate::config::Config;
use crate::drain::{self, Drain};

/// How to empty the provider.
#[derive(Debug, Clone, Args)]
pub struct DrainArguments {
    /// Close what is left of leases so that they have ended by then, such as
    /// 2026-01-31T12:00:00Z, or in so long: 90m, 12h, 7d. Those with a window
    /// of notice are told so much sooner.
    #[arg(long, value_parser = moment, conflicts_with = "undo")]
    pub close_by: Option<u64>,
    /// Take new orders again.
    #[arg(long)]
    pub undo: bool,
}

pub(super) fn run(config: &Config, arguments: &DrainArguments) -> anyhow::Result<()> {
    if arguments.undo {
        drain::write(&config.data_dir, None)?;
        println!("new orders are taken again");
        return Ok(());
    }
    let since = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or(0);
    drain::write(&config.data_dir, Some(Drain { since, close_by: arguments.close_by }))?;
    println!(
        "no new orders from the next block on; open bids are taken back where the market allows"
    );
    match arguments.close_by {
        Some(by) => println!("leases are closed by {}", shown(by)),
        None => println!("leases go on until their tenants end them"),
    }
    println!("`stoa-provider drain --undo` ends it; `stoa-provider status` shows it");
    Ok(())
}

/// As people write it.
pub(super) fn shown(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| seconds.to_string())
}

fn moment(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}`: right is 2026-01-31T12:00:00Z, or in so long: 90m, 12h, 7d");
    let spans = [("m", 60), ("h", 3_600), ("d", 86_400)];
    let span = spans.into_iter().find_map(|(unit, seconds)| {
        text.strip_suffix(unit)?.parse::<i64>().ok()?.checked_mul(seconds)
    });
    let at = match span {
        Some(seconds) => OffsetDateTime::now_utc().checked_add(time::Duration::seconds(seconds)),
        None => OffsetDateTime::parse(text, &Rfc3339).ok(),
    };
    u64::try_from(at.ok_or_else(wrong)?.unix_timestamp()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_a_span_from_now() {
        assert_eq!(moment("1970-01-01T01:00:00Z").unwrap(), 3_600);
        assert!(moment("2h").unwrap() > moment("90m").unwrap());
        assert!(moment("soon").is_err());
        assert_eq!(shown(3_600), "1970-01-01T01:00:00Z");
    }
}
