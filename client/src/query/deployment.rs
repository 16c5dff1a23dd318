//! Deployments, their groups, tenants' certificates.

use stoa_proto::{
    cert::v1::{
        query_client::QueryClient as CertClient, Certificate, CertificateState,
        QueryCertificatesRequest,
    },
    deployment::v1::{
        query_client::QueryClient as Client, DeploymentState, Group, Params,
        QueryDeploymentRequest, QueryDeploymentResponse, QueryDeploymentsRequest,
        QueryGroupRequest, QueryParamsRequest,
    },
    types::v1::{DeploymentId, GroupId},
};

use super::{
    endpoints::{QueryClient, MAX_ANSWER},
    pages,
};
use crate::{ids::TextId, Error, Result};

/// A deployment with its groups.
pub type DeploymentView = QueryDeploymentResponse;

impl QueryClient {
    /// A deployment with its groups.
    pub async fn deployment(&self, id: &DeploymentId) -> Result<DeploymentView> {
        let query = QueryDeploymentRequest { id: Some(id.clone()) };
        self.ask(query, |channel, query| async move {
            Client::new(channel).max_decoding_message_size(MAX_ANSWER).deployment(query).await
        })
        .await
    }

    /// Deployments; an empty owner is every owner, UNSPECIFIED any state.
    pub async fn deployments(
        &self,
        owner: &str,
        state: DeploymentState,
    ) -> Result<Vec<DeploymentView>> {
        pages::all(|page| async move {
            let query = QueryDeploymentsRequest {
                owner: owner.into(),
                state: state.into(),
                pagination: Some(page),
            };
            let answer = self
                .ask(query, |channel, query| async move {
                    Client::new(channel)
                        .max_decoding_message_size(MAX_ANSWER)
                        .deployments(query)
                        .await
                })
                .await?;
            Ok((answer.deployments, answer.pagination))
        })
        .await
    }

    /// One group.
    pub async fn group(&self, id: &GroupId) -> Result<Group> {
        let query = QueryGroupRequest { id: Some(id.clone()) };
        let answer = self
            .ask(query, |channel, query| async move { Client::new(channel).group(query).await })
            .await?;
        answer.group.ok_or_else(|| Error::NotFound(format!("there is no group {}", id.text())))
    }

    /// The deployment module's parameters.
    pub async fn deployment_params(&self) -> Result<Params> {
        let answer = self
            .ask(QueryParamsRequest {}, |channel, query| async move {
                Client::new(channel).params(query).await
            })
            .await?;
        answer.params.ok_or_else(|| Error::BadAnswer("the deployment parameters are empty".into()))
    }

    /// A tenant's certificates; an empty serial is all, UNSPECIFIED any state.
    pub async fn certificates(
        &self,
        owner: &str,
        serial: &str,
        state: CertificateState,
    ) -> Result<Vec<Certificate>> {
        pages::all(|page| async move {
            let query = QueryCertificatesRequest {
                owner: owner.into(),
                serial: serial.into(),
                state: state.into(),
                pagination: Some(page),
            };
            let answer = self
                .ask(query, |channel, query| async move {
                    CertClient::new(channel)
                        .max_decoding_message_size(MAX_ANSWER)
                        .certificates(query)
                        .await
                })
                .await?;
            Ok((answer.certificates, answer.pagination))
        })
        .await
    }

    /// Whether exactly this certificate is a valid one of the owner's on
    /// chain: the check behind every mTLS connection of a tenant.
    pub async fn is_valid_certificate(&self, owner: &str, der: &[u8]) -> Result<bool> {
        let valid = self.certificates(owner, "", CertificateState::Valid).await?;
        Ok(valid.iter().any(|c| c.owner == owner && c.der == der))
    }
}
