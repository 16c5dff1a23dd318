//! Validators on a network of their own: who votes changes while the chain goes on.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::{ensure, Context, Result};
use serde_json::{json, Value};
use stoa_client::{
    address::operator_address,
    chain::Sent,
    keys::{new_mnemonic, recover, Algorithm, SecretKey},
    rpc::RpcClient,
    tx::{any, SignedTx, TxOptions},
    Chain,
};
use stoa_localnet::{keys::FAUCET, Localnet, Node, Options, Ports};
use stoa_proto::cosmos::{
    bank::v1beta1::MsgSend,
    distribution::v1beta1::MsgWithdrawDelegatorReward,
    slashing::v1beta1::MsgUnjail,
    staking::v1beta1::{BondStatus, MsgBeginRedelegate, MsgDelegate, MsgUndelegate, Validator},
};
use tokio::process::{Child, Command};

use crate::world::{coin, eventually};

/// ustoa of one unit of voting power.
const POWER: u128 = 1_000_000;

/// Blocks that a validator is looked back on: few, so that absence shows within seconds.
const WINDOW: u64 = 50;

/// How long a change of the validators may take to show.
const SHOWS: Duration = Duration::from_secs(60);

/// How long it may take until a validator and its twin sign one height: it is chance when the twin
/// comes to propose, and both need the machine.
const CLASHES: Duration = Duration::from_secs(150);

/// A network of four validators at 200 ms a block, without providers.
#[derive(Clone)]
pub struct Validators(Arc<Shared>);

struct Shared {
    network: Localnet,
    chain: Chain,
}

impl Validators {
    /// Starts the network.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start(dir: &Path) -> Result<Self> {
        let mut options = Options::new(dir, 4, 0)?;
        options.block_time = Duration::from_millis(200);
        options.downtime_window = WINDOW;
        let network = Localnet::start(options).await?;
        let chain = network.chain().await?;
        Ok(Self(Arc::new(Shared { network, chain })))
    }

    /// The network.
    pub fn network(&self) -> &Localnet {
        &self.0.network
    }

    fn node(&self, index: usize) -> Result<Node> {
        self.network().state().nodes.get(index).cloned().context("no such node")
    }

    /// What was paid for it, in ustoa.
    async fn execute<M: prost::Name>(&self, key: &SecretKey, message: &M) -> Result<u128> {
        let mut fee = 0;
        let note_fee = |signed: &SignedTx, _: &Sent| {
            fee = signed.fee;
            Ok(())
        };
        self.0.chain.execute(key, vec![any(message)], &TxOptions::default(), note_fee).await?;
        Ok(fee)
    }

    async fn validator(&self, operator: &str) -> Result<Validator> {
        Ok(self.0.chain.query().validator(operator).await?)
    }

    /// A new account that has so many ustoa.
    async fn account(&self, amount: u128) -> Result<SecretKey> {
        let key = recover(&new_mnemonic()?, "", Algorithm::Secp256k1)?;
        let faucet = self.network().key(FAUCET)?;
        let gift = MsgSend {
            from_address: faucet.address().to_string(),
            to_address: key.address().to_string(),
            amount: vec![coin(amount)],
        };
        self.execute(&faucet, &gift).await?;
        Ok(key)
    }

    async fn balance(&self, key: &SecretKey) -> Result<u128> {
        let coins = self.0.chain.query().balances(&key.address().to_string()).await?;
        let found = coins.iter().find(|coin| coin.denom == "ustoa");
        Ok(found.map_or(Ok(0), |coin| coin.amount.parse())?)
    }

    /// The engine's own list: voting power by the public key in base64.
    async fn powers(&self, node: &Node) -> Result<Vec<(String, u128)>> {
        let rpc = RpcClient::new(std::slice::from_ref(&node.rpc))?;
        let answer: Value = rpc.call("validators", json!({ "per_page": "100" })).await?;
        let list = answer["validators"].as_array().cloned().unwrap_or_default();
        let one = |v: &Value| {
            let key = v["pub_key"]["value"].as_str()?.to_owned();
            Some((key, v["voting_power"].as_str()?.parse().ok()?))
        };
        Ok(list.iter().filter_map(one).collect())
    }

    /// A validator's voting power to the engine; 0 where it does not vote.
    async fn power(&self, of: &Node) -> Result<u128> {
        let key = consensus_key(&of.home)?;
        let asked = self.network().state().nodes.into_iter().find(|node| node.name != of.name);
        let powers = self.powers(&asked.context("there is one node alone")?).await?;
        Ok(powers.into_iter().find(|(known, _)| *known == key).map_or(0, |(_, power)| power))
    }

    async fn height(&self, node: &Node) -> Result<u64> {
        let rpc = RpcClient::new(std::slice::from_ref(&node.rpc))?;
        Ok(rpc.status().await?.latest_height)
    }
}

