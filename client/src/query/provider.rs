//! Providers and what auditors say of them.

use stoa_proto::{
    audit::v1::{
        query_client::QueryClient as AuditClient, QueryProviderAttributesRequest, SignedAttributes,
    },
    provider::v1::{
        query_client::QueryClient as Client, Params, Provider, QueryParamsRequest,
        QueryProviderRequest, QueryProviderResponse, QueryProvidersRequest,
    },
};

use super::{
    endpoints::{QueryClient, MAX_ANSWER},
    pages,
};
use crate::{Error, Result};

impl QueryClient {
    /// A provider with its reputation and unbondings.
    pub async fn provider(&self, owner: &str) -> Result<QueryProviderResponse> {
        let query = QueryProviderRequest { owner: owner.into() };
        self.ask(query, |channel, query| async move { Client::new(channel).provider(query).await })
            .await
    }

    /// All providers.
    pub async fn providers(&self) -> Result<Vec<Provider>> {
        pages::all(|page| async move {
            let query = QueryProvidersRequest { pagination: Some(page) };
            let answer = self
                .ask(query, |channel, query| async move {
                    Client::new(channel)
                        .max_decoding_message_size(MAX_ANSWER)
                        .providers(query)
                        .await
                })
                .await?;
            Ok((answer.providers, answer.pagination))
        })
        .await
    }

    /// The provider module's parameters.
    pub async fn provider_params(&self) -> Result<Params> {
        let answer = self
            .ask(QueryParamsRequest {}, |channel, query| async move {
                Client::new(channel).params(query).await
            })
            .await?;
        answer.params.ok_or_else(|| Error::BadAnswer("the provider parameters are empty".into()))
    }

    /// Auditors' records about a provider; an empty auditor is all of them.
    pub async fn audits(&self, provider: &str, auditor: &str) -> Result<Vec<SignedAttributes>> {
        pages::all(|page| async move {
            let query = QueryProviderAttributesRequest {
                provider: provider.into(),
                auditor: auditor.into(),
                pagination: Some(page),
            };
            let answer = self
                .ask(query, |channel, query| async move {
                    AuditClient::new(channel)
                        .max_decoding_message_size(MAX_ANSWER)
                        .provider_attributes(query)
                        .await
                })
                .await?;
            Ok((answer.records, answer.pagination))
        })
        .await
    }
}
