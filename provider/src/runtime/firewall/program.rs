//! Runs the programs that set rules.

use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const DEADLINE: Duration = Duration::from_secs(20);

/// Runs a program to its end; its output where it succeeds.
///
/// # Errors
/// What it says, where it fails.
pub(super) async fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    let output = end_of(program, arguments, input).await?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let words = String::from_utf8_lossy(&output.stderr);
            Err(format!("{program} says: {}", words.trim()))
        }
    }
}

pub(super) async fn is_installed(program: &str) -> bool {
    run(program, &["--version"], "").await.is_ok()
}

async fn end_of(program: &str, arguments: &[&str], input: &str) -> Result<Output, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("{program} cannot be run: {e}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that reads nothing has its say in its exit code.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    tokio::time::timeout(DEADLINE, child.wait_with_output())
        .await
        .map_err(|_| format!("{program} did not end in time"))?
        .map_err(|e| format!("{program}: {e}"))
}
