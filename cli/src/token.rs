//! `stoa provider token`: a short-lived token for one provider's gateway.

use clap::Args;
use rand::RngCore;
use serde_json::json;
use stoa_client::{
    ids::TextId,
    token::{mint, Claims, Scope, DEFAULT_LIFE, MAX_LEASES, MAX_LIFE},
};
use stoa_proto::types::v1::BidId;

use crate::{context::Context, exit::Failure, logs::age, out, text};

/// Arguments of `stoa provider token`.
#[derive(Clone, Debug, Args)]
pub struct TokenArgs {
    /// The provider's address, or a key's name; it alone takes the token
    pub provider: String,
    /// What it may do: send-manifest, get-manifest, status, logs, events, shell, restart
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', required = true)]
    pub scope: Vec<Scope>,
    /// How long it lives, such as 15m; at most 24h
    #[arg(long, value_parser = age, default_value = "15m")]
    pub ttl: u64,
    /// Good for this lease alone (OWNER/DSEQ/GSEQ/OSEQ/PROVIDER); may be repeated
    #[arg(long = "lease", value_name = "ID")]
    pub leases: Vec<String>,
}

/// Makes it and prints it. Nobody is asked.
pub fn run(context: &Context, args: TokenArgs) -> Result<(), Failure> {
    let provider = context.address_of(Some(&args.provider))?;
    let claims = claims(&context.address()?, provider, &args, text::now())?;
    let token = mint(&context.signer()?, &claims).map_err(|e| Failure::new(e.to_string()))?;
    if context.is_json() {
        return out::print_json(&json!({
            "token": token,
            "provider": claims.audience,
            "expires": claims.expires,
            "scope": claims.scopes.to_string(),
        }));
    }
    out::print_lines(&token);
    Ok(())
}

fn claims(issuer: &str, provider: String, args: &TokenArgs, now: u64) -> Result<Claims, Failure> {
    if args.ttl == 0 || args.ttl > MAX_LIFE {
        return Err(Failure::usage(format!(
            "--ttl is 1s to {}h; without it, a token lives {} minutes",
            MAX_LIFE / 3600,
            DEFAULT_LIFE / 60
        )));
    }
    if args.leases.len() > MAX_LEASES {
        return Err(Failure::usage(format!("at most {MAX_LEASES} leases")));
    }
    let mut leases = vec![];
    for lease in &args.leases {
        let id = BidId::parse(lease)?;
        if id.owner != issuer || id.provider != provider {
            return Err(Failure::usage(format!("lease {lease} is not of {issuer} at {provider}")));
        }
        leases.push(id.text());
    }
    let mut id = [0; 16];
    rand::thread_rng().fill_bytes(&mut id);
    Ok(Claims {
        issuer: issuer.to_owned(),
        audience: provider,
        not_before: now,
        expires: now.saturating_add(args.ttl),
        id: hex::encode(id),
        scopes: args.scope.iter().copied().collect(),
        leases,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_ones_own_leases_at_that_provider() {
        let address = |byte| stoa_client::Address::from([byte; 20]).to_string();
        let (own, provider) = (address(1), address(2));
        let args = |ttl, leases| TokenArgs {
            provider: provider.clone(),
            scope: vec![Scope::Logs],
            ttl,
            leases,
        };
        let lease = format!("{own}/7/1/1/{provider}");
        let made = claims(&own, provider.clone(), &args(60, vec![lease.clone()]), 1000).unwrap();
        assert_eq!((made.not_before, made.expires, made.leases), (1000, 1060, vec![lease]));
        let foreign = format!("{provider}/7/1/1/{provider}");
        assert!(claims(&own, provider.clone(), &args(60, vec![foreign]), 1000).is_err());
        for ttl in [0, MAX_LIFE + 1] {
            assert!(claims(&own, provider.clone(), &args(ttl, vec![]), 1000).is_err());
        }
    }
}
