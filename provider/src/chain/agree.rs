//! What several endpoints say, held against each other. Nodes may be dead,
//! behind, or lie: where they disagree nobody is believed, and "unknown"
//! changes nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use stoa_client::ids::TextId;
use stoa_client::proto::market::v1::{Lease, LeaseState};
use stoa_client::proto::types::v1::BidId;
use stoa_client::{Error, Result};
use tokio::time::Instant;

use crate::metrics::meters;

/// Blocks are compared so often, and after a disagreement sooner.
const EVERY: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(1);
/// How long an endpoint may take before it counts as silent.
const PATIENCE: Duration = Duration::from_secs(3);
/// Tries about a lease: nodes are a block apart now and then.
const TRIES: u32 = 4;
pub(super) const BETWEEN: Duration = Duration::from_millis(400);

/// An endpoint that tells of blocks.
#[async_trait]
pub(super) trait BlockWitness: Send + Sync {
    fn name(&self) -> String;
    /// Chain id and newest height; none while it is catching up.
    async fn height(&self) -> Result<Option<(String, u64)>>;
    /// All of a block's header, in one text. None: it does not have it.
    async fn header(&self, height: u64) -> Result<Option<String>>;
}

/// An endpoint that tells of leases.
#[async_trait]
pub(super) trait LeaseWitness: Send + Sync {
    fn name(&self) -> String;
    /// The lease, if there is one, and at which height that is so.
    async fn lease(&self, id: &BidId) -> Result<(u64, Option<Lease>)>;
}

type Answer = Result<(u64, Option<Lease>)>;

/// Compares what endpoints say.
pub(super) struct Agreement {
    pub chain_id: String,
    pub blocks: Vec<Box<dyn BlockWitness>>,
    pub leases: Vec<Box<dyn LeaseWitness>>,
    /// So many must answer, and agree.
    pub min_answers: usize,
    /// An endpoint so many blocks behind is left out.
    pub max_lag: u64,
    /// Between tries about a lease.
    pub between: Duration,
    pub state: Mutex<Compared>,
}

/// The last comparison.
#[derive(Debug, Default)]
pub(super) struct Compared {
    at: Option<Instant>,
    /// The newest height that anybody told.
    best: u64,
    problem: Option<String>,
}

impl Agreement {
    /// The newest height that any endpoint tells; 0 where there is nothing
    /// to compare.
    ///
    /// # Errors
    /// Endpoints that contradict each other, or too few that answer.
    pub async fn best_height(&self) -> Result<u64> {
        if self.blocks.len() < 2 {
            return Ok(0);
        }
        let due = {
            let state = self.state();
            let pause = if state.problem.is_some() { SOON } else { EVERY };
            state.at.is_none_or(|at| at.elapsed() >= pause)
        };
        if due {
            let compared = self.compare().await;
            let mut state = self.state();
            state.at = Some(Instant::now());
            match compared {
                Ok(best) => {
                    state.best = best;
                    meters().best_height.set(i64::try_from(best).unwrap_or(i64::MAX));
                    if state.problem.take().is_some() {
                        tracing::info!("the endpoints agree again");
                    }
                }
                Err(problem) => {
                    if state.problem.as_ref() != Some(&problem) {
                        tracing::error!("{problem}; nothing is changed until they agree");
                    }
                    state.problem = Some(problem);
                }
            }
        }
        let state = self.state();
        match &state.problem {
            Some(problem) => Err(Error::BadAnswer(problem.clone())),
            None => Ok(state.best),
        }
    }

