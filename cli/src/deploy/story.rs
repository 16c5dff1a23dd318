//! Why a group found no provider, and what to do next.

use stoa_client::{Chain, Error};
use stoa_proto::{
    provider::v1::Provider,
    types::v1::{Attribute, DeploymentId, GroupSpec, Requirements},
};

use super::book::{End, GroupEnd};
use crate::{out, query::tables, text};

/// Tells the story of one group on stderr.
pub async fn tell(chain: &Chain, id: &DeploymentId, end: &GroupEnd) {
    let gseq = end.order.id.as_ref().map_or(0, |o| o.gseq);
    let (what, why) = match &end.end {
        End::Leased(_) => return,
        End::Unmatched(reason) => ("found no provider", reason.clone()),
        End::Cancelled(reason) => ("had its order cancelled", reason.clone()),
        End::LeaseEnded(lease) => ("had a lease that ended", tables::close_reason(lease)),
    };
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    out::note(&format!("\n✗ group {} {what}{why}", end.name));
    out::note(&format!("  asked at most {}", text::rate(end.order.max_rate.as_ref())));
    if end.seen.is_empty() {
        out::note("  nobody bid");
    }
    for (provider, rate) in &end.seen {
        out::note(&format!("  bid of {rate} by {provider}"));
    }
    if matches!(end.end, End::Unmatched(_)) && end.seen.is_empty() {
        match chain.query().providers().await {
            Ok(providers) => out::note(&format!("  {}", who_could(&providers, end))),
            Err(Error::Unreachable { .. }) => {}
            Err(error) => out::note(&format!("  (asking for the providers: {error})")),
        }
    }
    let dseq = id.dseq;
    out::note(&format!(
        "  next: offer it again by `stoa tx reopen-group {dseq} {gseq}` (with --max-rate for a \
         higher limit), then `stoa deploy --resume {dseq}`; or `stoa close {dseq}` to have the \
         escrow back"
    ));
}

/// How many registered providers could have bid, and what kept the others out.
fn who_could(providers: &[Provider], end: &GroupEnd) -> String {
    if providers.is_empty() {
        return "no provider is registered on this chain".into();
    }
    let spec = end.order.spec.clone().unwrap_or_default();
    let kept_out = &end.order.excluded_providers;
    let obstacle = |p: &Provider| match kept_out.contains(&p.owner) {
        true => Some("kept out by an earlier close of the group's lease".into()),
        false => obstacle(p, &spec),
    };
    let fitting = providers.iter().filter(|p| obstacle(p).is_none()).count();
    if fitting > 0 {
        return format!(
            "{fitting} of {} registered providers fit its requirements; they may be full, or \
             the price too low",
            providers.len()
        );
    }
    let mut reasons: Vec<String> = providers.iter().filter_map(obstacle).collect();
    reasons.sort();
    reasons.dedup();
    format!(
        "none of {} registered providers fits its requirements: {}",
        providers.len(),
        reasons.join("; ")
    )
}

/// What of the requirements a provider's record does not meet.
fn obstacle(provider: &Provider, spec: &GroupSpec) -> Option<String> {
    let none = Requirements::default();
    let wanted = spec.requirements.as_ref().unwrap_or(&none);
    if provider.jailed {
        return Some("jailed".into());
    }
    if wanted.excluded_providers.contains(&provider.owner) {
        return Some("excluded by the file".into());
    }
    let allowed = &wanted.allowed_providers;
    if !allowed.is_empty() && !allowed.contains(&provider.owner) {
        return Some("not among those that the file allows".into());
    }
    let missing = wanted.attributes.iter().find(|a| !has(&provider.attributes, a));
    if let Some(a) = missing {
        return Some(format!("without {}={}", a.key, a.value));
    }
    let amount = |t: &str| t.parse::<u128>().unwrap_or(0);
    if amount(&provider.stake) < amount(&wanted.min_stake) {
        return Some(format!("stake under {}", wanted.min_stake));
    }
    None
}

/// `*` as the last byte of a required key or value matches any rest.
fn has(attributes: &[Attribute], wanted: &Attribute) -> bool {
    let fits = |pattern: &str, text: &str| match pattern.strip_suffix('*') {
        Some(head) => text.starts_with(head),
        None => pattern == text,
    };
    attributes.iter().any(|a| fits(&wanted.key, &a.key) && fits(&wanted.value, &a.value))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use stoa_proto::market::v1::Order;

    use super::*;

    fn attribute(key: &str, value: &str) -> Attribute {
        Attribute { key: key.into(), value: value.into() }
    }

    fn end(attributes: Vec<Attribute>) -> GroupEnd {
        let requirements = Requirements { attributes, ..Requirements::default() };
        let spec = GroupSpec { requirements: Some(requirements), ..GroupSpec::default() };
        GroupEnd {
            name: "athens".into(),
            order: Order { spec: Some(spec), ..Order::default() },
            seen: BTreeMap::new(),
            end: End::Unmatched("no bids".into()),
        }
    }

    #[test]
    fn says_what_kept_providers_out() {
        let provider = Provider {
            owner: "p".into(),
            attributes: vec![attribute("region", "eu-west")],
            ..Provider::default()
        };
        let all = [provider];
        assert!(who_could(&[], &end(vec![])).contains("no provider is registered"));
        assert!(who_could(&all, &end(vec![attribute("region", "eu-*")])).contains("1 of 1"));
        let none = who_could(&all, &end(vec![attribute("region", "us-east")]));
        assert!(none.contains("without region=us-east"), "{none}");
        let jailed = [Provider { jailed: true, ..all[0].clone() }];
        assert!(who_could(&jailed, &end(vec![])).contains("jailed"));
        let mut without = end(vec![]);
        without.order.excluded_providers.push("p".into());
        assert!(who_could(&all, &without).contains("kept out"));
    }
}
