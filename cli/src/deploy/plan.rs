//! What a file will ask of the market, and what it may cost.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::json;
use stoa_client::{
    money::{show_coin, Dec},
    tx::{any, Gas},
};
use stoa_manifest::{Dec18, Options};
use stoa_proto::{cosmos::base::v1beta1::Coin, market::v1::Params};

use super::Tenant;
use crate::{
    certificate,
    exit::Failure,
    manifest::{self, Mappings, SdlFile},
    out, text,
    tx::deployment::creation,
};

/// Escrow lasts so long at the maximum rates where nobody says otherwise.
const DEFAULT_RUNWAY: u64 = 86_400;
/// The chain asks for so many seconds at the maximum rates.
const MIN_RUNWAY: u64 = 3_600;

/// A file, read and priced.
pub struct Plan {
    /// With its full path.
    pub file: PathBuf,
    pub sdl: SdlFile,
    pub deposit: Coin,
    /// The most that all groups may cost in a second.
    pub max_rate: Dec,
}

/// Reads and prices a file.
pub async fn make(
    tenant: &Tenant,
    file: &Path,
    mappings: &Mappings,
    deposit: Option<Coin>,
) -> Result<Plan, Failure> {
    let escrow = tenant.chain.query().escrow_params().await?;
    let denoms: BTreeSet<String> = escrow.market_denoms.iter().map(|d| d.denom.clone()).collect();
    let options = Options {
        known_denoms: Some(denoms),
        address_prefix: Some(stoa_client::address::PREFIX.into()),
        ..Options::default()
    };
    let sdl = manifest::read(file, mappings, options, tenant.context.is_json())?;
    let (denom, max_rate) = price(&sdl)?;
    let minimum = escrow.market_denoms.iter().find(|d| d.denom == denom);
    let minimum = minimum.and_then(|d| d.min_deposit.parse().ok()).unwrap_or(0);
    let market = tenant.chain.query().market_params().await?;
    let least = least_deposit(minimum, max_rate, &market);
    let deposit = match deposit {
        None => {
            let day = max_rate.checked_mul(DEFAULT_RUNWAY).unwrap_or_default().ceil();
            Coin { denom, amount: least.max(day).to_string() }
        }
        Some(coin) => checked(coin, &denom, least)?,
    };
    let file = std::fs::canonicalize(file)
        .map_err(|e| Failure::new(format!("{}: {e}", file.display())))?;
    Ok(Plan { file, sdl, deposit, max_rate })
}

fn checked(coin: Coin, denom: &str, least: u128) -> Result<Coin, Failure> {
    if coin.denom != denom {
        return Err(Failure::usage(format!(
            "the deposit is in {}, the file's prices are in {denom}; they must be the same",
            coin.denom
        )));
    }
    if coin.amount.parse::<u128>().unwrap_or(0) < least {
        return Err(Failure::usage(format!(
            "a deposit of {} is under what the chain asks for these groups: {least}{denom}",
            show_coin(&coin)
        )));
    }
    Ok(coin)
}

/// The one denom, and the sum of the groups' maximum rates.
fn price(sdl: &SdlFile) -> Result<(String, Dec), Failure> {
    let groups = &sdl.parsed.groups;
    let denoms: BTreeSet<&str> =
        groups.iter().flat_map(|g| &g.resources).map(|r| r.price.denom.as_str()).collect();
    let mut denoms = denoms.into_iter();
    let (Some(denom), None) = (denoms.next(), denoms.next()) else {
        return Err(Failure::new(
            "the file's prices are in several denoms; a deployment is in one: \
             map the others with --denom FROM=TO@PRICE",
        ));
    };
    let sum = groups
        .iter()
        .try_fold(Dec18::default(), |sum, group| sum.plus(group.max_rate()?))
        .ok_or_else(|| Failure::new("the file's prices overflow"))?;
    Ok((denom.to_owned(), Dec::from_atoms(sum.0)))
}

/// What creation asks for, and what a match must find.
fn least_deposit(minimum: u128, rate: Dec, market: &Params) -> u128 {
    let over = |seconds: u64| rate.checked_mul(seconds).unwrap_or_default().ceil();
    let start = over(market.lease_start_deadline);
    let bid_deposit = start.max(market.min_bid_deposit.parse().unwrap_or(0));
    minimum.max(over(MIN_RUNWAY)).max(start.saturating_add(bid_deposit))
}

/// The price and the runway, for people.
fn lines(plan: &Plan) -> Vec<String> {
    let denom = &plan.deposit.denom;
    let month = plan.max_rate.checked_mul(text::MONTH).unwrap_or_default();
    let mut lines = vec![
        format!(
            "at most   {} {denom}/s, {} a month; bids can only be lower",
            plan.max_rate.short(6),
            text::amount(month, denom)
        ),
        format!("escrow    {}", text::coin(&plan.deposit)),
    ];
    if let Some(seconds) = runway(plan) {
        lines.push(format!("runway    {} at that rate", text::seconds(seconds)));
    }
    lines
}

