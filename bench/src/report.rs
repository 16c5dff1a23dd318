//! The figures: one table for people, one file for programs.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use comfy_table::{presets::UTF8_BORDERS_ONLY, CellAlignment, Table};
use serde::Serialize;

use crate::machine::Machine;

/// Which way a figure improves.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Rates and the like.
    Higher,
    /// Times and the like.
    Lower,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Such as `state.create_bid`.
    pub name: String,
    /// In `unit`.
    pub value: f64,
    /// Such as `bids/s`.
    pub unit: String,
    /// What it should be.
    pub goal: Option<f64>,
    /// Which way it improves.
    pub better: Better,
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    commit: String,
    machine: Machine,
    figures: Vec<Figure>,
}

impl Report {
    /// An empty report of this checkout on this machine.
    pub fn new() -> Result<Self> {
        Ok(Self { commit: commit()?, machine: Machine::read()?, figures: Vec::new() })
    }

    /// Adds a figure.
    pub fn add(&mut self, name: &str, value: f64, unit: &str, goal: Option<f64>, better: Better) {
        let (name, unit) = (name.to_owned(), unit.to_owned());
        self.figures.push(Figure { name, value: rounded(value), unit, goal, better });
    }

    /// The figures for people.
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY);
        table.set_header(["figure", "value", "unit", "goal", ""]);
        for figure in &self.figures {
            let goal = match (figure.goal, figure.better) {
                (None, _) => String::new(),
                (Some(goal), Better::Higher) => format!("at least {goal}"),
                (Some(goal), Better::Lower) => format!("at most {goal}"),
            };
            let value = figure.value.to_string();
            table.add_row([&figure.name, &value, &figure.unit, &goal, verdict(figure)]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// The figures for programs.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn verdict(figure: &Figure) -> &'static str {
    match (figure.goal, figure.better) {
        (None, _) => "",
        (Some(goal), Better::Higher) if figure.value >= goal => "met",
        (Some(goal), Better::Lower) if figure.value <= goal => "met",
        (Some(_), _) => "missed",
    }
}

/// Three significant digits are what a noisy machine can say.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let digits = 10f64.powf(2.0 - value.abs().log10().floor());
    (value * digits).round() / digits
}

fn commit() -> Result<String> {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .output()
        .context("git says which commit is measured; it is not installed")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_to_three_digits() {
        assert_eq!(rounded(123_456.0), 123_000.0);
        assert_eq!(rounded(0.012345), 0.0123);
        assert_eq!(rounded(f64::NAN), 0.0);
    }

    #[test]
    fn a_goal_is_met_in_its_own_direction() {
        let figure = |value, better| Figure {
            name: String::new(),
            value,
            unit: String::new(),
            goal: Some(10.0),
            better,
        };
        assert_eq!(verdict(&figure(11.0, Better::Higher)), "met");
        assert_eq!(verdict(&figure(11.0, Better::Lower)), "missed");
    }
}
