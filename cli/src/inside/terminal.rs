//! This side's terminal and stdin.

use std::io::{IsTerminal, Read};

use crossterm::terminal;
use stoa_proto::gateway::v1::TerminalSize;
use tokio::sync::mpsc;

/// Bytes read at once.
const PIECE: usize = 16 << 10;

/// The terminal hands everything over as it is typed, until this is dropped.
pub struct Raw(());

impl Raw {
    pub fn enter() -> std::io::Result<Self> {
        terminal::enable_raw_mode()?;
        Ok(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = terminal::disable_raw_mode();
    }
}

/// Whether a person types and reads here.
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Lines and columns; none where there is no terminal.
pub fn size() -> Option<TerminalSize> {
    let (columns, rows) = terminal::size().ok()?;
    Some(TerminalSize { rows: rows.into(), columns: columns.into() })
}

/// What comes on stdin; closed at its end. Read by a thread that the end of
/// the program does not wait for.
pub fn stdin() -> mpsc::Receiver<Vec<u8>> {
    let (to, from) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = vec![0; PIECE];
        loop {
            match stdin.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    if to.blocking_send(buffer[..count].to_vec()).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
    from
}