/// The operator of a node's validator.
fn operator(node: &Node) -> Result<(SecretKey, String)> {
    let path = node.home.join("config/operator.key");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let key = SecretKey::from_bytes(Algorithm::Secp256k1, &hex::decode(text.trim())?)?;
    let address = operator_address(&key.address().to_string()).context("an operator's address")?;
    Ok((key, address))
}

/// A validator's public key in base64, from CometBFT's own file.
fn consensus_key(home: &Path) -> Result<String> {
    let path = engine_file(home, "priv_validator_key.json")?;
    let file: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    Ok(file["pub_key"]["value"].as_str().context("a public key")?.to_owned())
}

/// A file of CometBFT's below a node's home.
fn engine_file(home: &Path, name: &str) -> Result<PathBuf> {
    let path = home.join("config").join(name);
    path.exists().then_some(path).with_context(|| format!("no {name} below {}", home.display()))
}

pub async fn voting_power_follows_delegations_and_delegations_earn(net: Validators) -> Result<()> {
    let (first, second) = (net.node(0)?, net.node(1)?);
    let ((_, to), (_, other)) = (operator(&first)?, operator(&second)?);
    let delegator = net.account(30 * POWER).await?;
    let me = delegator.address().to_string();
    let (before, before_other) = (net.power(&first).await?, net.power(&second).await?);

    let amount = Some(coin(20 * POWER));
    let delegate =
        MsgDelegate { delegator_address: me.clone(), validator_address: to.clone(), amount };
    net.execute(&delegator, &delegate).await?;
    eventually("the engine counts what is delegated", SHOWS, || async {
        Ok(net.power(&first).await? == before + 20)
    })
    .await?;

    let amount = Some(coin(5 * POWER));
    let redelegate = MsgBeginRedelegate {
        delegator_address: me.clone(),
        validator_src_address: to.clone(),
        validator_dst_address: other.clone(),
        amount: amount.clone(),
    };
    net.execute(&delegator, &redelegate).await?;
    let undelegate =
        MsgUndelegate { delegator_address: me.clone(), validator_address: to.clone(), amount };
    net.execute(&delegator, &undelegate).await?;
    eventually("the engine counts what moved and what left", SHOWS, || async {
        let powers = (net.power(&first).await?, net.power(&second).await?);
        Ok(powers == (before + 10, before_other + 5))
    })
    .await?;

    let earned = || async {
        let rewards = net.0.chain.query().rewards(&me).await?;
        // Whole ustoa, from decimals of 18 places.
        let whole = rewards.total.iter().filter(|coin| coin.denom == "ustoa").map(|coin| {
            let digits = coin.amount.len().saturating_sub(18);
            coin.amount.get(..digits).and_then(|whole| whole.parse().ok()).unwrap_or(0_u128)
        });
        Ok(whole.sum::<u128>() > 1_000)
    };
    eventually("the delegation earns", SHOWS, earned).await?;
    let before = net.balance(&delegator).await?;
    let withdraw = MsgWithdrawDelegatorReward { delegator_address: me, validator_address: to };
    let fee = net.execute(&delegator, &withdraw).await?;
    let after = net.balance(&delegator).await?;
    ensure!(after + fee > before, "withdrawing for {fee} brought {before} to {after}: nothing");
    Ok(())
}

pub async fn a_validator_that_is_down_is_jailed_and_comes_back_by_unjailing(
    net: Validators,
) -> Result<()> {
    let node = net.node(3)?;
    let (key, address) = operator(&node)?;
    let before = net.validator(&address).await?;
    ensure!(net.power(&node).await? > 0, "{} does not vote to begin with", node.name);

    net.network().kill(&node.name)?;
    eventually("who is down is jailed and votes no more", SHOWS, || async {
        Ok(net.validator(&address).await?.jailed && net.power(&node).await? == 0)
    })
    .await?;
    let tokens = |v: &Validator| v.tokens.parse::<u128>().unwrap_or_default();
    let jailed = net.validator(&address).await?;
    ensure!(tokens(&jailed) < tokens(&before), "being down cost nothing: {jailed:?}");
    let at = net.height(&net.node(0)?).await?;
    eventually("the others go on", SHOWS, || async {
        Ok(net.height(&net.node(0)?).await? > at + 3)
    })
    .await?;

    net.network().start_one(&node.name, &[])?;
    eventually("it comes back", SHOWS, || async { Ok(net.height(&node).await? > at) }).await?;
    // Before its time in jail is over this is refused.
    let unjail = MsgUnjail { validator_addr: address.clone() };
    eventually("it can unjail itself", SHOWS, || async {
        net.execute(&key, &unjail).await.map(|_| true)
    })
    .await?;
    eventually("it votes again", SHOWS, || async {
        Ok(net.power(&node).await? > 0
            && net.validator(&address).await?.status() == BondStatus::Bonded)
    })
    .await
}

