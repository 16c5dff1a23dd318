//! Tokens instead of certificates.

use stoa_client::gateway::channel;
use stoa_client::proto::gateway::v1::{GetManifestRequest, RestartRequest};
use stoa_client::token::Scope;
use tonic::metadata::MetadataValue;
use tonic::Request;

use super::*;

fn bearing<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

#[tokio::test]
async fn a_token_of_the_accounts_key_opens_its_scopes_and_leases_and_no_more() {
    let stage = Stage::set().await;
    let lease = stage.lease_of_signer();
    let mut client = connect(&stage.record, None).await.unwrap();
    let status = || LeaseStatusRequest { lease: Some(lease.clone()) };
    let token = stage.token(&[Scope::Status], vec![]);
    let answer = client.lease_status(bearing(status(), &token)).await.unwrap().into_inner();
    assert_eq!(answer.lease, Some(lease.clone()));

    // Another scope, another tenant's lease, a lease that the token does not name.
    let mut tenants =
        stoa_client::gateway::tenant_client(channel(&stage.record, None).await.unwrap());
    let manifest = GetManifestRequest { lease: Some(lease.clone()) };
    refused(tenants.get_manifest(bearing(manifest, &token)).await, Code::PermissionDenied, "scope");
    let restart = RestartRequest { lease: Some(lease.clone()), ..Default::default() };
    refused(tenants.restart(bearing(restart, &token)).await, Code::PermissionDenied, "restart");
    let others = LeaseStatusRequest { lease: Some(stage.lease.clone()) };
    refused(client.lease_status(bearing(others, &token)).await, Code::PermissionDenied, "not of");
    let elsewhere = BidId { dseq: 77, ..lease.clone() };
    let narrow = stage.token(&[Scope::Status], vec![elsewhere.text()]);
    let answer = client.lease_status(bearing(status(), &narrow)).await;
    refused(answer, Code::PermissionDenied, "not for");
    let narrow = stage.token(&[Scope::Status], vec![lease.text()]);
    client.lease_status(bearing(status(), &narrow)).await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_not_the_accounts_is_refused_whatever_certificate_is_shown() {
    let stage = Stage::set().await;
    let lease = stage.lease_of_signer();
    let token = stage.token(&[Scope::Status], vec![]);
    let status = || LeaseStatusRequest { lease: Some(lease.clone()) };
    // The connection's certificate is good; the token goes over it.
    let mut client = stage.client().await;
    let own = LeaseStatusRequest { lease: Some(stage.lease.clone()) };
    client.lease_status(own.clone()).await.unwrap();
    let mixed = client.lease_status(bearing(own, &token)).await;
    refused(mixed, Code::PermissionDenied, "not of");
    // Not the last character: two of its bits are all that count of it.
    let (kept, end) = token.split_at(token.len() - 20);
    let altered = format!("{kept}{}{}", if end.starts_with('A') { 'B' } else { 'A' }, &end[1..]);
    for bad in [altered.as_str(), "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        let answer = client.lease_status(bearing(status(), bad)).await;
        refused(answer, Code::Unauthenticated, "token");
    }
    // The chain does not know the key, or cannot be asked.
    let other = Stage::set().await;
    let mut client = connect(&other.record, None).await.unwrap();
    let answer = client.lease_status(bearing(status(), &token)).await;
    refused(answer, Code::Unauthenticated, "no key");
    other.chain.set_unreachable(true);
    let answer = client.lease_status(bearing(status(), &token)).await;
    refused(answer, Code::Unavailable, "try again");
}
