//! Where a passphrase comes from: never an argument, for `ps` shows those.

use std::{
    io::{IsTerminal, Read},
    path::PathBuf,
};

use zeroize::Zeroizing;

use super::KeyError;

/// The most that is read from a file or descriptor.
const MAX_BYTES: u64 = 4096;

/// Where a passphrase comes from.
#[derive(Clone)]
pub enum Passphrase {
    /// Asked for on the terminal, without echo.
    Prompt,
    /// The first line of a file (or `/dev/fd/N`).
    File(PathBuf),
    /// Known already; for tests and programs that hold it otherwise.
    Fixed(Zeroizing<String>),
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Prompt => "Prompt",
            Self::File(_) => "File",
            Self::Fixed(_) => "Fixed",
        })
    }
}

impl Passphrase {
    /// `STOA_PASSPHRASE_FILE` names a file, `STOA_PASSPHRASE_FD` an open file
    /// descriptor; without either it is asked for.
    pub fn from_env() -> Self {
        if let Some(path) = std::env::var_os("STOA_PASSPHRASE_FILE") {
            return Self::File(path.into());
        }
        match std::env::var("STOA_PASSPHRASE_FD").ok().and_then(|t| t.parse::<u32>().ok()) {
            Some(fd) => Self::File(format!("/dev/fd/{fd}").into()),
            None => Self::Prompt,
        }
    }

    /// The passphrase that opens something.
    pub fn read(&self, what: &str) -> Result<Zeroizing<String>, KeyError> {
        match self {
            Self::Fixed(text) => Ok(text.clone()),
            Self::File(path) => first_line(path),
            Self::Prompt => prompt(&format!("Passphrase for {what}: ")),
        }
    }

    /// The passphrase that is to seal something new: asked for twice, and at
    /// least 8 characters.
    pub fn choose(&self, what: &str) -> Result<Zeroizing<String>, KeyError> {
        let chosen = self.read(what)?;
        if chosen.chars().count() < 8 {
            return Err(KeyError::NoPassphrase("it must have at least 8 characters".into()));
        }
        if matches!(self, Self::Prompt) && *prompt("The same again: ")? != *chosen {
            return Err(KeyError::NoPassphrase("the two differ".into()));
        }
        Ok(chosen)
    }
}

fn prompt(text: &str) -> Result<Zeroizing<String>, KeyError> {
    if !std::io::stdin().is_terminal() {
        return Err(KeyError::NoPassphrase(
            "there is no terminal to ask on; set STOA_PASSPHRASE_FILE or STOA_PASSPHRASE_FD".into(),
        ));
    }
    rpassword::prompt_password(text)
        .map(Zeroizing::new)
        .map_err(|e| KeyError::NoPassphrase(e.to_string()))
}

fn first_line(path: &std::path::Path) -> Result<Zeroizing<String>, KeyError> {
    let file = std::fs::File::open(path).map_err(KeyError::io(path))?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(KeyError::io(path))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(KeyError::NoPassphrase(format!(
            "the first line of {} is empty",
            path.display()
        )));
    }
    Ok(Zeroizing::new(line.to_owned()))
}
