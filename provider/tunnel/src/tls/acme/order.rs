//! One order at a CA: the account, the name's proof, the certificate.

use std::path::Path;
use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};

use super::challenges::{Challenges, Open};
use super::AcmeSettings;
use crate::state;

/// How long a CA may take to look at the answers, and to sign.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(60));

/// Why there is no certificate.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    pub(super) words: String,
}

/// Whose failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The CA says no to this name.
    Refused,
    /// It says "too many".
    Limited,
    /// It does not answer, or something here is wrong.
    Other,
}

impl Failure {
    pub(super) fn here(words: String) -> Self {
        Self { kind: Kind::Other, words }
    }

    fn refused(words: impl Into<String>) -> Self {
        Self { kind: Kind::Refused, words: words.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Api(problem) => {
                let name = problem.r#type.as_deref().unwrap_or_default();
                match name.ends_with(":rateLimited") || problem.status == Some(429) {
                    true => Kind::Limited,
                    false => Kind::Refused,
                }
            }
            _ => Kind::Other,
        };
        Self { kind, words: error.to_string() }
    }
}

/// The account, made at the first use and kept (0600).
pub(super) async fn account(settings: &AcmeSettings, path: &Path) -> Result<Account, String> {
    let builder = match &settings.roots {
        Some(roots) => Account::builder_with_root(roots),
        None => Account::builder(),
    };
    let builder = builder.map_err(|error| error.to_string())?;
    if let Some(bytes) = super::read(path).map_err(|e| format!("{}: {e}", path.display()))? {
        let credentials: AccountCredentials =
            serde_json::from_slice(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
        return builder.from_credentials(credentials).await.map_err(|error| error.to_string());
    }
    let contact: Vec<&str> = settings.contact.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let (account, credentials) = builder
        .create(&new, settings.directory.clone(), None)
        .await
        .map_err(|error| error.to_string())?;
    let bytes = serde_json::to_vec(&credentials).map_err(|error| error.to_string())?;
    state::write(path, &bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    tracing::info!(ca = %settings.directory, "an account is made");
    Ok(account)
}

/// Gets a certificate: chain and key in one PEM text.
pub(super) async fn obtain(
    account: &Account,
    host: &str,
    challenges: &Challenges,
) -> Result<String, Failure> {
    let identifiers = [Identifier::Dns(host.to_owned())];
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
    // Answered until the order is through.
    let _open = answer(&mut order, host, challenges).await?;
    match order.poll_ready(&PATIENCE).await? {
        OrderStatus::Ready | OrderStatus::Valid => {}
        _ => return Err(Failure::refused(why_invalid(&mut order).await)),
    }
    let key = order.finalize().await?;
    let chain = order.poll_certificate(&PATIENCE).await?;
    Ok(format!("{chain}\n{key}"))
}

/// Lays the answers out and says so to the CA.
async fn answer<'a>(
    order: &mut Order,
    host: &str,
    challenges: &'a Challenges,
) -> Result<Vec<Open<'a>>, Failure> {
    let mut open = vec![];
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Valid => continue,
            other => return Err(Failure::refused(format!("the CA says {other:?}"))),
        }
        let mut challenge = authorization
            .challenge(ChallengeType::Http01)
            .ok_or_else(|| Failure::refused("the CA offers no http-01 challenge"))?;
        let token = challenge.token.clone();
        let words = challenge.key_authorization();
        open.push(challenges.open(host, &token, words.as_str()));
        challenge.set_ready().await?;
    }
    Ok(open)
}

/// What the CA found wrong.
async fn why_invalid(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let errors = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        if let Some(error) = errors.filter_map(|error| error.detail.clone()).next() {
            return format!("the CA could not check the name: {error}");
        }
    }
    "the CA says that the order is invalid".into()
}
