//! The status page: plain HTML, no script, nothing from elsewhere.

use std::fmt::Write;

use super::facts::Facts;

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
<meta http-equiv=refresh content=10><title>stoa-provider</title><style>\
body{font:14px/1.5 system-ui,sans-serif;margin:2em;max-width:70em}\
table{border-collapse:collapse;margin:0 0 1.5em}td,th{padding:.2em 1em .2em 0;text-align:left;\
border-bottom:1px solid #ddd}.bad{color:#b00;font-weight:bold}code{word-break:break-all}</style>";

/// The facts for people.
pub(super) fn html(facts: &Facts) -> String {
    let mut page = String::from(HEAD);
    // Writing to a string does not fail.
    let _ = write!(page, "<h1>Provider</h1><p><code>{}</code>", escaped(&facts.provider));
    let _ = write!(
        page,
        ", version {}, chain {}<p>block {} ({} s old, {} behind)",
        escaped(&facts.version),
        escaped(&facts.chain_id),
        facts.height,
        facts.block_age,
        facts.height_lag
    );
    if facts.draining {
        page.push_str("<p class=bad>being emptied: no new orders");
    }
    if facts.low_balance {
        page.push_str("<p class=bad>the balance is low");
    }
    if !facts.stuck_deletes.is_empty() {
        let _ = write!(page, "<p class=bad>{} stuck deletes", facts.stuck_deletes.len());
    }
    if facts.ledger_mismatches > 0 {
        page.push_str("<p class=bad>the ledger and the chain differ");
    }
    if !facts.ledger_problem.is_empty() {
        let why = escaped(&facts.ledger_problem);
        let _ = write!(page, "<p class=bad>payments cannot be booked: {why}");
    }
    let money = |amounts: &std::collections::BTreeMap<String, String>| {
        let shown: Vec<String> =
            amounts.iter().map(|(denom, sum)| format!("{sum} {denom}")).collect();
        escaped(&shown.join(", "))
    };
    let _ = write!(
        page,
        "<p>balance {}, earned {} (booked to block {})",
        money(&facts.balance),
        money(&facts.earned),
        facts.ledger_height
    );
    let _ = write!(page, "<p>free: {}<br>in all: {}", facts.free, facts.total);
    let leases =
        facts.leases.iter().map(|l| vec![&l.lease, &l.state, &l.phase, &l.rate, &l.message]);
    table(&mut page, "Leases", &["lease", "state", "phase", "a second", ""], leases);
    let bids = facts.bids.iter().map(|bid| vec![&bid.order, &bid.rate]);
    table(&mut page, "Open bids", &["order", "a second"], bids);
    let passed = facts.passed.iter().map(|(order, why)| vec![order, why]);
    table(&mut page, "Open orders without a bid", &["order", "why"], passed);
    page
}

fn table<'a>(
    page: &mut String,
    title: &str,
    header: &[&str],
    rows: impl Iterator<Item = Vec<&'a String>>,
) {
    let _ = write!(page, "<h2>{title}</h2><table><tr>");
    for name in header {
        let _ = write!(page, "<th>{name}");
    }
    for row in rows {
        page.push_str("<tr>");
        for cell in row {
            let _ = write!(page, "<td>{}", escaped(cell));
        }
    }
    page.push_str("</table>");
}

/// Tenants choose some of these words.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::LeaseFacts;

    #[test]
    fn what_tenants_write_is_text() {
        let lease = LeaseFacts { message: "<script>x</script>".into(), ..LeaseFacts::default() };
        let page = html(&Facts { leases: vec![lease], draining: true, ..Facts::default() });
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
        assert!(page.contains("being emptied"));
    }
}
