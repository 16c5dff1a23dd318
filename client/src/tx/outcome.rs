//! What became of a transaction.

use prost::{Message, Name};
use serde::Serialize;
use stoa_proto::{cosmos::base::abci::v1beta1::TxMsgData, Any};

use crate::{Error, Refusal, Result};

/// One event of a transaction or block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Such as `stoa.market.v1.EventBidPlaced`.
    pub kind: String,
    /// In the chain's order.
    pub attributes: Vec<(String, String)>,
}

impl Event {
    /// An attribute's value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// The kind's last part, such as `EventBidPlaced`.
    pub fn name(&self) -> &str {
        self.kind.rsplit('.').next().unwrap_or_default()
    }

    /// Which message of its transaction it came from, where it says so.
    pub fn message_index(&self) -> Option<usize> {
        self.get("msg_index").and_then(|t| t.parse().ok())
    }
}

/// A transaction that is in a block.
#[derive(Clone, Debug, Serialize)]
pub struct TxResult {
    /// Upper-case hex.
    pub hash: String,
    pub height: u64,
    /// 0: it took effect.
    pub code: u32,
    pub codespace: String,
    pub log: String,
    pub gas_wanted: u64,
    pub gas_used: u64,
    pub events: Vec<Event>,
    /// Each message's response, in order; empty where it failed.
    #[serde(skip)]
    pub responses: Vec<Any>,
}

impl TxResult {
    /// Decodes `ExecTxResult.data`.
    pub(crate) fn decode_responses(data: &[u8]) -> Result<Vec<Any>> {
        TxMsgData::decode(data).map(|d| d.msg_responses).map_err(|e| {
            Error::BadAnswer(format!("the node's result of a transaction does not decode: {e}"))
        })
    }

    /// The response of the message at an index.
    pub fn response<M: Name + Default>(&self, index: usize) -> Result<M> {
        let any = self.responses.get(index).ok_or_else(|| {
            Error::BadAnswer(format!("transaction {} has no response {index}", self.hash))
        })?;
        if any.type_url.trim_start_matches('/') != M::full_name() {
            return Err(Error::BadAnswer(format!(
                "response {index} of transaction {} is {}, not {}",
                self.hash,
                any.type_url,
                M::full_name()
            )));
        }
        M::decode(any.value.as_slice()).map_err(|e| Error::BadAnswer(e.to_string()))
    }

    /// Events whose kind ends so, such as `EventRefunded`.
    pub fn events_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Event> + 'a {
        self.events.iter().filter(move |e| e.name() == name)
    }

    /// Itself where it took effect, else the refusal.
    pub fn succeeded(self) -> Result<Self> {
        if self.code == 0 {
            return Ok(self);
        }
        Err(self.refusal().into())
    }

    /// Its failure as a refusal.
    pub fn refusal(&self) -> Refusal {
        Refusal {
            codespace: self.codespace.clone(),
            code: self.code,
            message: self.log.clone(),
            hash: Some(self.hash.clone()),
            height: Some(self.height),
        }
    }
}
