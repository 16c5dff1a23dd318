//! Fetching from workloads through a provider's ingress, as a browser would.

use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

/// How long an answer may be waited for, the ingress's own first start included.
const DEADLINE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(250);

/// One service's address: where to connect, and which host to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The ingress, as a URL without a path.
    pub ingress: String,
    /// The host name that the provider gave the service.
    pub host: String,
}

impl Site {
    /// From the address that `stoa` shows and the ingress that carries it.
    ///
    /// # Errors
    /// If the address is none.
    pub fn new(uri: &str, ingress: &str) -> Result<Self> {
        let rest = uri.split_once("://").map(|(_, rest)| rest);
        let host = rest.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
        if host.is_empty() {
            bail!("{uri:?} is no address of a service");
        }
        Ok(Self { ingress: ingress.to_owned(), host: host.to_owned() })
    }

    /// Fetches a path; the answer's body. Tried again until it is there.
    ///
    /// # Errors
    /// The last failure, once the time is up.
    pub async fn get(&self, path: &str) -> Result<String> {
        self.get_until(path, |_| true).await
    }

    /// Fetches a path until the body is as wanted.
    ///
    /// # Errors
    /// The last failure, once the time is up.
    pub async fn get_until(&self, path: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let last = match self.get_once(path).await {
                Ok(body) if wanted(&body) => return Ok(body),
                Ok(body) => format!("the answer is not the expected one:\n{body}"),
                Err(error) => format!("{error:#}"),
            };
            if Instant::now() >= deadline {
                bail!("GET {path} of {} at {}: {last}", self.host, self.ingress);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Fetches a path once.
    ///
    /// # Errors
    /// If nobody answers with success.
    pub async fn get_once(&self, path: &str) -> Result<String> {
        let client =
            reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().build()?;
        let request = client.get(format!("{}{path}", self.ingress));
        let answer = request.header("Host", &self.host).send().await?;
        let status = answer.status();
        let body = answer.text().await.context("the answer's body")?;
        if !status.is_success() {
            bail!("{status}: {}", body.trim());
        }
        Ok(body)
    }

    /// The command that does the same.
    pub fn as_curl(&self, path: &str) -> String {
        format!("curl -H 'Host: {}' {}{path}", self.host, self.ingress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gives_the_host_to_ask_for() {
        let site = |uri| Site::new(uri, "http://127.0.0.1:5").map(|site| site.host);
        assert_eq!(site("http://web-1.a.localhost:5/").unwrap(), "web-1.a.localhost:5");
        assert_eq!(site("http://web-1.a.localhost").unwrap(), "web-1.a.localhost");
        assert!(site("web-1").is_err());
        let shown = Site::new("http://h:1/", "http://127.0.0.1:5").unwrap().as_curl("/x");
        assert_eq!(shown, "curl -H 'Host: h:1' http://127.0.0.1:5/x");
    }
}
