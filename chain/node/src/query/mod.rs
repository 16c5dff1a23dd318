//! Queries, answered on a committed state and never waiting for a block: the last one, or that of
//! a kept height where one is asked for.
//!
//! | path | answer |
//! |------|--------|
//! | `/package.Service/Method` | the state machine's query; protobuf in and out |
//! | `/cosmos.tx.v1beta1.Service/Simulate` | what a transaction would come to |
//! | `/store/key`, `/store/NAME/key` | raw value of a state key, with an ICS 23 proof if asked |
//!
//! ABCI Query, gRPC and REST share this router.

mod past;
mod simulate;
mod stored;

use std::sync::Arc;

use stoa_chain::{
    error::{Failure, SdkError},
    query::Router,
};
use tendermint_proto::v0_38::abci::{RequestQuery, ResponseQuery};

use crate::app::Machine;
use past::Past;

pub use simulate::SIMULATE_PATH;

/// Largest request in bytes: a transaction to simulate, with room.
pub const MAX_REQUEST: usize = 512 << 10;

/// Largest answer in bytes. CometBFT reads at most 100 MiB from its application and ends where
/// there is more, so that no question may have such an answer.
pub const MAX_ANSWER: usize = 32 << 20;

/// Where a node's state stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// First height whose history is kept.
    pub oldest: u64,
    /// Last height.
    pub height: u64,
    /// Its block's time in Unix seconds.
    pub time: u64,
    /// The state's hash after it.
    pub app_hash: Vec<u8>,
}

/// The router over one machine.
pub struct Queries {
    machine: Arc<Machine>,
    router: Router,
    past: Past,
}

impl Queries {
    /// All queries on a machine.
    pub fn new(machine: Arc<Machine>) -> Self {
        Self { machine, router: Router::new(), past: Past::default() }
    }

    /// The machine.
    pub fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    /// Paths that are served, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.router.paths().chain([SIMULATE_PATH])
    }

    /// The last height, at least 1.
    pub fn height(&self) -> u64 {
        self.machine.view().1.height.max(1)
    }

    /// Where the durable state stands.
    pub fn standing(&self) -> Standing {
        let latest = self.machine.latest();
        Standing {
            oldest: latest.oldest(),
            height: latest.height(),
            time: latest.time(),
            app_hash: latest.app_hash().to_vec(),
        }
    }

    /// Answers a protobuf request at the height asked for, 0: the last; returns the height of the
    /// state that was looked at, at least 1, since clients take 0 for no answer.
    ///
    /// # Errors
    /// An unknown path, a malformed request, a height that is not kept, or the handler's refusal.
    pub fn answer(&self, path: &str, data: &[u8], asked: u64) -> Result<(u64, Vec<u8>), Failure> {
        if data.len() > MAX_REQUEST {
            let text = format!("a query of {} bytes; at most {MAX_REQUEST} are taken", data.len());
            return Err(SdkError::InvalidRequest(text).into());
        }
        let (base, block) = self.machine.view();
        let height = block.height.max(1);
        let is_past = asked != 0 && asked != height;
        let (height, answer) = match path {
            SIMULATE_PATH if is_past => {
                let text = format!("height {asked}: a transaction is simulated at the last height");
                return Err(SdkError::InvalidRequest(text).into());
            }
            SIMULATE_PATH => (height, simulate::answer(&self.machine, data)?),
            _ if is_past => {
                let (base, block) = self.past.at(&self.machine, asked)?;
                (asked, self.router.answer(&*base, block, path, data)?)
            }
            _ => (height, self.router.answer(&base, block, path, data)?),
        };
        if answer.len() > MAX_ANSWER {
            let text = format!("the answer has {} bytes; ask for less at a time", answer.len());
            return Err(SdkError::InvalidRequest(text).into());
        }
        Ok((height, answer))
    }

    /// Answers ABCI's Query.
    pub fn answer_abci(&self, request: &RequestQuery) -> ResponseQuery {
        let mut response = if stored::is_store_path(&request.path) {
            stored::answer(&self.machine, request)
        } else {
            height_of(request.height)
                .and_then(|asked| self.answer(&request.path, &request.data, asked))
                .map(|(height, value)| ResponseQuery {
                    value: value.into(),
                    height: i64::try_from(height).unwrap_or(i64::MAX),
                    ..Default::default()
                })
        }
        .unwrap_or_else(refusal);
        if response.height == 0 {
            let (_, block) = self.machine.view();
            response.height = i64::try_from(block.height.max(1)).unwrap_or(i64::MAX);
        }
        response
    }
}

fn height_of(asked: i64) -> Result<u64, Failure> {
    let negative = || SdkError::InvalidRequest(format!("height {asked} is negative"));
    Ok(u64::try_from(asked).map_err(|_| negative())?)
}

fn refusal(failure: Failure) -> ResponseQuery {
    ResponseQuery {
        code: failure.code,
        codespace: failure.codespace.to_owned(),
        log: failure.message,
        ..Default::default()
    }
}
