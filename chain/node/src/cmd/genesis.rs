//! The commands that make a genesis document.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{bail, Context, Result};
use stoa_chain::modules::auth::{Period, Schedule, Vesting};
use stoa_chain::types::{Address, Amount, Coin, Coins, Dec, Denom, STAKE_DENOM};
use stoa_genesis::{CommissionRates, ConsensusKey, Document, Gentx, GentxBody};

use super::{
    args::{AccountArgs, CollectArgs, GentxArgs, ValidateArgs},
    keys, print, tell,
};
use crate::{
    comet::{FileSettings, NodeKey, P2pSettings, ValidatorKey},
    home::{write_whole, Home},
};

/// Longest genesis transaction in bytes.
const MAX_GENTX: u64 = 64 << 10;

/// Reads a document.
pub fn read(path: &Path) -> Result<Document> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Document::from_json(&text).with_context(|| path.display().to_string())
}

fn write(path: &Path, document: &Document) -> Result<()> {
    write_whole(path, document.to_json()?.as_bytes()).with_context(|| path.display().to_string())
}

/// Adds an account.
pub fn add_account(home: &Home, args: &AccountArgs) -> Result<()> {
    let path = home.genesis();
    let mut document = read(&path)?;
    let address: Address = args.address.parse()?;
    document.add_vesting_account(address, parse_coins(&args.coins)?, vesting(args)?)?;
    document.check_state()?;
    write(&path, &document)
}

/// What comes free later, as the flags say.
fn vesting(args: &AccountArgs) -> Result<Option<Vesting>> {
    if !args.vesting_periods.is_empty() {
        return periodic(args).map(Some);
    }
    if args.vesting_start.is_some() && args.vesting_end.is_none() {
        bail!("--vesting-start needs --vesting-end, or a --vesting-period");
    }
    let Some(amount) = &args.vesting_amount else { return Ok(None) };
    let schedule = match (args.vesting_start, args.vesting_end) {
        (Some(start), Some(end)) => Schedule::Continuous { start, end },
        (None, Some(end)) => Schedule::Delayed { end },
        (_, None) if args.vesting_locked => Schedule::Locked,
        (_, None) => bail!("--vesting-amount needs --vesting-end, or --vesting-locked for ever"),
    };
    Ok(Some(Vesting::new(parse_coins(amount)?, schedule)))
}

/// What comes free period after period.
fn periodic(args: &AccountArgs) -> Result<Vesting> {
    let start = args.vesting_start.context("--vesting-period needs --vesting-start")?;
    let mut original = Coins::new();
    let mut periods = Vec::with_capacity(args.vesting_periods.len());
    for text in &args.vesting_periods {
        let period = parse_period(text).with_context(|| format!("--vesting-period {text:?}"))?;
        for coin in period.amount.iter() {
            original.checked_add(&coin).with_context(|| format!("too many {}", coin.denom))?;
        }
        periods.push(period);
    }
    Ok(Vesting::new(original, Schedule::Periodic { start, periods }))
}

/// A period as `2592000:500000ustoa`.
fn parse_period(text: &str) -> Result<Period> {
    let (length, coins) =
        text.split_once(':').context("expected seconds and coins, as 2592000:500000ustoa")?;
    let length = length.parse().with_context(|| format!("{length:?} are no seconds"))?;
    Ok(Period { length, amount: parse_coins(coins)? })
}

/// Coins as `1000000ustoa,500uusd`.
fn parse_coins(text: &str) -> Result<Coins> {
    let mut coins = Coins::new();
    for part in text.split(',').map(str::trim) {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, denom) = part.split_at(end);
        if number.is_empty() || denom.is_empty() {
            bail!("{part:?} is no coin; expected an amount with its denom, as 1000000ustoa");
        }
        let amount = Amount::try_from(number.to_owned()).map_err(anyhow::Error::msg)?;
        let denom = Denom::try_from(denom)?;
        if !coins.of(&denom).is_zero() {
            bail!("{denom} is listed twice");
        }
        coins.set(denom.clone(), Coin::new(denom, amount).amount);
    }
    Ok(coins)
}

