//! Documents, requests, and how they go wrong.

use stoa_chain::{
    modules::{
        auth::{Schedule, Vesting},
        staking::Status,
    },
    types::{Address, Amount, Coin, Coins, Dec, Denom},
};
use time::OffsetDateTime;

use crate::{
    CommissionRates, ConsensusKey, Document, Gentx, GentxBody, OperatorKey, Preset, ONE_VOTE,
};

/// What each operator has.
const FUNDS: u128 = 50_000_000;

fn coins(amount: u128) -> Coins {
    let denom = Denom::try_from("ustoa").unwrap();
    [Coin::new(denom, Amount::from_raw(amount))].into_iter().collect()
}

fn operator(seed: u8) -> OperatorKey {
    OperatorKey::from_bytes([seed; 32]).unwrap()
}

fn body(seed: u8) -> GentxBody {
    GentxBody {
        chain_id: "stoa-test".to_owned(),
        moniker: format!("validator {seed}"),
        operator: operator(seed).public().address(),
        consensus_key: ConsensusKey::ed25519([seed; 32]),
        amount: Amount::from_raw(10_000_000),
        commission: CommissionRates {
            rate: Dec::percent(10),
            max_rate: Dec::percent(20),
            max_change_rate: Dec::percent(1),
        },
        min_self_delegation: Amount::from_raw(1),
        peer: String::new(),
    }
}

fn gentx(seed: u8) -> Gentx {
    Gentx::sign(body(seed), &operator(seed)).unwrap()
}

/// A document with accounts of the operators 1 to 3.
fn document() -> Document {
    let mut document = Document::new("stoa-test", OffsetDateTime::UNIX_EPOCH, Preset::Devnet);
    for seed in 1..=3 {
        document.add_account(operator(seed).public().address(), coins(FUNDS)).unwrap();
    }
    document
}

fn whole() -> Document {
    let mut document = document();
    document.collect(&[gentx(1), gentx(2)]).unwrap();
    document
}

