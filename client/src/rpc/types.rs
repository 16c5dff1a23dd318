//! What we read of CometBFT 0.38's answers; the rest is skipped.

use base64::{engine::general_purpose::STANDARD as BASE64, Engine as _};
use serde::{Deserialize, Deserializer};
use time::{format_description::well_known::Rfc3339, OffsetDateTime};

use crate::{tx::Event, tx::TxResult, Error, Result};

/// `/status`.
#[derive(Clone, Debug)]
pub struct Status {
    pub chain_id: String,
    pub latest_height: u64,
    /// Unix seconds, rounded down.
    pub latest_time: u64,
    pub earliest_height: u64,
    pub catching_up: bool,
    /// The node's own name.
    pub moniker: String,
}

/// `/header`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub height: u64,
    /// Unix seconds, rounded down: the market's clock.
    pub time: u64,
    pub proposer: String,
}

/// `/broadcast_tx_sync`.
#[derive(Clone, Debug, Deserialize)]
pub struct CheckTx {
    #[serde(default)]
    pub code: u32,
    #[serde(default)]
    pub codespace: String,
    #[serde(default)]
    pub log: String,
    pub hash: String,
}

/// `/tx`.
#[derive(Clone, Debug)]
pub struct IncludedTx {
    pub result: TxResult,
    pub index: u32,
    /// As it was sent.
    pub bytes: Vec<u8>,
}

/// `/block_results`.
#[derive(Clone, Debug)]
pub struct BlockResults {
    pub height: u64,
    /// Those of each transaction that took effect, in order.
    pub transactions: Vec<Vec<Event>>,
    /// Those of the block's end.
    pub block: Vec<Event>,
}

impl BlockResults {
    /// All of them, in the order in which they happened.
    pub fn into_events(self) -> Vec<Event> {
        self.transactions.into_iter().flatten().chain(self.block).collect()
    }
}

/// CometBFT writes 64-bit integers as strings.
fn integer<'de, D: Deserializer<'de>, T: std::str::FromStr>(d: D) -> Result<T, D::Error> {
    let text = String::deserialize(d)?;
    text.parse().map_err(|_| serde::de::Error::custom(format!("`{text}` is no integer")))
}

fn or_null<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(d).map(Option::unwrap_or_default)
}

/// Unix seconds of an RFC 3339 time, rounded down.
pub(super) fn unix_seconds(text: &str) -> Result<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|e| Error::BadAnswer(format!("block time `{text}`: {e}")))?;
    u64::try_from(time.unix_timestamp())
        .map_err(|_| Error::BadAnswer(format!("block time `{text}` is before 1970")))
}

#[derive(Deserialize)]
pub(super) struct RawStatus {
    node_info: RawNodeInfo,
    sync_info: RawSyncInfo,
}

#[derive(Deserialize)]
struct RawNodeInfo {
    network: String,
    #[serde(default)]
    moniker: String,
}

#[derive(Deserialize)]
struct RawSyncInfo {
    #[serde(deserialize_with = "integer")]
    latest_block_height: u64,
    latest_block_time: String,
    #[serde(deserialize_with = "integer")]
    earliest_block_height: u64,
    catching_up: bool,
}

