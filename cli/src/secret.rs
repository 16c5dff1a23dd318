//! `stoa secret`: values that the file names and does not hold.
//!
//! They lie in `<home>/secrets/`, one file each, 0600; where the keyring is
//! encrypted, under a key that follows from the account's, so that the same
//! passphrase opens both.

use std::{
    io::Read,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use serde_json::json;
use stoa_client::sealing::{Value, Values, MAX_VALUE};
use stoa_manifest::{is_secret_name, Manifest};
use zeroize::Zeroizing;

use crate::{context::Context, exit::Code, exit::Failure, out, text};

mod store;

pub use store::Secrets;

/// Keeps secrets here, and sends them.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Keep a value, from stdin or a file; it replaces the one before
    Set(SetArgs),
    /// Names of those that are kept
    List,
    /// Forget one
    Remove {
        /// Its name
        name: String,
    },
    /// Give the values to the providers of a deployment that runs; what uses a changed one
    /// is started anew
    Send(SendArgs),
}

/// Arguments of `stoa secret set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// As the file names it: env `PASSWORD=secret://NAME`
    pub name: String,
    /// Where the value is; without it, stdin. One line break at the end is not part of it
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
}

/// Arguments of `stoa secret send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// OWNER/DSEQ, or DSEQ of one's own
    pub id: String,
    /// Seconds that providers have to serve with them
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub timeout: u64,
}

/// Runs one.
pub async fn run(context: &Context, command: SecretCommand) -> Result<(), Failure> {
    match command {
        SecretCommand::Set(arguments) => set(context, &arguments),
        SecretCommand::List => list(context),
        SecretCommand::Remove { name } => remove(context, &name),
        SecretCommand::Send(arguments) => crate::deploy::send_secrets(context, arguments).await,
    }
}

fn set(context: &Context, arguments: &SetArgs) -> Result<(), Failure> {
    check_name(&arguments.name)?;
    let value = match &arguments.from_file {
        Some(path) => {
            let file = std::fs::File::open(path);
            read(file.map_err(|e| Failure::new(format!("{}: {e}", path.display())))?)
        }
        None => read(std::io::stdin().lock()),
    }?;
    value.check()?;
    Secrets::of(context)?.set(&arguments.name, &value)?;
    out::step(&format!(
        "secret {} is kept; `stoa deploy`, `stoa update` and `stoa secret send` \
                        give it to providers",
        arguments.name
    ));
    Ok(())
}

/// A value from its beginning to its end, without its last line break.
fn read(from: impl Read) -> Result<Value, Failure> {
    let mut bytes = Zeroizing::new(vec![]);
    let limit = MAX_VALUE as u64 + 2;
    from.take(limit).read_to_end(&mut bytes).map_err(|e| Failure::new(format!("reading: {e}")))?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::new("a secret is text (UTF-8); encode other bytes, say in base64"))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::new("the value is empty"));
    }
    Ok(Value::new(text.to_owned()))
}

fn list(context: &Context) -> Result<(), Failure> {
    let kept = Secrets::of(context)?.list()?;
    if context.is_json() {
        let all: Vec<_> =
            kept.iter().map(|one| json!({ "name": one.name, "set_at": one.set_at })).collect();
        return out::print_json(&json!(all));
    }
    if kept.is_empty() {
        out::note("no secret is kept here; `stoa secret set NAME` keeps one");
    }
    for one in kept {
        let when = text::when(one.set_at, text::now());
        out::print_lines(&format!("{:<32} set {when}", one.name));
    }
    Ok(())
}

fn remove(context: &Context, name: &str) -> Result<(), Failure> {
    check_name(name)?;
    match Secrets::of(context)?.remove(name)? {
        true => {
            out::step(&format!("secret {name} is forgotten here; providers keep what they have"));
            Ok(())
        }
        false => Err(Failure::with(Code::NotFound, format!("no secret {name} is kept here"))),
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    match is_secret_name(name) {
        true => Ok(()),
        false => Err(Failure::usage(
            "a secret's name is 1 to 63 of a-z, 0-9, `-`, `_` and `.`, with a letter or digit at \
             both ends",
        )),
    }
}

/// The values that a manifest names, all of them.
///
/// # Errors
/// Those that are not kept here, each by its name.
pub fn values_of(context: &Context, manifest: &Manifest) -> Result<Values, Failure> {
    let mut names: Vec<&str> = manifest.groups.iter().flat_map(|g| g.secrets()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Ok(Values::default());
    }
    let mut secrets = Secrets::of(context)?;
    let missing: Vec<&str> = names.iter().copied().filter(|name| !secrets.has(name)).collect();
    if let Some(first) = missing.first() {
        return Err(Failure::with(
            Code::NotFound,
            format!(
                "the file names secrets that are not kept here: {}; keep each with `stoa secret \
                 set {first} < FILE`, then run this again",
                missing.join(", ")
            ),
        ));
    }
    names.into_iter().map(|name| Ok((name.to_owned(), secrets.get(name)?))).collect()
}

/// A private directory.
fn make_dir(path: &std::path::Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A private file that is to be written anew.
fn private(path: &std::path::Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_loses_one_line_break_and_nothing_else() {
        let of = |text: &str| read(text.as_bytes()).map(|value| value.expose().to_owned());
        assert_eq!(of("x\n").unwrap(), "x");
        assert_eq!(of("x\r\n").unwrap(), "x");
        assert_eq!(of(" x \n\n").unwrap(), " x \n");
        assert!(of("\n").is_err());
        assert!(read(&[0xff_u8][..]).is_err());
        let long = read("x".repeat(MAX_VALUE + 1).as_bytes()).unwrap();
        assert!(long.check().is_err());
    }
}
