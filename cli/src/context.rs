//! What a command works with: settings, output, connection, signer.

use stoa_client::{
    config::Settings,
    keys::{KeyInfo, SecretKey},
    proto::types::v1::DeploymentId,
    tx::TxResult,
    Address, Chain, Config,
};

use crate::{
    args::{Globals, Output},
    exit::Failure,
};

/// What a command works with.
#[derive(Clone, Debug)]
pub struct Context {
    pub config: Config,
    pub output: Output,
}

impl Context {
    /// Flags over environment over file.
    pub fn new(globals: &Globals) -> Result<Self, Failure> {
        let settings = Settings {
            chain_id: globals.chain_id.clone(),
            rpc: globals.node.clone(),
            grpc: globals.grpc.clone(),
            gas_price: globals.gas_price.clone(),
            keyring_dir: globals.keyring_dir.clone(),
            keyring_backend: globals.keyring_backend,
            key: globals.from.clone(),
        };
        let home = Config::home(globals.home.clone())?;
        Ok(Self { config: Config::load(home, settings)?, output: globals.output })
    }

    pub fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Connects to the chain.
    pub async fn chain(&self) -> Result<Chain, Failure> {
        Ok(Chain::connect(&self.config).await?)
    }

    /// The key that signs: `--from`, the configured one, or the only one.
    pub fn key_info(&self) -> Result<KeyInfo, Failure> {
        let store = self.config.key_store();
        if let Some(name) = &self.config.key {
            return Ok(store.find(name)?);
        }
        let mut all = store.list()?;
        match (all.pop(), all.len()) {
            (Some(only), 0) => Ok(only),
            (None, _) => Err(Failure::new(
                "there is no key yet: `stoa keys add NAME` makes one, `stoa keys recover NAME` \
                 takes one from its mnemonic",
            )),
            _ => Err(Failure::usage(
                "there are several keys: name the one that signs with --from (or STOA_KEY)",
            )),
        }
    }

    /// Opens it.
    pub fn signer(&self) -> Result<SecretKey, Failure> {
        Ok(self.config.key_store().get(&self.key_info()?.name)?)
    }

    /// The signer's address, without opening the key.
    pub fn address(&self) -> Result<String, Failure> {
        Ok(self.key_info()?.address)
    }

    /// An address, or the name of a key; none is the signer's own.
    pub fn address_of(&self, text: Option<&str>) -> Result<String, Failure> {
        match text {
            None => self.address(),
            Some(text) if text.parse::<Address>().is_ok() => Ok(text.to_owned()),
            Some(name) => {
                let found = self.config.key_store().show(name);
                found.map(|k| k.address).map_err(|_| {
                    Failure::usage(format!("`{name}` is neither an address nor a key's name"))
                })
            }
        }
    }

    /// `owner/dseq`, or the dseq alone of one's own.
    pub fn deployment_id(&self, text: &str) -> Result<DeploymentId, Failure> {
        match text.split_once('/') {
            Some((owner, dseq)) => {
                Ok(DeploymentId { owner: self.address_of(Some(owner))?, dseq: dseq_of(dseq)? })
            }
            None => Ok(DeploymentId { dseq: dseq_of(text)?, owner: self.address()? }),
        }
    }

    /// Says on stderr what a transaction did.
    pub fn tell_tx(&self, what: &str, result: &TxResult) {
        crate::out::step(&format!(
            "{what} (block {}, transaction {}…)",
            result.height,
            result.hash.get(..8).unwrap_or(&result.hash)
        ));
    }
}

fn dseq_of(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| {
        Failure::usage(format!(
            "`{text}` is no deployment: right is OWNER/DSEQ, or the DSEQ of one of your own"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_named_with_or_without_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let globals = Globals {
            home: Some(dir.path().into()),
            keyring_backend: Some(stoa_client::keys::Backend::Test),
            ..Globals::default()
        };
        let context = Context::new(&globals).unwrap();
        assert!(context.key_info().unwrap_err().to_string().contains("keys add"));
        let words = stoa_client::keys::new_mnemonic().unwrap();
        let algorithm = stoa_client::keys::Algorithm::Secp256k1;
        let key = stoa_client::keys::recover(&words, "", algorithm).unwrap();
        context.config.key_store().add("alice", &key).unwrap();
        let own = context.deployment_id("12").unwrap();
        assert_eq!(own.owner, key.address().to_string());
        assert_eq!(context.deployment_id(&format!("{}/12", own.owner)).unwrap(), own);
        assert_eq!(context.deployment_id("alice/12").unwrap(), own);
        assert_eq!(context.deployment_id("x").unwrap_err().code, crate::exit::Code::Usage);
    }
}