impl RawStatus {
    pub(super) fn check(self) -> Result<Status> {
        // Before the first block the time is that of genesis or year 1.
        let latest_time = unix_seconds(&self.sync_info.latest_block_time).unwrap_or(0);
        Ok(Status {
            chain_id: self.node_info.network,
            moniker: self.node_info.moniker,
            latest_height: self.sync_info.latest_block_height,
            latest_time,
            earliest_height: self.sync_info.earliest_block_height,
            catching_up: self.sync_info.catching_up,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct RawHeaderAnswer {
    header: Option<RawHeader>,
}

#[derive(Deserialize)]
struct RawHeader {
    #[serde(deserialize_with = "integer")]
    height: u64,
    time: String,
    #[serde(default)]
    proposer_address: String,
}

impl RawHeaderAnswer {
    pub(super) fn check(self) -> Result<Option<Header>> {
        let Some(header) = self.header else { return Ok(None) };
        let time = unix_seconds(&header.time)?;
        Ok(Some(Header { height: header.height, time, proposer: header.proposer_address }))
    }
}

#[derive(Deserialize)]
struct RawEvent {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default, deserialize_with = "or_null")]
    attributes: Vec<RawAttribute>,
}

#[derive(Deserialize)]
struct RawAttribute {
    #[serde(default, deserialize_with = "or_null")]
    key: String,
    #[serde(default, deserialize_with = "or_null")]
    value: String,
}

fn events(raw: Vec<RawEvent>) -> Vec<Event> {
    let attributes = |a: Vec<RawAttribute>| a.into_iter().map(|a| (a.key, a.value)).collect();
    raw.into_iter().map(|e| Event { kind: e.kind, attributes: attributes(e.attributes) }).collect()
}

#[derive(Deserialize)]
struct RawExecResult {
    #[serde(default)]
    code: u32,
    #[serde(default, deserialize_with = "or_null")]
    data: String,
    #[serde(default, deserialize_with = "or_null")]
    log: String,
    #[serde(default, deserialize_with = "or_null")]
    codespace: String,
    #[serde(deserialize_with = "integer", default)]
    gas_wanted: i64,
    #[serde(deserialize_with = "integer", default)]
    gas_used: i64,
    #[serde(default, deserialize_with = "or_null")]
    events: Vec<RawEvent>,
}

#[derive(Deserialize)]
pub(super) struct RawTx {
    hash: String,
    #[serde(deserialize_with = "integer")]
    height: u64,
    #[serde(default)]
    index: u32,
    tx_result: RawExecResult,
    #[serde(default, deserialize_with = "or_null")]
    tx: String,
}

#[derive(Deserialize)]
pub(super) struct RawTxSearch {
    pub(super) txs: Vec<RawTx>,
    #[serde(deserialize_with = "integer")]
    total_count: u64,
}

impl RawTxSearch {
    pub(super) fn total(&self) -> u64 {
        self.total_count
    }
}

impl RawTx {
    pub(super) fn check(self) -> Result<IncludedTx> {
        let raw = self.tx_result;
        let data = BASE64
            .decode(&raw.data)
            .map_err(|e| Error::BadAnswer(format!("result of transaction {}: {e}", self.hash)))?;
        // A failed transaction's data is not ours to judge.
        let responses = if raw.code == 0 { TxResult::decode_responses(&data)? } else { vec![] };
        let gas = |g: i64| u64::try_from(g).unwrap_or(0);
        Ok(IncludedTx {
            index: self.index,
            bytes: BASE64.decode(&self.tx).unwrap_or_default(),
            result: TxResult {
                hash: self.hash.to_uppercase(),
                height: self.height,
                code: raw.code,
                codespace: raw.codespace,
                log: raw.log,
                gas_wanted: gas(raw.gas_wanted),
                gas_used: gas(raw.gas_used),
                events: events(raw.events),
                responses,
            },
        })
    }
}

#[derive(Deserialize)]
pub(super) struct RawBlockResults {
    #[serde(deserialize_with = "integer")]
    height: u64,
    #[serde(default, deserialize_with = "or_null")]
    txs_results: Vec<RawExecResult>,
    #[serde(default, deserialize_with = "or_null")]
    finalize_block_events: Vec<RawEvent>,
}

impl RawBlockResults {
    pub(super) fn check(self) -> BlockResults {
        let of = |r: RawExecResult| if r.code == 0 { events(r.events) } else { vec![] };
        BlockResults {
            height: self.height,
            transactions: self.txs_results.into_iter().map(of).collect(),
            block: events(self.finalize_block_events),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_block_results_with_nulls() {
        let text = r#"{"height":"12","txs_results":null,"finalize_block_events":[
            {"type":"stoa.market.v1.EventOrderClosed","attributes":[
                {"key":"order","value":"a/1/1/1","index":true},{"key":"reason","value":null}]}],
            "validator_updates":[],"app_hash":"AA=="}"#;
        let results = serde_json::from_str::<RawBlockResults>(text).unwrap().check();
        assert_eq!(results.height, 12);
        let events = results.into_events();
        assert_eq!(events[0].name(), "EventOrderClosed");
        assert_eq!(events[0].get("order"), Some("a/1/1/1"));
        assert_eq!(events[0].get("reason"), Some(""));
    }

    #[test]
    fn failed_transactions_give_no_events() {
        let text =
            r#"{"height":"3","txs_results":[{"code":5,"events":[{"type":"tx","attributes":[]}]}]}"#;
        let results = serde_json::from_str::<RawBlockResults>(text).unwrap().check();
        assert!(results.into_events().is_empty());
    }

    #[test]
    fn time_is_floored_to_seconds() {
        assert_eq!(unix_seconds("1970-01-01T00:01:00.999999999Z").unwrap(), 60);
        assert!(unix_seconds("0001-01-01T00:00:00Z").is_err());
    }
}
