//! What the reader of an SDL file is told: where, what, and what would be right.

use std::fmt;

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is accepted, and something in it is probably not meant.
    Warning,
}

/// A place in the text: line and column count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pos {
    pub line: u32,
    pub column: u32,
}

/// One finding about an SDL file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Line in the file, from 1.
    pub line: u32,
    /// Column in the line, from 1, in characters.
    pub column: u32,
    /// The key that it is about, such as `services.web.expose[0].port`; empty for the whole file.
    pub path: String,
    /// What is wrong. Never holds a password or the value of a variable.
    pub message: String,
    /// What would be right, where that can be said.
    pub help: Option<String>,
}

impl Diagnostic {
    pub(crate) fn new(severity: Severity, at: Pos, path: &str, message: impl Into<String>) -> Self {
        Self {
            severity,
            line: at.line,
            column: at.column,
            path: path.to_owned(),
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn error(at: Pos, path: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, at, path, message)
    }

    pub(crate) fn warning(at: Pos, path: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, at, path, message)
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// True for an error, false for a warning.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The finding as a compiler would print it: `file:line:column: error: path: message`, the
    /// line of `source` with a caret under the column, and the help. The line is left out where
    /// it holds a secret (credentials, variables).
    pub fn render(&self, file: &str, source: &str) -> String {
        let mut out = format!("{file}:{}", self.headline());
        if let Some(line) = self.quotable_line(source) {
            let number = self.line.to_string();
            let gutter = " ".repeat(number.len());
            let indent: String = line
                .chars()
                .take(self.column.saturating_sub(1) as usize)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            out.push_str(&format!("\n {gutter} |\n {number} | {line}\n {gutter} | {indent}^"));
        }
        if let Some(help) = &self.help {
            out.push_str("\n  help: ");
            out.push_str(help);
        }
        out
    }

    fn headline(&self) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let subject = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        format!("{}:{}: {severity}: {subject}{}", self.line, self.column, self.message)
    }

    /// The line in question, unless it may hold a secret or is too long to be of help.
    fn quotable_line<'a>(&self, source: &'a str) -> Option<&'a str> {
        const LONGEST_QUOTED: usize = 200;
        if self.path.contains(".credentials") || self.path.contains(".env") {
            return None;
        }
        let line = source.lines().nth((self.line as usize).checked_sub(1)?)?;
        (line.len() <= LONGEST_QUOTED).then_some(line)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// At most this many findings are kept of each severity: a hostile file shall not make a long list.
const MAX_KEPT: usize = 100;

/// Collects findings while a file is read.
#[derive(Debug, Default)]
pub(crate) struct Diags {
    list: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
}

impl Diags {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let count = if diagnostic.is_error() { &mut self.errors } else { &mut self.warnings };
        *count += 1;
        if *count <= MAX_KEPT {
            self.list.push(diagnostic);
        }
    }

    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// All that was kept, in the order of the file.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|d| (d.line, d.column, d.severity));
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_like_a_compiler() {
        let at = Pos { line: 2, column: 9 };
        let found = Diagnostic::error(at, "services.web.image", "is empty").help("name an image");
        assert_eq!(
            found.to_string(),
            "2:9: error: services.web.image: is empty\n  help: name an image"
        );
        let rendered = found.render("app.yaml", "services:\n  image: \"\"\n");
        assert!(rendered.starts_with("app.yaml:2:9: error: services.web.image"), "{rendered}");
        assert!(rendered.contains("\n   |         ^\n"), "{rendered}");
    }

    #[test]
    fn never_quotes_a_secret_line() {
        let at = Pos { line: 1, column: 1 };
        let found = Diagnostic::warning(at, "services.web.credentials.password", "is short");
        assert!(!found.render("a", "password: hunter2").contains("hunter2"));
    }

    #[test]
    fn keeps_a_bounded_number() {
        let mut diags = Diags::default();
        for _ in 0..500 {
            diags.push(Diagnostic::error(Pos::default(), "", "x"));
        }
        assert!(diags.has_errors());
        assert_eq!(diags.into_sorted().len(), MAX_KEPT);
    }
}
