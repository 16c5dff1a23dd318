//! What the documents say of metrics, against what there is.

use std::{collections::BTreeSet, time::Duration};

use super::{get, health::judge};

/// Names of this program's metrics in a text, without the suffixes of a histogram's series.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with("stoad_"));
    let suffixes = ["_bucket", "_sum", "_count"];
    words
        .map(|word| suffixes.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word))
        .map(str::to_owned)
        .collect()
}

fn exported() -> BTreeSet<String> {
    get().show_all();
    let text = String::from_utf8(get().text()).unwrap();
    names(&text.lines().filter(|line| line.starts_with("# TYPE")).collect::<String>())
}

const PAGE: &str = include_str!("../../../../docs/metrics.md");
const ALERTS: &str = include_str!("../../../../docs/alerts.yml");
const DASHBOARD: &str = include_str!("../../../../docs/grafana-stoad.json");

#[test]
fn every_metric_is_documented_and_every_documented_one_exists() {
    assert_eq!(names(PAGE), exported());
}

#[test]
fn alerts_and_dashboard_use_metrics_that_exist() {
    let exported = exported();
    for (file, text) in [("alerts.yml", ALERTS), ("grafana-stoad.json", DASHBOARD)] {
        let used = names(text);
        assert!(!used.is_empty(), "{file} looks at nothing");
        let unknown: Vec<_> = used.difference(&exported).collect();
        assert!(unknown.is_empty(), "{file} uses {unknown:?}");
    }
}

#[test]
fn the_consensus_metrics_of_alerts_and_dashboard_are_on_the_page() {
    let words = |text: &str| -> BTreeSet<String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with("cometbft_"));
        let base = |word: &str| {
            ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| word.strip_suffix(end).map(str::to_owned))
        };
        words.map(|word| base(word).unwrap_or_else(|| word.to_owned())).collect()
    };
    let page = words(PAGE);
    for text in [ALERTS, DASHBOARD] {
        let used = words(text);
        let unknown: Vec<_> = used.difference(&page).collect();
        assert!(!used.is_empty() && unknown.is_empty(), "{unknown:?}");
    }
}

#[test]
fn health_needs_an_answer_no_lag_and_a_fresh_block() {
    let (second, max) = (Duration::from_secs(1), Duration::from_secs(30));
    assert!(judge(5, Some(second), Some(false), max).healthy);
    let bad = [
        (Some(second), None, "does not answer"),
        (Some(second), Some(true), "catching up"),
        (None, Some(false), "since the start"),
        (Some(max + second), Some(false), "31 s ago"),
    ];
    for (age, catching_up, reason) in bad {
        let verdict = judge(5, age, catching_up, max);
        assert!(!verdict.healthy && verdict.reason.contains(reason), "{verdict:?}");
    }
}