/// An amount of the denom that stake is in.
fn parse_stake(flag: &str, text: &str) -> Result<Amount> {
    let coins = parse_coins(text).with_context(|| flag.to_owned())?;
    let amount = coins.of(&Denom::stake());
    if coins.len() != 1 || amount.is_zero() {
        bail!("{flag} {text:?} is no stake; expected such as 1000000{STAKE_DENOM}");
    }
    Ok(amount)
}

fn parse_part(flag: &str, text: &str) -> Result<Dec> {
    text.parse().map_err(|error: String| anyhow::anyhow!("{flag}: {error}"))
}

/// Signs this validator's request.
pub fn gentx(home: &Home, args: &GentxArgs) -> Result<()> {
    let document = read(&home.genesis())?;
    let node_id = NodeKey::read(&home.node_key())?.id().to_owned();
    let key_file = args.operator_key.clone().unwrap_or_else(|| home.operator_key());
    let operator = keys::read_operator(&key_file)?;
    let moniker = match &args.moniker {
        Some(moniker) => moniker.clone(),
        None => FileSettings::read(&home.comet_config())?.moniker().unwrap_or_default().to_owned(),
    };
    let consensus_key = ValidatorKey::read(&home.validator_key())?.public();
    let body = GentxBody {
        chain_id: document.chain_id,
        moniker,
        operator: operator.public().address(),
        consensus_key: ConsensusKey::ed25519(consensus_key),
        amount: parse_stake("--amount", &args.amount)?,
        commission: CommissionRates {
            rate: parse_part("--commission-rate", &args.commission_rate)?,
            max_rate: parse_part("--commission-max-rate", &args.commission_max_rate)?,
            max_change_rate: parse_part(
                "--commission-max-change-rate",
                &args.commission_max_change_rate,
            )?,
        },
        min_self_delegation: parse_stake("--min-self-delegation", &args.min_self_delegation)?,
        peer: args.peer.as_ref().map(|peer| format!("{node_id}@{peer}")).unwrap_or_default(),
    };
    let text = serde_json::to_string_pretty(&Gentx::sign(body, &operator)?)?;
    match &args.output_document {
        Some(path) if path.as_os_str() == "-" => print(&text),
        Some(path) => write_gentx(path, &text),
        None => write_gentx(&home.gentx_dir().join(format!("gentx-{node_id}.json")), &text),
    }
}

fn write_gentx(path: &Path, text: &str) -> Result<()> {
    write_whole(path, format!("{text}\n").as_bytes())
        .with_context(|| path.display().to_string())?;
    tell(&format!("wrote {}", path.display()));
    Ok(())
}

/// Takes all requests of a directory into the document.
pub fn collect(home: &Home, args: &CollectArgs) -> Result<()> {
    let dir = args.gentx_dir.clone().unwrap_or_else(|| home.gentx_dir());
    let gentxs = read_gentxs(&dir)?;
    if gentxs.is_empty() {
        bail!("{} has no request (*.json); make one with gentx", dir.display());
    }
    let path = home.genesis();
    let mut document = read(&path)?;
    document.collect(&gentxs)?;
    document.validate()?;
    write(&path, &document)?;
    set_peers(home, &gentxs)?;
    tell(&format!("{} validators in {}", document.validators.len(), path.display()));
    Ok(())
}

fn read_gentxs(dir: &Path) -> Result<Vec<Gentx>> {
    let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .with_context(|| dir.display().to_string())?;
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "json"));
    paths.sort();
    paths.iter().map(|path| read_gentx(path).with_context(|| path.display().to_string())).collect()
}

fn read_gentx(path: &Path) -> Result<Gentx> {
    if fs::metadata(path)?.len() > MAX_GENTX {
        bail!("a request has at most {MAX_GENTX} bytes");
    }
    Ok(Gentx::from_json(&fs::read_to_string(path)?)?)
}

