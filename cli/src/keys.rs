//! `stoa keys`.

use std::{
    io::{IsTerminal, Read},
    path::PathBuf,
};

use clap::Subcommand;
use serde_json::json;
use stoa_client::keys::{
    new_mnemonic, recover, Algorithm, Backend, KeyInfo, MultisigKey, Passphrase, PublicKey,
    SecretKey,
};
use zeroize::Zeroizing;

use crate::{context::Context, exit::Failure, out};

/// The most that is read of a mnemonic or an armoured key.
const MAX_INPUT: u64 = 64 * 1024;

/// Keys. Passphrases are asked for on the terminal, or come from the file that
/// STOA_PASSPHRASE_FILE names or the descriptor of STOA_PASSPHRASE_FD.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a new key; its mnemonic is shown once. With --multisig: name an account of which some
    /// of several keys sign
    Add {
        name: String,
        /// secp256k1 or ed25519
        #[arg(long, default_value = "secp256k1")]
        algorithm: Algorithm,
        /// The account's keys: names, or public keys as secp256k1:HEX
        #[arg(long, value_name = "KEY,KEY", value_delimiter = ',', requires = "threshold")]
        multisig: Vec<String>,
        /// How many of them must sign
        #[arg(long, value_name = "NUMBER", requires = "multisig")]
        threshold: Option<u32>,
    },
    /// Take a key from its mnemonic, asked for or read from stdin
    Recover {
        name: String,
        #[arg(long, default_value = "secp256k1")]
        algorithm: Algorithm,
    },
    /// List the keys
    #[command(alias = "ls")]
    List,
    /// Show a key's address and public key
    Show {
        /// Name or address
        name: String,
        /// Print only the address
        #[arg(long, short)]
        address: bool,
    },
    /// Delete a key for good
    Delete {
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Write a key as armoured text, under a passphrase of its own
    Export {
        name: String,
        /// Whose first line is that passphrase; asked for where absent
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Take in an armoured key, or a secp256k1 key as 64 hex digits (an operator's key of stoad)
    Import {
        name: String,
        /// The text; `-` is stdin
        file: PathBuf,
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
}

/// Runs it.
pub fn run(context: &Context, command: KeysCommand) -> Result<(), Failure> {
    let store = context.config.key_store();
    match command {
        KeysCommand::Add { name, multisig, threshold: Some(threshold), .. } => {
            add_multisig(context, &name, &multisig, threshold)
        }
        KeysCommand::Add { name, algorithm, .. } => add(context, &name, algorithm),
        KeysCommand::Recover { name, algorithm } => {
            let words = mnemonic_input()?;
            let info = store.add(&name, &recover(&words, "", algorithm)?)?;
            show(context, &info, false)
        }
        KeysCommand::List => list(context),
        KeysCommand::Show { name, address } => show(context, &store.find(&name)?, address),
        KeysCommand::Delete { name, yes } => delete(context, &name, yes),
        KeysCommand::Export { name, passphrase_file } => {
            let text = store.export(&name, &passphrase(passphrase_file))?;
            out::print_lines(&text);
            Ok(())
        }
        KeysCommand::Import { name, file, passphrase_file } => {
            let text = read_input(&file)?;
            let info = match raw_key(&text)? {
                Some(key) => store.add(&name, &key)?,
                None => store.import(&name, &text, &passphrase(passphrase_file))?,
            };
            show(context, &info, false)
        }
    }
}

/// A key that stands there in hex, as stoad keeps an operator's.
fn raw_key(text: &str) -> Result<Option<SecretKey>, Failure> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    if hex::decode_to_slice(text.trim(), bytes.as_mut_slice()).is_err() {
        return Ok(None);
    }
    Ok(Some(SecretKey::from_bytes(Algorithm::Secp256k1, bytes.as_slice())?))
}

fn add_multisig(
    context: &Context,
    name: &str,
    members: &[String],
    threshold: u32,
) -> Result<(), Failure> {
    let store = context.config.key_store();
    let public = |member: &String| -> Result<PublicKey, Failure> {
        if member.contains(':') {
            return Ok(member.parse()?);
        }
        Ok(store.find(member)?.public()?)
    };
    let keys = members.iter().map(public).collect::<Result<_, _>>()?;
    let info = store.add_multisig(name, &MultisigKey::new(threshold, keys)?)?;
    show(context, &info, false)
}

fn add(context: &Context, name: &str, algorithm: Algorithm) -> Result<(), Failure> {
    let words = new_mnemonic()?;
    let key: SecretKey = recover(&words, "", algorithm)?;
    let info = context.config.key_store().add(name, &key)?;
    if context.is_json() {
        let mut value = as_json(&info);
        if let Some(map) = value.as_object_mut() {
            map.insert("mnemonic".into(), json!(words.as_str()));
        }
        return out::print_json(&value);
    }
    show(context, &info, false)?;
    out::note("\nThe key's mnemonic. Write it down now; it is shown only this once:\n");
    out::note(&format!("{}\n", words.as_str()));
    Ok(())
}

fn list(context: &Context) -> Result<(), Failure> {
    let keys = context.config.key_store().list()?;
    if context.is_json() {
        return out::print_json(&keys.iter().map(as_json).collect::<Vec<_>>());
    }
    if context.config.keyring_backend == Backend::Test {
        out::note("these keys are kept UNENCRYPTED (keyring backend `test`): local networks only");
    }
    let mut table = out::table(&["NAME", "ADDRESS", "ALGORITHM"]);
    for key in &keys {
        table.add_row([&key.name, &key.address, &key.algorithm.to_string()]);
    }
    out::print_table(&table);
    Ok(())
}

fn show(context: &Context, info: &KeyInfo, address_only: bool) -> Result<(), Failure> {
    if address_only {
        out::print_lines(&info.address);
        return Ok(());
    }
    if context.is_json() {
        return out::print_json(&as_json(info));
    }
    out::print_lines(&format!(
        "name        {}\naddress     {}\nalgorithm   {}\npublic key  {}",
        info.name, info.address, info.algorithm, info.public_key
    ));
    Ok(())
}

fn delete(context: &Context, name: &str, yes: bool) -> Result<(), Failure> {
    let store = context.config.key_store();
    let info = store.show(name)?;
    if !yes {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::usage("deleting a key is for good: say --yes"));
        }
        eprint!("Delete `{name}` ({}) for good? Type its name: ", info.address);
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map_err(|e| Failure::new(e.to_string()))?;
        if answer.trim() != name {
            return Err(Failure::new("not deleted"));
        }
    }
    store.delete(name)?;
    out::step(&format!("deleted `{name}` ({})", info.address));
    Ok(())
}

fn as_json(info: &KeyInfo) -> serde_json::Value {
    json!({
        "name": info.name,
        "address": info.address,
        "algorithm": info.algorithm.name(),
        "public_key": info.public_key,
    })
}

fn passphrase(file: Option<PathBuf>) -> Passphrase {
    file.map_or(Passphrase::Prompt, Passphrase::File)
}

fn mnemonic_input() -> Result<Zeroizing<String>, Failure> {
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password("Mnemonic (not shown): ")
            .map(Zeroizing::new)
            .map_err(|e| Failure::new(e.to_string()));
    }
    read_stdin()
}

fn read_input(path: &std::path::Path) -> Result<Zeroizing<String>, Failure> {
    if path.as_os_str() == "-" {
        return read_stdin();
    }
    let text = std::fs::read_to_string(path);
    text.map(Zeroizing::new).map_err(|e| Failure::new(format!("{}: {e}", path.display())))
}

fn read_stdin() -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .take(MAX_INPUT)
        .read_to_string(&mut text)
        .map_err(|e| Failure::new(format!("stdin: {e}")))?;
    Ok(text)
}
