//! Reading, overriding and checking the settings.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use stoa_client::config::{Config as ClientConfig, Settings};
use stoa_client::keys::{Backend, KeyStore, Passphrase, SecretKey};
use stoa_client::money::Dec;

use super::file::{Config, PERSISTENT_CLASSES};
use super::machine::Engine;
use super::market::Strategy;
use crate::runtime::{AddressPool, RuntimeConfig};

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{0}: {1}; `stoa-provider init --config {0}` makes one")]
    Unreadable(String, std::io::Error),
    #[error("{0}: {1}")]
    Malformed(String, String),
    #[error("configuration: {0}")]
    Wrong(String),
}

/// What flags and environment put over the file. The variables are the
/// daemon's own: those of a tenant on the same machine must not make it bid
/// with the tenant's key.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Overrides {
    /// Directory of manifests, blobs and journals.
    #[arg(long, env = "STOA_PROVIDER_DATA_DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// Chain id; nodes of another chain are refused.
    #[arg(long, env = "STOA_PROVIDER_CHAIN_ID", global = true)]
    pub chain_id: Option<String>,
    /// CometBFT RPC addresses, separated by commas.
    #[arg(long, env = "STOA_PROVIDER_RPC", value_delimiter = ',', global = true)]
    pub rpc: Option<Vec<String>>,
    /// gRPC addresses, separated by commas.
    #[arg(long, env = "STOA_PROVIDER_GRPC", value_delimiter = ',', global = true)]
    pub grpc: Option<Vec<String>>,
    /// Such as 0.0025ustoa.
    #[arg(long, env = "STOA_PROVIDER_GAS_PRICE", global = true)]
    pub gas_price: Option<String>,
    /// Name of the key that signs.
    #[arg(long, env = "STOA_PROVIDER_KEY", global = true)]
    pub key: Option<String>,
    /// Directory of the key store.
    #[arg(long, env = "STOA_PROVIDER_KEYRING_DIR", global = true)]
    pub keyring_dir: Option<PathBuf>,
    /// `file` (encrypted) or `test` (in the clear, for local networks).
    #[arg(long, env = "STOA_PROVIDER_KEYRING_BACKEND", global = true)]
    pub keyring_backend: Option<Backend>,
}