/// The other validators become persistent peers, where they say how they are reached.
fn set_peers(home: &Home, gentxs: &[Gentx]) -> Result<()> {
    let own = format!("{}@", NodeKey::read(&home.node_key())?.id());
    let peers: Vec<&str> = gentxs
        .iter()
        .map(|gentx| gentx.body.peer.as_str())
        .filter(|peer| !peer.is_empty() && !peer.starts_with(&own))
        .collect();
    if peers.is_empty() {
        return Ok(());
    }
    let path = home.comet_config();
    let mut settings = FileSettings::read(&path)?;
    settings
        .set_p2p(&P2pSettings { persistent_peers: Some(peers.join(",")), ..Default::default() });
    Ok(settings.write(&path)?)
}

/// Says whether a document can begin a chain.
pub fn validate(home: &Home, args: &ValidateArgs) -> Result<()> {
    let path = args.file.clone().unwrap_or_else(|| home.genesis());
    let document = read(&path)?;
    document.validate().with_context(|| path.display().to_string())?;
    tell(&format!("{} can begin chain {}", path.display(), document.chain_id));
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cmd::args::{Cli, Command};

    /// What the flags say of an account of 9ustoa.
    fn asked(flags: &[&str]) -> Result<Option<Vesting>> {
        let address = Address::new([1; 20]).to_string();
        let line = ["stoad", "add-genesis-account", &address, "9ustoa"];
        let cli = Cli::try_parse_from(line.iter().chain(flags))?;
        let Command::AddGenesisAccount(args) = cli.command else { bail!("another command") };
        vesting(&args)
    }

    #[test]
    fn vesting_periods_follow_one_another_and_are_all_that_vests() {
        let start = ["--vesting-start", "100"];
        let periods = ["--vesting-period", "10:3ustoa", "--vesting-period", "7:2ustoa"];
        let vesting = asked(&[start, [periods[0], periods[1]], [periods[2], periods[3]]].concat());
        let vesting = vesting.unwrap().unwrap();
        vesting.validate().unwrap();
        assert_eq!((vesting.original.to_string().as_str(), vesting.end()), ("5ustoa", 117));
        let free = |now| vesting.vested(&Denom::stake(), now).raw();
        assert_eq!([109, 110, 116, 117].map(free), [0, 3, 3, 5]);
    }

    #[test]
    fn vesting_flags_that_do_not_go_together_are_refused() {
        let period = ["--vesting-period", "10:3ustoa"];
        let start = ["--vesting-start", "100"];
        for wrong in [
            &period[..],
            &start,
            &[start, ["--vesting-amount", "3ustoa"]].concat(),
            &[start, period, ["--vesting-end", "200"]].concat(),
            &[start, period, ["--vesting-amount", "3ustoa"]].concat(),
            &[start, ["--vesting-period", "3ustoa"]].concat(),
            &[start, ["--vesting-period", "-5:3ustoa"]].concat(),
            &[start, ["--vesting-period", "5:3"]].concat(),
        ] {
            assert!(asked(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(asked(&[]).unwrap(), None);
    }

    #[test]
    fn coins_are_read_strictly() {
        assert_eq!(parse_coins("5uusd,1000000ustoa").unwrap().to_string(), "1000000ustoa,5uusd");
        for bad in ["", "5", "ustoa", "1.5ustoa", "5ustoa,", "5ustoa,6ustoa", "-5ustoa", "5u"] {
            assert!(parse_coins(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stakes_and_parts_are_read_strictly() {
        assert_eq!(parse_stake("--amount", "1000000ustoa").unwrap().raw(), 1_000_000);
        for bad in ["", "1000000", "0ustoa", "5uusd", "5ustoa,5uusd"] {
            let error = format!("{:#}", parse_stake("--amount", bad).unwrap_err());
            assert!(error.starts_with("--amount"), "{error}");
        }
        assert_eq!(parse_part("--commission-rate", "0.1").unwrap(), Dec::percent(10));
        let error = parse_part("--commission-rate", "10%").unwrap_err().to_string();
        assert!(error.starts_with("--commission-rate") && error.contains("0.05"), "{error}");
    }
}
