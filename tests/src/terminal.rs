//! A program on a pseudo-terminal, and the screen that a person would see.

use std::{num::NonZeroU16, process::ExitStatus, time::Duration};

use anyhow::{bail, Context, Result};
use pty_process::{Pty, Size};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};

/// So wide that no line is broken in two, so high that nothing leaves the screen.
const COLUMNS: u16 = 200;
const ROWS: u16 = 100;

/// How long a program may show nothing new.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running program whose terminal this is. It is killed when this is dropped.
pub struct Terminal {
    child: Child,
    pty: Pty,
    emulator: vt100::Parser,
    shown: String,
}

impl Terminal {
    /// Starts a program; of the command its name, arguments and environment count.
    ///
    /// # Errors
    /// If there is no terminal, or the program does not start.
    pub fn start(command: &Command) -> Result<Self> {
        let (pty, end) = pty_process::open()?;
        pty.resize(Size::new(ROWS, COLUMNS))?;
        let command = command.as_std();
        // Who runs the tests in the background has Ctrl-C ignored, and children inherit that.
        let mut own = pty_process::Command::new("env").arg("--default-signal=INT");
        own = own.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            own = match value {
                Some(value) => own.env(name, value),
                None => own.env_remove(name),
            };
        }
        let own = own.env("TERM", "xterm-256color").env_remove("NO_COLOR").kill_on_drop(true);
        let child = own.spawn(end).with_context(|| format!("{:?}", command.get_program()))?;
        let size = |cells| NonZeroU16::new(cells).context("a screen has some size");
        let emulator = vt100::Parser::new(size(ROWS)?, size(COLUMNS)?, 0);
        Ok(Self { child, pty, emulator, shown: String::new() })
    }

    /// Row by row, for a line that is padded to the whole width ends without a line's end.
    fn screen(&self) -> String {
        let rows = self.emulator.screen().rows(0, COLUMNS);
        let rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
        rows.join("\n").trim_end().to_owned()
    }

    /// The screen once it has changed; None when the program has left it.
    ///
    /// # Errors
    /// If nothing changes for long.
    pub async fn next(&mut self) -> Result<Option<String>> {
        let mut bytes = [0; 4096];
        loop {
            let read = tokio::time::timeout(PATIENCE, self.pty.read(&mut bytes)).await;
            let read = read.with_context(|| format!("nothing more came after\n{}", self.shown))?;
            // A terminal whose last program has ended cannot be read any more.
            let Some(bytes) = read.ok().and_then(|count| bytes.get(..count)) else {
                return Ok(None);
            };
            if bytes.is_empty() {
                return Ok(None);
            }
            self.emulator.process(bytes);
            let screen = self.screen();
            if screen != self.shown {
                self.shown.clone_from(&screen);
                return Ok(Some(screen));
            }
        }
    }

    /// Every screen from now on until one is as wanted, that one included.
    ///
    /// # Errors
    /// If the program ends before.
    pub async fn until(
        &mut self,
        what: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>> {
        let mut screens = Vec::new();
        while let Some(screen) = self.next().await? {
            let found = wanted(&screen);
            screens.push(screen);
            if found {
                return Ok(screens);
            }
        }
        bail!("it ended before this was on its screen: {what}\n{}", self.shown)
    }

    /// Every screen until the program ends, and how it did.
    ///
    /// # Errors
    /// If it does not end.
    pub async fn until_end(mut self) -> Result<(Vec<String>, ExitStatus)> {
        let mut screens = Vec::new();
        while let Some(screen) = self.next().await? {
            screens.push(screen);
        }
        Ok((screens, self.child.wait().await?))
    }

    /// Types Ctrl-C: the terminal signals whoever is in its foreground.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub async fn interrupt(&mut self) -> Result<()> {
        Ok(self.pty.write_all(b"\x03").await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Terminal {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).env("WORD", "drawn");
        Terminal::start(&command).unwrap()
    }

    #[tokio::test]
    async fn what_is_drawn_over_is_gone_and_the_rest_stays() {
        let script = "test -t 2 && echo first; printf '%s once\\r\\033[K%s again\\n' $WORD $WORD";
        let (screens, status) = shell(script).until_end().await.unwrap();
        assert!(status.success());
        assert_eq!(screens.last().unwrap().trim(), "first\ndrawn again");
    }

    #[tokio::test]
    async fn ctrl_c_reaches_the_program() {
        let mut terminal = shell("trap 'echo caught; exit 7' INT; echo ready; sleep 100 & wait");
        terminal.until("ready", |screen| screen.contains("ready")).await.unwrap();
        terminal.interrupt().await.unwrap();
        let (screens, status) = terminal.until_end().await.unwrap();
        assert!(screens.last().unwrap().contains("caught"));
        assert_eq!(status.code(), Some(7));
    }

    #[tokio::test]
    async fn a_program_that_ends_too_early_is_told_with_its_screen() {
        let error = shell("echo sorry").until("glory", |screen| screen.contains("glory")).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("glory") && error.contains("sorry"), "{error}");
    }
}
