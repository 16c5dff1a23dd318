//! Printing: tables and JSON to stdout, steps to stderr.

use std::io::{IsTerminal, Write};

use comfy_table::{presets, ContentArrangement, Table};
use serde::Serialize;

use crate::exit::Failure;

/// A table without lines, cells as wide as they are on a pipe.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(header.iter().copied());
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

/// Prints a table, columns two spaces apart.
pub fn print_table(table: &Table) {
    let mut table = table.clone();
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    print_lines(&table.to_string());
}

/// Prints lines without the spaces at their ends.
pub fn print_lines(text: &str) {
    let mut stdout = std::io::stdout().lock();
    for line in text.lines() {
        // A closed pipe (`| head`) is the reader's choice.
        if writeln!(stdout, "{}", line.trim_end()).is_err() {
            return;
        }
    }
}

/// Prints JSON, indented.
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Failure::new(e.to_string()))?;
    print_lines(&text);
    Ok(())
}

/// Prints JSON in one line, for streams.
pub fn print_json_line(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|e| Failure::new(e.to_string()))?;
    print_lines(&text);
    Ok(())
}

/// Something is done.
pub fn step(text: &str) {
    eprintln!("✓ {text}");
}

/// Something is under way.
pub fn doing(text: &str) {
    eprintln!("… {text}");
}

/// Something else.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// Whether stderr may be redrawn.
pub fn is_live() -> bool {
    std::io::stderr().is_terminal()
}
