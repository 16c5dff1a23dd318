//! Telling what happens, in numbered steps.

use std::{
    cell::Cell,
    io::{IsTerminal, Write},
    time::Instant,
};

/// Who tells.
#[derive(Debug)]
pub struct Narrator {
    began: Instant,
    step: Cell<u32>,
    of: u32,
    colors: bool,
}

impl Narrator {
    /// A story of so many steps.
    pub fn new(steps: u32) -> Self {
        let colors = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { began: Instant::now(), step: Cell::new(0), of: steps, colors }
    }

    /// The next step.
    pub fn step(&self, title: &str) {
        self.step.set(self.step.get() + 1);
        let seconds = self.began.elapsed().as_secs();
        let head = format!("[{}/{}] {title}", self.step.get(), self.of);
        self.line("");
        self.line(&format!("{} {}", self.bold(&head), self.faint(&format!("({seconds} s)"))));
    }

    /// Something that happens in it.
    pub fn say(&self, text: &str) {
        for line in text.lines() {
            self.line(&format!("      {line}"));
        }
    }

    /// A command that is run, as one would type it.
    pub fn command(&self, command: &str) {
        self.line(&format!("      {}", self.bold(&format!("$ {command}"))));
    }

    /// How long it took until now.
    pub fn seconds(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    fn line(&self, text: &str) {
        // A closed pipe is the reader's choice.
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }

    fn bold(&self, text: &str) -> String {
        self.wrap("1", text)
    }

    fn faint(&self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn wrap(&self, code: &str, text: &str) -> String {
        if self.colors {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