impl Config {
    /// Reads the file, puts the overrides over it, and checks all.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable(name.clone(), error))?;
        let config: Self = toml::from_str(&text)
            .map_err(|error| ConfigError::Malformed(name, error.to_string()))?;
        let config = config.with(overrides);
        config.validate()?;
        Ok(config)
    }

    fn with(mut self, overrides: &Overrides) -> Self {
        fn put<T: Clone>(place: &mut T, value: &Option<T>) {
            if let Some(value) = value {
                *place = value.clone();
            }
        }
        put(&mut self.data_dir, &overrides.data_dir);
        put(&mut self.chain.id, &overrides.chain_id);
        put(&mut self.chain.rpc, &overrides.rpc);
        put(&mut self.chain.grpc, &overrides.grpc);
        put(&mut self.chain.gas_price, &overrides.gas_price);
        put(&mut self.key.name, &overrides.key);
        put(&mut self.key.dir, &overrides.keyring_dir);
        put(&mut self.key.backend, &overrides.keyring_backend);
        self
    }

    /// Refuses what could not work, before anything is begun.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |problem: String| Err(ConfigError::Wrong(problem));
        if let Err(error) = stoa_client::gateway::GatewayAddress::parse(&self.gateway.host_uri) {
            return wrong(format!("gateway.host_uri: {error}"));
        }
        if !stoa_tunnel::routes::is_host_name(&self.ingress.domain) {
            return wrong(format!("ingress.domain: `{}` is no host name", self.ingress.domain));
        }
        for class in &self.capacity.storage_classes {
            if !PERSISTENT_CLASSES.contains(&class.as_str()) {
                return wrong(format!(
                    "capacity.storage_classes: `{class}` is none of {}",
                    PERSISTENT_CLASSES.join(", ")
                ));
            }
        }
        self.ports.range()?;
        self.ips.validate()?;
        for (name, own) in [
            ("gateway.listen", self.gateway.listen.ip()),
            ("ingress.listen", self.ingress.listen.ip()),
            ("ports.listen", self.ports.listen),
        ] {
            if self.ips.pool.contains(&own) {
                return wrong(format!("ips.pool: {own} is that of {name}, so it cannot be leased"));
            }
        }
        self.workloads.validate()?;
        self.peering.validate()?;
        self.https.validate()?;
        if let Some(problem) = self.overlay.problem() {
            return wrong(problem);
        }
        self.validate_numbers()?;
        self.validate_bidding()?;
        self.metrics_listen()?;
        self.low_balance()?;
        self.network_pool().map(|_| ())
    }

    fn validate_numbers(&self) -> Result<(), ConfigError> {
        let pricing = &self.pricing;
        let fixed = [
            ("cpu", &pricing.cpu),
            ("memory", &pricing.memory),
            ("endpoint", &pricing.endpoint),
            ("leased_ip", &pricing.leased_ip),
            ("minimum", &pricing.minimum),
        ];
        let by_name = pricing.storage.iter().chain(&pricing.gpu);
        let by_name = by_name.map(|(name, price)| (name.as_str(), price));
        for (name, price) in fixed.into_iter().chain(by_name) {
            price
                .parse::<Dec>()
                .map_err(|error| ConfigError::Wrong(format!("pricing, {name}: {error}")))?;
        }
        let over = &self.overcommit;
        for (name, factor) in
            [("cpu", over.cpu), ("memory", over.memory), ("storage", over.storage)]
        {
            if !(0.01..=1000.0).contains(&factor) {
                let problem = format!("overcommit.{name}: {factor} is not within 0.01 to 1000");
                return Err(ConfigError::Wrong(problem));
            }
        }
        self.max_exposure()?;
        let timing = &self.timing;
        let intervals = [
            timing.poll_seconds,
            timing.withdraw_seconds,
            timing.update_seconds,
            timing.storage_check_seconds,
            self.host_names.check_seconds,
        ];
        if intervals.contains(&0) {
            return Err(ConfigError::Wrong("timing: no interval may be 0".into()));
        }
        Ok(())
    }

    fn validate_bidding(&self) -> Result<(), ConfigError> {
        let wrong = |problem: String| Err(ConfigError::Wrong(problem));
        let bidding = &self.bidding;
        if bidding.strategy == Strategy::Script && !bidding.script.is_absolute() {
            return wrong(format!(
                "bidding.script: `{}` is no absolute path",
                bidding.script.display()
            ));
        }
        if bidding.script_timeout_seconds == 0 || bidding.script_parallel == 0 {
            return wrong(
                "bidding: script_timeout_seconds and script_parallel are at least 1".into(),
            );
        }
        let nodes = self.chain.rpc.len().max(self.chain.grpc.len()).max(1);
        if !(1..=nodes).contains(&self.chain.min_answers) {
            return wrong(format!(
                "chain.min_answers: {} is not within 1 and the number of addresses, {nodes}",
                self.chain.min_answers
            ));
        }
        Ok(())
    }

    /// Where metrics are served; none: nowhere.
    pub fn metrics_listen(&self) -> Result<Option<SocketAddr>, ConfigError> {
        match self.metrics.listen.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                ConfigError::Wrong(format!(
                    "metrics.listen: `{text}` is no address; right is such as 127.0.0.1:9464"
                ))
            }),
        }
    }

    /// Whole units under which the balance is low; 0: never.
    pub fn low_balance(&self) -> Result<u128, ConfigError> {
        match self.money.low_balance.as_str() {
            "" => Ok(0),
            text => text.parse().map_err(|_| {
                ConfigError::Wrong(format!("money.low_balance: `{text}` is no whole number"))
            }),
        }
    }

    /// Deposits in open bids at a time; none: no limit.
    pub fn max_exposure(&self) -> Result<Option<u128>, ConfigError> {
        match self.limits.max_exposure.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                ConfigError::Wrong(format!("limits.max_exposure: `{text}` is no whole number"))
            }),
        }
    }

    /// Where workloads' networks come from.
    pub fn network_pool(&self) -> Result<AddressPool, ConfigError> {
        self.engine.pool()
    }

    /// As the client library takes it.
    pub fn client(&self) -> ClientConfig {
        let settings = Settings {
            chain_id: Some(self.chain.id.clone()),
            rpc: Some(self.chain.rpc.clone()),
            grpc: Some(self.chain.grpc.clone()),
            gas_price: Some(self.chain.gas_price.clone()),
            keyring_dir: Some(self.key.dir.clone()),
            keyring_backend: Some(self.key.backend),
            key: Some(self.key.name.clone()),
        };
        ClientConfig::settle(self.data_dir.clone(), settings)
    }

    /// As the runtime takes it.
    pub fn runtime(&self, provider: &str) -> Result<RuntimeConfig, ConfigError> {
        let mut runtime = self.engine.runtime(provider)?;
        runtime.image_limits.archive_bytes = self.storage.max_blob.0;
        self.workloads.put_into(&mut runtime);
        Ok(runtime)
    }

    /// The key store that it names.
    pub fn key_store(&self) -> KeyStore {
        KeyStore::new(&self.key.dir, self.key.backend, Passphrase::from_env())
    }

    /// The key that signs.
    pub fn secret_key(&self) -> Result<SecretKey, stoa_client::keys::KeyError> {
        self.key_store().get(&self.key.name)
    }
}

impl Engine {
    /// How the runtime uses it.
    pub fn runtime(&self, provider: &str) -> Result<RuntimeConfig, ConfigError> {
        let mut runtime = RuntimeConfig::new(provider);
        runtime.socket = self.socket.clone();
        runtime.pool = self.pool()?;
        runtime.stop_grace = std::time::Duration::from_secs(self.stop_grace_seconds);
        Ok(runtime)
    }

    fn pool(&self) -> Result<AddressPool, ConfigError> {
        let pool = self.network_pool.parse();
        pool.map_err(|error| ConfigError::Wrong(format!("engine.network_pool: {error}")))
    }
}
