//! Every call that this node answers, by its gRPC path: protobuf in and out.
//!
//! gRPC and REST both go through here, and so share its limits. A query that the state machine
//! mounts is served without another line.

#![allow(clippy::result_large_err, reason = "tonic's Status is the error of every call")]

mod engine;
mod node;
mod status;

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use prost::Message;
use tokio::sync::Semaphore;
use tonic::Status;

pub use engine::MAX_CALLS;
pub use node::Facts;
use status::to_status;

use crate::{comet::Rpc, query::Queries, watch::Watchers};

/// Queries that run at the same time, each on a blocking thread.
pub const MAX_WORKERS: usize = 8;

/// Header in which Cosmos clients ask for a height, and find the one that was looked at.
pub const HEIGHT_HEADER: &str = "x-cosmos-block-height";

/// All calls.
#[derive(Clone)]
pub struct Services {
    queries: Arc<Queries>,
    engine: engine::Engine,
    facts: Arc<Facts>,
    workers: Arc<Semaphore>,
    watchers: Watchers,
}

/// What a call came to.
#[derive(Debug)]
pub struct Answer {
    /// The height of the state that was looked at; of the engine's answers, the last height.
    pub height: u64,
    /// The encoded response.
    pub body: Bytes,
}

impl Services {
    /// The calls of a node: its queries, the engine behind `rpc`, and facts about itself.
    pub fn new(queries: Arc<Queries>, rpc: Rpc, facts: Facts) -> Self {
        let workers = Arc::new(Semaphore::new(MAX_WORKERS));
        let watchers = Watchers::new(rpc.clone(), queries.machine().heads());
        let (engine, facts) = (engine::Engine::new(rpc), Arc::new(facts));
        Self { queries, engine, facts, workers, watchers }
    }

    /// The one call whose answer is a stream.
    pub const fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// Paths that are served, such as `/cosmos.bank.v1beta1.Query/Balance`.
    pub fn paths(&self) -> BTreeSet<&str> {
        self.queries.paths().chain(engine::PATHS).chain(node::PATHS).collect()
    }

    /// The services that these paths belong to, such as `cosmos.bank.v1beta1.Query`.
    pub fn names(&self) -> BTreeSet<&str> {
        let parts = self.paths().into_iter().map(|path| path.trim_start_matches('/'));
        parts.filter_map(|path| path.split_once('/')).map(|(service, _)| service).collect()
    }

    /// Answers a call; `asked` is the height that the client wants its answer at.
    ///
    /// # Errors
    /// `Unimplemented` for a path that is not served, else what the call came to.
    pub async fn answer(
        &self,
        path: &str,
        request: Bytes,
        asked: Option<u64>,
    ) -> Result<Answer, Status> {
        let answer = if let Some(answer) = self.engine.answer(path, &request).await {
            Answer { height: self.queries.height(), body: answer? }
        } else if let Some(answer) = self.node(path, &request).await {
            Answer { height: self.queries.height(), body: answer? }
        } else {
            return self.query(path.to_owned(), request, asked.unwrap_or_default()).await;
        };
        match asked {
            Some(asked) if asked != 0 && asked != answer.height => {
                Err(Status::invalid_argument(format!(
                    "height {asked}: what the engine knows is answered at the last height, now {}",
                    answer.height
                )))
            }
            _ => Ok(answer),
        }
    }

    /// Runs a query on a blocking thread; those beyond the limit wait for their turn.
    async fn query(&self, path: String, request: Bytes, asked: u64) -> Result<Answer, Status> {
        let queries = Arc::clone(&self.queries);
        let answer = self.in_background(move || queries.answer(&path, &request, asked)).await?;
        let (height, body) = answer.map_err(|failure| to_status(&failure))?;
        Ok(Answer { height, body: body.into() })
    }

    async fn in_background<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Status> {
        let turn = Arc::clone(&self.workers).acquire_owned().await;
        let turn = turn.map_err(|_| Status::unavailable("the node is stopping"))?;
        let run = move || {
            let answer = work();
            drop(turn);
            answer
        };
        let answer = tokio::task::spawn_blocking(run).await;
        answer.map_err(|_| Status::internal("the query could not be run"))
    }
}

fn decode<T: Message + Default>(request: &Bytes) -> Result<T, Status> {
    T::decode(request.clone())
        .map_err(|error| Status::invalid_argument(format!("the request does not decode: {error}")))
}

fn encode<T: Message>(answer: Result<T, Status>) -> Result<Bytes, Status> {
    answer.map(|answer| answer.encode_to_vec().into())
}
