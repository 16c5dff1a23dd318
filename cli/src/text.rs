//! Values as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

use stoa_client::money::Dec;
use stoa_proto::cosmos::base::v1beta1::{Coin, DecCoin};
use stoa_proto::gateway::v1::ForwardedPort;

/// Seconds of a month, as in SDL's `per: month`.
pub const MONTH: u64 = 2_592_000;

/// Unix seconds now.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Where a port of a service is reached, or why it is not.
pub fn forwarded(port: &ForwardedPort) -> String {
    let host = match port.host.contains(':') {
        true => format!("[{}]", port.host),
        false => port.host.clone(),
    };
    let place = match (port.host_port, port.leased_ip) {
        (0, _) => "nowhere yet".to_owned(),
        (outside, true) => format!("{host}:{outside} (leased address)"),
        (outside, false) => format!("{host}:{outside}"),
    };
    let problem = match port.problem.as_str() {
        "" => String::new(),
        words => format!(": {words}"),
    };
    format!("{} port {} (as {}) at {place}{problem}", port.transport, port.port, port.external_port)
}

/// `3d 4h`, `5m 12s`: the two largest parts.
pub fn seconds(total: u64) -> String {
    let parts = [
        (total / 86_400, "d"),
        (total / 3_600 % 24, "h"),
        (total / 60 % 60, "m"),
        (total % 60, "s"),
    ];
    let first = parts.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let shown: Vec<String> = parts
        .iter()
        .skip(first)
        .take(2)
        .enumerate()
        .filter(|(i, (n, _))| *i == 0 || *n > 0)
        .map(|(_, (n, unit))| format!("{n}{unit}"))
        .collect();
    shown.join(" ")
}

/// `12s ago`, `in 3m`, or `-` for never.
pub fn when(time: u64, now: u64) -> String {
    match time {
        0 => "-".into(),
        t if t > now => format!("in {}", seconds(t - now)),
        t => format!("{} ago", seconds(now - t)),
    }
}

/// `512 MiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = n;
    let mut rest = 0;
    let mut unit = "B";
    for name in UNITS {
        if value < 1024 {
            break;
        }
        (value, rest, unit) = (value / 1024, value % 1024, name);
    }
    match rest * 10 / 1024 {
        0 => format!("{value} {unit}"),
        tenths => format!("{value}.{tenths} {unit}"),
    }
}

/// An amount with its denom; micro-denoms such as `ustoa` in whole coins too.
pub fn amount(amount: Dec, denom: &str) -> String {
    match denom.strip_prefix('u') {
        Some(name) if !name.is_empty() => {
            let whole = Dec::from_atoms(amount.atoms() / 1_000_000);
            format!("{} {}", whole.short(6), name.to_uppercase())
        }
        _ => format!("{} {denom}", amount.short(6)),
    }
}

/// A coin, to the last unit.
pub fn coin(c: &Coin) -> String {
    format!("{} {}", grouped(&c.amount), c.denom)
}

/// Coins in one line.
pub fn coins(list: &[Coin]) -> String {
    if list.is_empty() {
        return "0".into();
    }
    list.iter().map(coin).collect::<Vec<_>>().join(", ")
}

/// Thousands apart: `1,000,000`.
pub fn grouped(digits: &str) -> String {
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
    let mut out = String::new();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(c);
    }
    if !rest.is_empty() {
        out.push('.');
        out.push_str(rest);
    }
    out
}

/// A decimal coin's amount; 0 where it does not parse or is missing.
pub fn dec(coin: Option<&DecCoin>) -> Dec {
    coin.and_then(|c| Dec::from_proto(&c.amount).ok()).unwrap_or_default()
}

/// A decimal coin, grouped, with so many places.
pub fn dec_coin(coin: Option<&DecCoin>, places: u32) -> String {
    match coin {
        None => "-".into(),
        Some(c) => format!("{} {}", grouped(&dec(Some(c)).short(places)), c.denom),
    }
}

/// A rate by the second and by the month.
pub fn rate(coin: Option<&DecCoin>) -> String {
    let Some(c) = coin else { return "-".into() };
    let rate = dec(Some(c));
    let month = rate.checked_mul(MONTH).unwrap_or_default();
    format!("{} {}/s ({}/month)", rate.short(6), c.denom, amount(month, &c.denom))
}

/// `stoa1abcd…wxyz`.
pub fn short(address: &str) -> String {
    match (address.get(..10), address.len().checked_sub(4).and_then(|n| address.get(n..))) {
        (Some(head), Some(tail)) if address.starts_with("stoa1") && address.len() > 20 => {
            format!("{head}…{tail}")
        }
        _ => address.to_owned(),
    }
}

/// Unix milliseconds.
pub fn now_millis() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// How much of a manifest or an image is at a provider, and from whom.
pub fn payload(payload: &stoa_proto::gateway::v1::Payload) -> String {
    let root = payload.root.get(..8).unwrap_or(&payload.root);
    let how_much = match payload.complete {
        true => format!("complete ({})", bytes(payload.size)),
        false => {
            let percent = payload.have.saturating_mul(100).checked_div(payload.size).unwrap_or(0);
            format!("{percent}% of {}", bytes(payload.size))
        }
    };
    let sources: Vec<String> = payload
        .sources
        .iter()
        .map(|source| format!("{} from {}", bytes(source.bytes), short(&source.peer)))
        .collect();
    let from = match sources.is_empty() {
        true => String::new(),
        false => format!(", {}", sources.join(", ")),
    };
    format!("{} {root}… {how_much}{from}", payload.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(seconds(0), "0s");
        assert_eq!(seconds(75), "1m 15s");
        assert_eq!(seconds(3_600), "1h");
        assert_eq!(seconds(90_061), "1d 1h");
        assert_eq!(when(100, 160), "1m ago");
        assert_eq!(when(160, 100), "in 1m");
    }

    #[test]
    fn numbers() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(5 << 30), "5 GiB");
        assert_eq!(grouped("1234567"), "1,234,567");
        assert_eq!(grouped("123"), "123");
        assert_eq!(grouped("1234.5"), "1,234.5");
        assert_eq!(amount(Dec::whole(2_500_000), "ustoa"), "2.5 STOA");
        assert_eq!(short("stoa1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqwxyz"), "stoa1qqqqq…wxyz");
    }
}
