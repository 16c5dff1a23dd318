//! Finding the `cometbft` program.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use super::CometError;

/// Where a user may name the program.
pub const FLAG_HINT: &str = "--cometbft PATH or the environment variable COMETBFT";

/// The release line whose ABCI and block format this node speaks.
const LINE: &str = "0.38.";

/// A CometBFT program of the right version.
#[derive(Debug, Clone)]
pub struct Binary {
    path: PathBuf,
    version: String,
}

impl Binary {
    /// The program at `named`, else the first `cometbft` in PATH.
    ///
    /// # Errors
    /// If there is none, or it is not of the 0.38 line.
    pub fn find(named: Option<&Path>) -> Result<Self, CometError> {
        let path = match named {
            Some(path) if path.is_file() => path.to_owned(),
            Some(path) => return Err(CometError::NotFound(format!("at {}", path.display()))),
            None => search(env::var_os("PATH").as_deref())
                .ok_or_else(|| CometError::NotFound("in PATH".to_owned()))?,
        };
        let version = run(&path, &[OsStr::new("version")])?.trim().to_owned();
        if !version.trim_start_matches('v').starts_with(LINE) {
            return Err(CometError::Version { path, found: version });
        }
        Ok(Self { path, version })
    }

    /// The program's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version that it reports.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Writes the configuration and keys that a home lacks; nothing that exists is changed.
    pub fn init_home(&self, home: &Path) -> Result<(), CometError> {
        run(&self.path, &[OsStr::new("init"), OsStr::new("--home"), home.as_os_str()]).map(drop)
    }

    /// Takes CometBFT's last block back and returns the height that its state then has.
    /// `hard` removes the block itself too.
    pub fn rollback(&self, home: &Path, hard: bool) -> Result<u64, CometError> {
        let mut args = vec![OsStr::new("rollback"), OsStr::new("--home"), home.as_os_str()];
        if hard {
            args.push(OsStr::new("--hard"));
        }
        let said = run(&self.path, &args)?;
        rolled_back_to(&said).ok_or_else(|| CometError::Command {
            command: format!("{} rollback", self.path.display()),
            reason: format!("it does not say to which height: {}", said.trim()),
        })
    }
}

/// The height in `Rolled back state to height 7 and hash AB..`, or in the line of `--hard`.
fn rolled_back_to(said: &str) -> Option<u64> {
    let (_, rest) = said.rsplit_once("to height ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn search(paths: Option<&OsStr>) -> Option<PathBuf> {
    env::split_paths(paths?).map(|dir| dir.join("cometbft")).find(|path| path.is_file())
}

/// Runs a command of the program to its end and returns what it wrote to stdout.
fn run(program: &Path, args: &[&OsStr]) -> Result<String, CometError> {
    let told = args.iter().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let fail = |reason: String| CometError::Command {
        command: format!("{} {told}", program.display()),
        reason,
    };
    let output = Command::new(program).args(args).output().map_err(|e| fail(e.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(fail(format!("{}: {}", output.status, said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::rolled_back_to;

    #[test]
    fn the_height_of_a_rollback_is_read() {
        assert_eq!(rolled_back_to("Rolled back state to height 41 and hash AB12"), Some(41));
        let hard = "Rolled back both state and block to height 7 and hash AB\n";
        assert_eq!(rolled_back_to(hard), Some(7));
        assert_eq!(rolled_back_to("nothing"), None);
    }
}