    async fn compare(&self) -> Result<u64, String> {
        let asked = join_all(self.blocks.iter().map(|one| within(one.height()))).await;
        let mut heights = vec![];
        for (witness, answer) in self.blocks.iter().zip(asked) {
            match answer {
                Ok(Some((chain, _))) if chain != self.chain_id => {
                    meters().disagreements.inc();
                    return Err(format!("{} is of chain `{chain}`", witness.name()));
                }
                Ok(Some((_, height))) => heights.push((witness, height)),
                Ok(None) => tracing::debug!("{} is catching up", witness.name()),
                Err(error) => tracing::debug!("{}: {error}", witness.name()),
            }
        }
        let best = heights.iter().map(|(_, height)| *height).max().unwrap_or(0);
        heights.retain(|(witness, height)| {
            let near = height.saturating_add(self.max_lag) >= best;
            if !near {
                tracing::warn!("{} is at {height}, others at {best}: left out", witness.name());
            }
            near
        });
        if heights.len() < self.min_answers {
            return Err(format!(
                "{} of {} endpoints answer; chain.min_answers is {}",
                heights.len(),
                self.blocks.len(),
                self.min_answers
            ));
        }
        // A block that all of them have.
        let common = heights.iter().map(|(_, height)| *height).min().unwrap_or(0);
        let headers = join_all(heights.iter().map(|(one, _)| within(one.header(common)))).await;
        let told = heights.iter().zip(headers);
        let told: Vec<(String, String)> =
            told.filter_map(|((one, _), header)| Some((one.name(), header.ok()??))).collect();
        if let Some(odd) =
            told.iter().find(|(_, header)| Some(header) != told.first().map(|t| &t.1))
        {
            meters().disagreements.inc();
            let first = told.first().map(|(name, _)| name.clone()).unwrap_or_default();
            return Err(format!("{first} and {} tell different blocks {common}", odd.0));
        }
        Ok(best)
    }

    /// A lease as all endpoints tell it, before anything is taken away.
    ///
    /// # Errors
    /// Endpoints that contradict each other, or too few that answer.
    pub async fn lease(&self, id: &BidId) -> Result<Lease> {
        let mut words = String::new();
        for turn in 0..TRIES {
            if turn > 0 {
                tokio::time::sleep(self.between).await;
            }
            let answers = join_all(self.leases.iter().map(|one| within(one.lease(id)))).await;
            match self.verdict(id, answers) {
                Ok(decided) => return decided,
                Err(contradiction) => words = contradiction,
            }
        }
        meters().disagreements.inc();
        tracing::error!("{words}; nothing is changed until they agree");
        Err(Error::BadAnswer(words))
    }

    /// Err: they contradict each other.
    fn verdict(&self, id: &BidId, answers: Vec<Answer>) -> Result<Result<Lease>, String> {
        let mut told: Vec<(String, u64, Option<Lease>)> = vec![];
        let mut silent = None;
        for (witness, answer) in self.leases.iter().zip(answers) {
            match answer {
                Ok((height, lease)) => told.push((witness.name(), height, lease)),
                Err(error) => silent = Some(error),
            }
        }
        // One that is catching up tells of the past; it contradicts nobody.
        let best = told.iter().map(|(_, height, _)| *height).max().unwrap_or(0);
        told.retain(|(_, height, _)| height.saturating_add(self.max_lag) >= best);
        if told.len() < self.min_answers.max(1) {
            let cause = silent.map_or("they are behind".into(), |error| error.to_string());
            return Ok(Err(Error::Unreachable { what: "enough endpoints".into(), cause }));
        }
        let state = |lease: &Option<Lease>| lease.as_ref().map(|lease| lease.state());
        let first = told.first().map(|(_, _, lease)| state(lease));
        if let Some((name, _, odd)) = told.iter().find(|one| Some(state(&one.2)) != first) {
            let say = |state: Option<LeaseState>| state.map_or("unknown", |s| s.as_str_name());
            return Err(format!(
                "of lease {}, {} says {}, {name} {}",
                id.text(),
                told.first().map(|(name, ..)| name.as_str()).unwrap_or_default(),
                say(first.flatten()),
                say(state(odd)),
            ));
        }
        let lease = told.into_iter().find_map(|(_, _, lease)| lease);
        Ok(lease.ok_or_else(|| Error::NotFound(format!("there is no lease {}", id.text()))))
    }

