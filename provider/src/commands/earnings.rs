//! `stoa-provider earnings`: what the ledger says.

use std::io::Write;

use clap::{Args, ValueEnum};
use comfy_table::Table;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::config::Config;
use crate::money::{Earnings, Filter, Kind, Ledger};

/// What is asked of the ledger.
#[derive(Debug, Clone, Args)]
pub struct EarningsArguments {
    /// Only this lease: owner/dseq/gseq/oseq/provider.
    #[arg(long)]
    pub lease: Option<String>,
    /// Only this tenant's leases, by address.
    #[arg(long)]
    pub tenant: Option<String>,
    /// Only what was paid since: 2026-01-31, 2026-01-31T12:00:00Z, or so long ago: 12h, 30d.
    #[arg(long, value_parser = since)]
    pub since: Option<u64>,
    /// Every payment, not the sums of leases. CSV always has payments.
    #[arg(long)]
    pub payments: bool,
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Table,
    Json,
    Csv,
}

pub(super) fn run(config: &Config, arguments: &EarningsArguments) -> anyhow::Result<()> {
    let path = config.ledger_path();
    anyhow::ensure!(
        path.exists(),
        "there is no ledger at {} yet; `stoa-provider run` begins it",
        path.display()
    );
    let filter = Filter {
        lease: arguments.lease.clone(),
        tenant: arguments.tenant.clone(),
        since: arguments.since.unwrap_or(0),
    };
    let earnings = Ledger::open_to_read(&path)?.earnings(&filter)?;
    let text = match arguments.output {
        Form::Json => serde_json::to_string_pretty(&earnings)?,
        Form::Csv => csv(&earnings),
        Form::Table if arguments.payments => payments_table(&earnings),
        Form::Table => leases_table(&earnings),
    };
    // A closed pipe (`| head`) is the reader's choice.
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    Ok(())
}

/// Unix seconds of a day, a moment, or an age.
fn since(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}`: right is 2026-01-31, 2026-01-31T12:00:00Z, 12h or 30d");
    let ages = [("h", 3_600), ("d", 86_400)];
    let age = ages.into_iter().find_map(|(unit, seconds)| {
        text.strip_suffix(unit)?.parse::<i64>().ok()?.checked_mul(seconds)
    });
    let at = match age {
        Some(seconds) => OffsetDateTime::now_utc().checked_sub(Duration::seconds(seconds)),
        None if text.contains('T') => OffsetDateTime::parse(text, &Rfc3339).ok(),
        None => OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339).ok(),
    };
    u64::try_from(at.ok_or_else(wrong)?.unix_timestamp()).map_err(|_| wrong())
}

fn moment(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    match at {
        Some(at) if seconds > 0 => at.format(&Rfc3339).unwrap_or_default(),
        _ => "-".into(),
    }
}

/// One line a payment; nothing in it needs quotes.
fn csv(earnings: &Earnings) -> String {
    let mut text = String::from("time,height,lease,tenant,amount,denom,tx,kind\n");
    for line in &earnings.payments {
        let tenant = line.lease.split('/').next().unwrap_or_default();
        let kind = match line.kind {
            Kind::Paid => "paid",
            Kind::Rebuilt => "rebuilt",
        };
        text.push_str(&format!(
            "{},{},{},{tenant},{},{},{},{kind}\n",
            moment(line.time),
            line.height,
            line.lease,
            line.amount,
            line.denom,
            line.tx
        ));
    }
    text
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_BORDERS_ONLY);
    table.set_header(header.iter().copied());
    table
}

fn ending(earnings: &Earnings) -> String {
    let totals = earnings.total.iter().map(|(denom, sum)| format!("{sum}{denom}"));
    let totals: Vec<String> = totals.collect();
    let total = if totals.is_empty() { "nothing".into() } else { totals.join(", ") };
    format!("\nin all {total}; the books are at block {}", earnings.height)
}

fn leases_table(earnings: &Earnings) -> String {
    let mut table = table(&["lease", "earned", "a second", "started", "closed"]);
    for line in &earnings.leases {
        let closed = match line.reason.as_str() {
            "" => moment(line.closed_at),
            reason => format!("{} ({})", moment(line.closed_at), reason.replace('_', " ")),
        };
        table.add_row([
            if line.lease.is_empty() { "(earlier ones)".into() } else { line.lease.clone() },
            format!("{}{}", line.earned, line.denom),
            line.rate.clone(),
            moment(line.started_at),
            closed,
        ]);
    }
    format!("{table}{}", ending(earnings))
}

fn payments_table(earnings: &Earnings) -> String {
    let mut table = table(&["time", "block", "lease", "amount", "transaction"]);
    for line in &earnings.payments {
        let tx = match (line.kind, line.tx.as_str()) {
            (Kind::Rebuilt, _) => "(rebuilt)".into(),
            (Kind::Paid, "") => "(end of block)".into(),
            (Kind::Paid, tx) => tx.to_string(),
        };
        table.add_row([
            moment(line.time),
            line.height.to_string(),
            line.lease.clone(),
            format!("{}{}", line.amount, line.denom),
            tx,
        ]);
    }
    format!("{table}{}", ending(earnings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Payment;

    #[test]
    fn days_moments_and_ages_are_times() {
        assert_eq!(since("1970-01-02").unwrap(), 86_400);
        assert_eq!(since("1970-01-01T01:00:00Z").unwrap(), 3_600);
        let (hour, day) = (since("1h").unwrap(), since("1d").unwrap());
        assert!(hour > day && hour - day <= 23 * 3_600 + 1, "{hour} {day}");
        assert!(since("yesterday").is_err());
    }

    #[test]
    fn payments_are_lines_of_csv() {
        let payment = Payment {
            height: 5,
            place: 0,
            time: 3_600,
            lease: "o/1/1/1/p".into(),
            denom: "ustoa".into(),
            amount: 12,
            tx: "AB".into(),
            kind: Kind::Paid,
        };
        let earnings = Earnings { payments: vec![payment], ..Earnings::default() };
        let text = csv(&earnings);
        assert_eq!(
            text.lines().nth(1).unwrap(),
            "1970-01-01T01:00:00Z,5,o/1/1/1/p,o,12,ustoa,AB,paid"
        );
        assert!(payments_table(&earnings).contains("12ustoa"));
    }
}