fn runway(plan: &Plan) -> Option<u64> {
    let deposit = Dec::from_atoms(
        plan.deposit.amount.parse::<u128>().ok()?.checked_mul(Dec::whole(1).atoms())?,
    );
    u64::try_from(deposit.times(plan.max_rate)?).ok()
}

/// Says it on stderr before posting.
pub fn tell(plan: &Plan) {
    let version = hex::encode(plan.sdl.parsed.manifest.version());
    let groups = match plan.sdl.parsed.groups.len() {
        1 => "1 group".to_owned(),
        n => format!("{n} groups"),
    };
    out::step(&format!(
        "read {}: {groups}, version {}…",
        plan.file.display(),
        version.get(..12).unwrap_or(&version)
    ));
    for line in lines(plan) {
        out::note(&format!("  {line}"));
    }
}

/// `--dry-run`: what it would cost, on stdout.
pub async fn print_dry_run(tenant: &Tenant, plan: &Plan) -> Result<(), Failure> {
    let fee = fee(tenant, plan).await;
    if tenant.context.is_json() {
        return print_json(plan, fee);
    }
    out::print_lines(&stoa_manifest::summary(&plan.sdl.parsed));
    // The summary has the price already.
    for line in lines(plan).iter().skip(1) {
        out::print_lines(line);
    }
    match fee {
        Ok(fee) => out::print_lines(&format!("fee       {}", text::coin(&fee))),
        Err(error) => out::print_lines(&format!("the chain would refuse it: {error}")),
    }
    Ok(())
}

fn print_json(plan: &Plan, fee: Result<Coin, Failure>) -> Result<(), Failure> {
    let month = plan.max_rate.checked_mul(text::MONTH).unwrap_or_default();
    let (fee, refusal) = match fee {
        Ok(fee) => (Some(show_coin(&fee)), None),
        Err(error) => (None, Some(error.to_string())),
    };
    out::print_json(&json!({
        "version": hex::encode(plan.sdl.parsed.manifest.version()),
        "groups": stoa_manifest::group_specs_json(&plan.sdl.parsed.groups),
        "denom": plan.deposit.denom,
        "max_rate_per_second": plan.max_rate.to_string(),
        "max_cost_per_month": month.to_string(),
        "deposit": show_coin(&plan.deposit),
        "runway_seconds": runway(plan),
        "fee": fee,
        "refusal": refusal,
    }))
}

/// What the transaction would cost. Opens no key.
async fn fee(tenant: &Tenant, plan: &Plan) -> Result<Coin, Failure> {
    let (chain, owner) = (&tenant.chain, &tenant.owner);
    let sequence = chain.query().account(owner).await?.sequence;
    let height = chain.rpc().status().await?.latest_height;
    let message = any(&creation(owner, height, &plan.sdl, plan.deposit.clone())?);
    let (_, certificate) =
        certificate::ensure(&tenant.context, chain.query(), chain.chain_id(), owner).await?;
    let messages = certificate.into_iter().chain([message]).collect();
    let key = tenant.context.key_info()?.public()?;
    let gas = chain.simulate(&key, sequence, messages, "").await?;
    let price = chain.gas_price();
    let fee = price.fee(Gas::default().limit(gas))?;
    Ok(Coin { denom: price.denom.clone(), amount: fee.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_deposit_covers_creation_and_match() {
        let market = Params {
            lease_start_deadline: 600,
            min_bid_deposit: "500000".into(),
            ..Params::default()
        };
        // The parameter rules for cheap deployments, an hour for dear ones.
        assert_eq!(least_deposit(1_000_000, Dec::whole(1), &market), 1_000_000);
        assert_eq!(least_deposit(1_000_000, Dec::whole(1_000), &market), 3_600_000);
        // A small parameter: the match still wants rate × deadline + bid deposit.
        assert_eq!(least_deposit(0, Dec::whole(1), &market), 500_600);
        assert_eq!(least_deposit(0, "0.5".parse().unwrap(), &market), 500_300);
    }

    #[test]
    fn a_deposit_of_ones_own_is_checked() {
        let coin = |t: &str| stoa_client::money::parse_coin(t).unwrap();
        assert!(checked(coin("10ustoa"), "ustoa", 10).is_ok());
        let error = checked(coin("9ustoa"), "ustoa", 10).unwrap_err();
        assert!(error.to_string().contains("10ustoa"));
        assert!(checked(coin("10uatom"), "ustoa", 10).is_err());
    }
}