    fn state(&self) -> MutexGuard<'_, Compared> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn within<T>(answer: impl std::future::Future<Output = Result<T>>) -> Result<T> {
    let silent = || Error::Timeout("it takes too long".into());
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(silent()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{lease_view, order};

    /// A node that says what it was told to say.
    #[derive(Clone)]
    struct Node {
        name: &'static str,
        height: u64,
        header: &'static str,
        /// None: dead.
        lease: Option<Option<LeaseState>>,
    }

    impl Node {
        fn honest(name: &'static str) -> Self {
            Self { name, height: 100, header: "h", lease: Some(Some(LeaseState::Active)) }
        }

        fn dead(name: &'static str) -> Self {
            Self { height: 0, lease: None, ..Self::honest(name) }
        }

        fn cut(&self) -> Error {
            Error::Unreachable { what: self.name.into(), cause: "cut".into() }
        }
    }

    #[async_trait]
    impl BlockWitness for Node {
        fn name(&self) -> String {
            self.name.into()
        }

        async fn height(&self) -> Result<Option<(String, u64)>> {
            match self.height {
                0 => Err(self.cut()),
                height => Ok(Some(("test-1".into(), height))),
            }
        }

        async fn header(&self, height: u64) -> Result<Option<String>> {
            Ok(Some(format!("{height} {}", self.header)))
        }
    }

    #[async_trait]
    impl LeaseWitness for Node {
        fn name(&self) -> String {
            self.name.into()
        }

        async fn lease(&self, _: &BidId) -> Result<(u64, Option<Lease>)> {
            let told = self.lease.ok_or_else(|| self.cut())?;
            let lease = |state: LeaseState| Lease { state: state.into(), ..Lease::default() };
            Ok((self.height, told.map(lease)))
        }
    }

    fn agreement(nodes: &[Node], min_answers: usize) -> Agreement {
        Agreement {
            chain_id: "test-1".into(),
            blocks: nodes
                .iter()
                .map(|one| Box::new(one.clone()) as Box<dyn BlockWitness>)
                .collect(),
            leases: nodes
                .iter()
                .map(|one| Box::new(one.clone()) as Box<dyn LeaseWitness>)
                .collect(),
            min_answers,
            max_lag: 10,
            between: Duration::from_millis(1),
            state: Mutex::default(),
        }
    }

    async fn best(nodes: &[Node], min_answers: usize) -> Option<u64> {
        agreement(nodes, min_answers).best_height().await.ok()
    }

    #[tokio::test]
    async fn nodes_that_tell_different_blocks_are_not_believed() {
        let honest = Node::honest("a");
        let lagging = Node { height: 95, ..Node::honest("b") };
        assert_eq!(best(&[honest.clone(), lagging], 2).await, Some(100));
        let liar = Node { header: "forged", ..Node::honest("c") };
        assert_eq!(best(&[honest.clone(), liar.clone()], 1).await, None);
        assert_eq!(best(&[liar], 1).await, Some(0), "one alone cannot be compared");
        let far = Node { height: 50, header: "forged", ..Node::honest("d") };
        assert_eq!(best(&[honest.clone(), far.clone()], 1).await, Some(100), "left out");
        assert_eq!(best(&[honest.clone(), far], 2).await, None, "too few are left");
        assert_eq!(best(&[honest.clone(), Node::dead("e")], 1).await, Some(100));
        assert_eq!(best(&[honest, Node::dead("e")], 2).await, None);
    }

    #[tokio::test]
    async fn a_lease_is_over_only_if_nobody_says_otherwise() {
        let id = lease_view(&order(1)).id;
        let says = |state| Node { lease: Some(state), ..Node::honest("n") };
        let ask = |nodes: Vec<Node>, min_answers| {
            let id = id.clone();
            async move { agreement(&nodes, min_answers).lease(&id).await }
        };
        let closed = || says(Some(LeaseState::Closed));
        let agreed = ask(vec![closed(), closed()], 2).await.unwrap();
        assert_eq!(agreed.state(), LeaseState::Closed);
        let lied = ask(vec![closed(), Node::honest("b")], 1).await;
        assert!(matches!(lied, Err(Error::BadAnswer(_))), "{lied:?}");
        let lost = ask(vec![says(None), Node::honest("b")], 1).await;
        assert!(matches!(lost, Err(Error::BadAnswer(_))), "{lost:?}");
        assert!(matches!(ask(vec![says(None), says(None)], 1).await, Err(Error::NotFound(_))));
        assert!(ask(vec![closed(), Node::dead("b")], 1).await.is_ok());
        let past = Node { height: 50, ..Node::honest("b") };
        assert!(ask(vec![closed(), past.clone()], 1).await.is_ok(), "it is catching up");
        let few = ask(vec![closed(), past], 2).await;
        assert!(matches!(few, Err(Error::Unreachable { .. })), "{few:?}");
        let few = ask(vec![closed(), Node::dead("b")], 2).await;
        assert!(matches!(few, Err(Error::Unreachable { .. })), "{few:?}");
    }
}
