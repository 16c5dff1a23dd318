//! Queries: path to handler, protobuf in and out. ABCI Query and gRPC mount
//! the same router.

use std::collections::BTreeMap;

use prost::Message;

use crate::ctx::{Block, Ctx};
use crate::error::{Failure, SdkError};
use crate::modules;
use crate::store::Store;

type Handler = Box<dyn Fn(&Ctx<'_>, &[u8]) -> Result<Vec<u8>, Failure> + Send + Sync>;

/// All queries by path, such as `/stoa.market.v1.Query/Order`.
pub struct Router {
    handlers: BTreeMap<String, Handler>,
}

impl Router {
    /// The queries of every module.
    pub fn new() -> Self {
        let mut router = Self { handlers: BTreeMap::new() };
        modules::auth::routes(&mut router);
        modules::bank::routes(&mut router);
        modules::provider::routes(&mut router);
        modules::audit::routes(&mut router);
        modules::cert::routes(&mut router);
        modules::deployment::routes(&mut router);
        modules::market::routes(&mut router);
        modules::escrow::routes(&mut router);
        modules::staking::routes(&mut router);
        modules::slashing::routes(&mut router);
        modules::mint::routes(&mut router);
        modules::distribution::routes(&mut router);
        modules::gov::routes(&mut router);
        modules::authz::routes(&mut router);
        modules::feegrant::routes(&mut router);
        modules::upgrade::routes(&mut router);
        modules::consensus::routes(&mut router);
        router
    }

    /// Serves `path` by `handler`.
    pub fn mount<Q, R>(&mut self, path: &str, handler: fn(&Ctx<'_>, Q) -> Result<R, Failure>)
    where
        Q: Message + Default + 'static,
        R: Message + 'static,
    {
        let serve = move |ctx: &Ctx<'_>, data: &[u8]| {
            let request = Q::decode(data).map_err(|error| {
                SdkError::InvalidRequest(format!("the query does not decode: {error}"))
            })?;
            handler(ctx, request).map(|response| response.encode_to_vec())
        };
        self.handlers.insert(path.to_owned(), Box::new(serve));
    }

    /// Paths that are served, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.handlers.keys().map(String::as_str)
    }

    /// Answers on a committed store, as of its last block.
    ///
    /// # Errors
    /// An unknown path, a malformed request, or the handler's refusal.
    pub fn answer(
        &self,
        store: &dyn Store,
        block: Block,
        path: &str,
        data: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        self.answer_in(&Ctx::new(store, block), path, data)
    }

    /// The same within a block's work.
    ///
    /// # Errors
    /// An unknown path, a malformed request, or the handler's refusal.
    pub(crate) fn answer_in(
        &self,
        ctx: &Ctx<'_>,
        path: &str,
        data: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let handler = self.handlers.get(path).ok_or_else(|| {
            SdkError::UnknownRequest(format!("no query is served under {path:?}"))
        })?;
        handler(ctx, data)
    }
}

impl Default for Router {
    fn default() -> Self {
        Self::new()
    }
}