#[test]
fn a_document_reads_back_as_it_was_written() {
    let document = whole();
    document.validate().unwrap();
    let text = document.to_json().unwrap();
    assert_eq!(Document::from_json(&text).unwrap(), document);
    assert!(text.contains(r#""initial_height": "1""#), "numbers are strings: {text}");
    assert!(text.contains(r#""genesis_time": "1970-01-01T00:00:00Z""#), "{text}");
}

#[test]
fn chains_begin_with_every_preset() {
    for preset in ["devnet", "mainnet"] {
        let preset: Preset = preset.parse().unwrap();
        Document::new("stoa-test", OffsetDateTime::UNIX_EPOCH, preset).check_state().unwrap();
    }
    assert!("testnet".parse::<Preset>().unwrap_err().contains("devnet and mainnet"));
    let windows = |preset: Preset| preset.app_state().market.params.default_bid_window;
    assert!(windows(Preset::Devnet) < windows(Preset::Mainnet));
}

#[test]
fn unknown_and_missing_fields_are_refused() {
    let text = whole().to_json().unwrap();
    let extra = text.replacen('{', r#"{"extra": 1,"#, 1);
    assert!(Document::from_json(&extra).unwrap_err().to_string().contains("extra"));
    let error = Document::from_json("{}").unwrap_err().to_string();
    assert!(error.contains("genesis_time"), "{error}");
}

fn one_gas() -> stoa_chain::modules::consensus::Params {
    stoa_chain::modules::consensus::Params { max_block_gas: None, ..Default::default() }
}

#[test]
fn an_exported_state_gives_the_engine_what_governance_has_set() {
    let mut document = whole();
    let mut state = document.app_state.clone();
    state.consensus.params = Some(one_gas());
    document.adopt_state(state);
    assert_eq!(document.consensus_params.block.max_gas, -1);
    assert_eq!(document.app_state.consensus.params, None);
    assert_eq!(document.consensus_params.to_state(), Ok(one_gas()));
    document.validate().unwrap();
}

#[test]
fn every_field_is_looked_at() {
    type Spoil = fn(&mut Document);
    let cases: [(Spoil, &str); 18] = [
        (|d| d.chain_id = "a b".to_owned(), "chain_id"),
        (|d| d.initial_height = 0, "initial_height"),
        (|d| d.app_hash = "00".to_owned(), "app_hash"),
        (|d| d.consensus_params.block.max_bytes = 5, "block.max_bytes"),
        (|d| d.consensus_params.block.max_gas = 0, "block.max_gas"),
        (|d| d.consensus_params.evidence.max_age_duration = 0, "evidence"),
        (|d| d.consensus_params.evidence.max_bytes = i64::MAX, "evidence.max_bytes"),
        (|d| d.consensus_params.validator.pub_key_types.clear(), "pub_key_types"),
        (|d| d.app_state.consensus.params = Some(one_gas()), "app_state.consensus.params"),
        (|d| d.validators.clear(), "collect-gentxs"),
        (|d| d.validators[1].power = 0, "validators[1]: power 0"),
        (|d| d.validators[1].pub_key = d.validators[0].pub_key.clone(), "validators[1]: address"),
        (|d| d.validators[0].pub_key.value = "AAAA".to_owned(), "3 bytes"),
        (|d| d.validators[0].power = i64::MAX, "sums to more"),
        (|d| d.app_state.bank.supply = coins(1), "app_state"),
        (|d| d.validators[0].power += 1, "app_state.staking says 10"),
        (|d| drop(d.validators.pop()), "votes by app_state.staking"),
        (|d| d.app_state.staking.validators[0].jailed = true, "app_state"),
    ];
    for (spoil, expected) in cases {
        let mut document = whole();
        spoil(&mut document);
        let error = document.validate().unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn accounts_add_up_and_stand_once() {
    let mut document = document();
    assert_eq!(document.app_state.bank.supply, coins(3 * FUNDS));
    assert_eq!(document.app_state.auth.next_number, 3);
    let accounts = &document.app_state.auth.accounts;
    assert!(accounts.is_sorted_by_key(|known| known.address));
    let known = operator(1).public().address();
    let refused = |document: &mut Document, address, coins| {
        let before = document.clone();
        let error = document.add_account(address, coins).unwrap_err().to_string();
        assert_eq!(*document, before, "a refusal changes nothing");
        error
    };
    assert!(refused(&mut document, known, coins(1)).contains("already"));
    let new = Address::new([9; 20]);
    assert!(refused(&mut document, new, Coins::new()).contains("no coins"));
    assert!(refused(&mut document, new, coins(u128::MAX)).contains("more than may exist"));
}

#[test]
fn the_order_of_requests_does_not_matter() {
    let (mut one, mut other) = (document(), document());
    one.collect(&[gentx(1), gentx(2), gentx(3)]).unwrap();
    other.collect(&[gentx(3), gentx(1), gentx(2)]).unwrap();
    assert_eq!(one, other);
    one.validate().unwrap();
}

#[test]
fn wrong_requests_are_refused() {
    let refusal = |gentxs: &[Gentx]| {
        let mut document = document();
        let before = document.clone();
        let error = document.collect(gentxs).unwrap_err().to_string();
        assert_eq!(document, before, "a refusal changes nothing");
        error
    };
    let mut changed = gentx(1);
    changed.body.amount = Amount::from_raw(20_000_000);
    assert!(refusal(&[changed]).contains("signature does not fit"));
    let mut stolen = gentx(1);
    stolen.public_key = operator(2).public();
    assert!(refusal(&[stolen]).contains("the operator is"));
    assert!(refusal(&[gentx(4)]).contains("no account"));
    assert!(refusal(&[gentx(1), gentx(1)]).contains("another request"));
    let shared = GentxBody { consensus_key: body(1).consensus_key, ..body(2) };
    let shared = Gentx::sign(shared, &operator(2)).unwrap();
    assert!(refusal(&[gentx(1), shared]).contains("same consensus key"));
    let other = GentxBody { chain_id: "other".to_owned(), ..body(1) };
    let other = Gentx::sign(other, &operator(1)).unwrap();
    assert!(refusal(&[other]).contains("meant for chain other"));
    let greedy = GentxBody { amount: Amount::from_raw(FUNDS + 1), ..body(1) };
    let greedy = Gentx::sign(greedy, &operator(1)).unwrap();
    assert!(refusal(&[greedy]).contains("has 50000000ustoa, less than 50000001ustoa"));
    type Spoil = fn(&mut GentxBody);
    let cases: [(Spoil, &str); 6] = [
        (|b| b.amount = Amount::from_raw(ONE_VOTE.raw() - 1), "less than one vote"),
        (|b| b.min_self_delegation = Amount::ZERO, "least self-delegation"),
        (|b| b.min_self_delegation = Amount::from_raw(10_000_001), "least self-delegation"),
        (|b| b.commission.rate = Dec::percent(21), "maximum"),
        (|b| b.commission.max_rate = Dec::percent(101), "which is all"),
        (|b| b.moniker = "two\nlines".to_owned(), "moniker"),
    ];
    for (spoil, expected) in cases {
        let mut body = body(1);
        spoil(&mut body);
        let error = Gentx::sign(body, &operator(1)).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert!(Gentx::sign(body(1), &operator(2)).is_err());
}

#[test]
fn requests_read_back_and_keys_stay_hidden() {
    let text = serde_json::to_string(&gentx(1)).unwrap();
    assert_eq!(Gentx::from_json(&text).unwrap(), gentx(1));
    assert!(Gentx::from_json("{}").is_err());
    let shown = format!("{:?}", operator(1));
    assert!(!shown.contains(&hex::encode([1; 32])) && shown.contains("stoa1"), "{shown}");
    assert!(OperatorKey::from_bytes([0; 32]).is_err());
}

#[test]
fn what_an_operator_delegates_comes_out_of_its_account_and_counts() {
    let mut document = document();
    let larger = GentxBody { amount: Amount::from_raw(12_999_999), ..body(2) };
    let larger = Gentx::sign(larger, &operator(2)).unwrap();
    document.collect(&[gentx(1), larger]).unwrap();
    assert_eq!(document.app_state.bank.supply, coins(3 * FUNDS), "nothing begins to exist");
    let balance = |seed: u8| {
        let whose = operator(seed).public().address();
        let accounts = &document.app_state.auth.accounts;
        accounts.iter().find(|known| known.address == whose).unwrap().account.balances.clone()
    };
    assert_eq!(balance(1), coins(FUNDS - 10_000_000));
    assert_eq!(balance(2), coins(FUNDS - 12_999_999));
    assert_eq!(balance(3), coins(FUNDS));
    let powers: Vec<_> = document.validators.iter().map(|v| (v.name.as_str(), v.power)).collect();
    assert_eq!(powers, [("validator 2", 12), ("validator 1", 10)]);
    let state = &document.app_state.staking;
    assert!(state.validators.iter().all(|found| found.status == Status::Bonded));
    assert!(state.validators.is_sorted_by_key(|found| found.operator));
    assert_eq!(state.validators[0].commission.rate, Dec::percent(10));
    document.validate().unwrap();
}

#[test]
fn requests_are_collected_again_with_the_same_result() {
    let mut document = document();
    document.collect(&[gentx(1), gentx(2), gentx(3)]).unwrap();
    document.collect(&[gentx(1), gentx(2)]).unwrap();
    assert_eq!(document, whole());
}

#[test]
fn locked_coins_of_an_operator_are_delegated_first() {
    let mut document = document();
    let account = &mut document.app_state.auth.accounts[0];
    let whose = account.address;
    account.account.vesting = Some(Vesting::new(coins(6_000_000), Schedule::Locked));
    let seed = (1..=3).find(|seed| operator(*seed).public().address() == whose).unwrap();
    let before = document.clone();
    document.collect(&[gentx(seed)]).unwrap();
    let vesting = document.app_state.auth.accounts[0].account.vesting.clone().unwrap();
    assert_eq!(vesting.delegated_vesting, coins(6_000_000));
    assert_eq!(vesting.delegated_free, coins(4_000_000));
    document.validate().unwrap();
    document.collect(&[]).unwrap();
    assert_eq!(document, before);
}

#[test]
fn validators_of_an_export_stand() {
    let mut document = whole();
    let operator = document.app_state.staking.validators[0].operator;
    let power = stoa_chain::modules::staking::LastPower { operator, power: 10 };
    document.app_state.staking.last_powers.push(power);
    let power = stoa_chain::modules::staking::LastPower {
        operator: document.app_state.staking.validators[1].operator,
        power: 10,
    };
    document.app_state.staking.last_powers.push(power);
    document.list_validators().unwrap();
    document.validate().unwrap();
    let error = document.collect(&[gentx(1)]).unwrap_err().to_string();
    assert!(error.contains("of an export stand"), "{error}");
}