pub async fn a_validator_that_signs_twice_is_tombstoned_and_slashed(net: Validators) -> Result<()> {
    let node = net.node(2)?;
    let (key, address) = operator(&node)?;
    let tokens = |v: Validator| v.tokens.parse::<u128>().unwrap_or_default();
    let before = tokens(net.validator(&address).await?);
    let twin = Twin::start(&net, &node)?;
    // Transactions that only the twin knows: when it is to propose, its block is another one.
    let stranger = net.account(POWER).await?;
    let twin_rpc = RpcClient::new(std::slice::from_ref(&twin.rpc))?;
    eventually("two signatures of one height are shown", CLASHES, || async {
        let _ = tell_twin(&net, &stranger, &twin_rpc).await;
        Ok(net.validator(&address).await?.jailed)
    })
    .await
    .with_context(|| stoa_localnet::explain_log(&twin.log))?;
    drop(twin);
    let after = tokens(net.validator(&address).await?);
    let lost = before - after;
    ensure!(lost >= before / 25, "signing twice cost {lost} of {before}");
    let infos = net.0.chain.query().signing_infos().await?;
    ensure!(infos.iter().filter(|info| info.tombstoned).count() == 1, "{infos:?}");
    eventually("it votes no more", SHOWS, || async { Ok(net.power(&node).await? == 0) }).await?;
    let refused = net.execute(&key, &MsgUnjail { validator_addr: address }).await;
    ensure!(refused.is_err(), "a tombstoned validator unjailed itself");
    Ok(())
}

async fn tell_twin(net: &Validators, from: &SecretKey, twin: &RpcClient) -> Result<()> {
    let me = from.address().to_string();
    let account = net.0.chain.query().account(&me).await?;
    let message = MsgSend { from_address: me.clone(), to_address: me, amount: vec![coin(1)] };
    let options = TxOptions { gas: stoa_client::tx::Gas::Fixed(200_000), ..TxOptions::default() };
    let (signed, _) = net.0.chain.prepare(from, account, vec![any(&message)], &options).await?;
    twin.broadcast(&signed.bytes).await?;
    Ok(())
}

/// A second node with a validator's key: what no operator may ever run.
struct Twin {
    _process: Child,
    rpc: String,
    log: PathBuf,
}

impl Twin {
    fn start(net: &Validators, of: &Node) -> Result<Self> {
        let options = net.network().options();
        let home = options.dir.join("twin");
        let mut ports = Ports::default();
        let (p2p, rpc, grpc) = (ports.free()?, ports.free()?, ports.free()?);
        let peers: Vec<String> = net.network().state().nodes.into_iter().map(|n| n.peer).collect();
        let stoad = options.programs.path("stoad");
        let run = |arguments: &[&str]| -> Result<()> {
            let mut command = std::process::Command::new(&stoad);
            let output = command.arg("--home").arg(&home).args(arguments).output()?;
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(output.status.success(), "stoad {arguments:?}: {error}");
            Ok(())
        };
        let (p2p, rpc) = (format!("tcp://127.0.0.1:{p2p}"), format!("tcp://127.0.0.1:{rpc}"));
        let grpc = format!("127.0.0.1:{grpc}");
        let block_ms = options.block_time.as_millis().to_string();
        let cometbft = options.programs.cometbft.display().to_string();
        run(&[
            "init",
            "twin",
            "--local",
            "--preset",
            "devnet",
            "--chain-id",
            &options.chain_id,
            "--block-time-ms",
            &block_ms,
            "--p2p-laddr",
            &p2p,
            "--rpc-laddr",
            &rpc,
            "--grpc-laddr",
            &grpc,
            "--persistent-peers",
            &peers.join(","),
            "--cometbft",
            &cometbft,
        ])?;
        for name in ["priv_validator_key.json", "genesis.json"] {
            std::fs::copy(engine_file(&of.home, name)?, engine_file(&home, name)?)?;
        }
        // What it is told it keeps for its own proposals.
        let config = engine_file(&home, "config.toml")?;
        let text = std::fs::read_to_string(&config)?;
        ensure!(text.contains("\nbroadcast = true"), "no `broadcast` in {}", config.display());
        std::fs::write(config, text.replace("\nbroadcast = true", "\nbroadcast = false"))?;
        let log = options.dir.join("logs/twin.log");
        let output = std::fs::File::create(&log)?;
        let process = Command::new(&stoad)
            .arg("start")
            .arg("--home")
            .arg(&home)
            .args(["--cometbft", &cometbft])
            .stdout(Stdio::null())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { _process: process, rpc: rpc.replace("tcp://", "http://"), log })
    }
}
