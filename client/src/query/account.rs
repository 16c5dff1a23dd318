//! Accounts, balances, simulation.

use stoa_proto::cosmos::{
    auth::v1beta1::{
        query_client::QueryClient as AuthClient, BaseAccount, QueryAccountInfoRequest,
    },
    bank::v1beta1::{query_client::QueryClient as BankClient, QueryAllBalancesRequest},
    base::v1beta1::Coin,
    tx::v1beta1::{service_client::ServiceClient, SimulateRequest, SimulateResponse},
};

use super::{
    endpoints::{QueryClient, MAX_ANSWER},
    pages,
};
use crate::{keys::PublicKey, Error, Result};

/// What signing needs to know of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountState {
    pub number: u64,
    pub sequence: u64,
}

impl QueryClient {
    /// An account's number and sequence. [`Error::NotFound`] before it has
    /// ever received anything.
    pub async fn account(&self, address: &str) -> Result<AccountState> {
        let account = self.account_info(address).await?;
        Ok(AccountState { number: account.account_number, sequence: account.sequence })
    }

    /// The public key of an account: none before its first transaction.
    ///
    /// # Errors
    /// [`Error::Key`] where the account is not of one key.
    pub async fn account_key(&self, address: &str) -> Result<Option<PublicKey>> {
        let account = self.account_info(address).await?;
        account.pub_key.as_ref().map(PublicKey::from_any).transpose().map_err(Error::Key)
    }

    async fn account_info(&self, address: &str) -> Result<BaseAccount> {
        // Asked so, accounts of all kinds answer alike.
        let query = QueryAccountInfoRequest { address: address.into() };
        let answer = self
            .ask(query, |channel, query| async move {
                AuthClient::new(channel).account_info(query).await
            })
            .await
            .map_err(|e| unknown_account(e, address))?;
        answer.info.ok_or_else(|| Error::BadAnswer(format!("account {address} came back empty")))
    }

    /// All that an account holds, by denom.
    pub async fn balances(&self, address: &str) -> Result<Vec<Coin>> {
        pages::all(|page| async move {
            let query = QueryAllBalancesRequest {
                address: address.into(),
                pagination: Some(page),
                ..Default::default()
            };
            let answer = self
                .ask(query, |channel, query| async move {
                    BankClient::new(channel)
                        .max_decoding_message_size(MAX_ANSWER)
                        .all_balances(query)
                        .await
                })
                .await?;
            Ok((answer.balances, answer.pagination))
        })
        .await
    }

    /// Runs a transaction without effect. An empty signature is fine.
    pub async fn simulate(&self, tx_bytes: Vec<u8>) -> Result<SimulateResponse> {
        #[allow(deprecated)]
        let query = SimulateRequest { tx: None, tx_bytes };
        self.ask(query, |channel, query| async move {
            ServiceClient::new(channel).simulate(query).await
        })
        .await
    }
}

fn unknown_account(error: Error, address: &str) -> Error {
    match error {
        Error::NotFound(_) => Error::NotFound(format!(
            "account {address} is not on the chain yet: it must receive something first"
        )),
        other => other,
    }
}
