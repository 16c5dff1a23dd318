//! The figures: one table for people, one file for programs.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use comfy_table::{presets::UTF8_BORDERS_ONLY, CellAlignment, Table};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// Which way a figure improves.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Rates and the like.
    Higher,
    /// Times and the like.
    Lower,
}

/// One figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// Of which commit it was taken.
    #[serde(default)]
    pub commit: String,
}

/// All figures of a machine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    machine: Machine,
    figures: Vec<Figure>,
    #[serde(skip)]
    commit: String,
}

impl Report {
    /// An empty report of this checkout on this machine.
    pub fn new() -> Result<Self> {
        Ok(Self { commit: commit()?, machine: Machine::read()?, figures: Vec::new() })
    }

    /// Adds a figure.
    pub fn add(&mut self, name: &str, value: f64, unit: &str, goal: Option<f64>, better: Better) {
        let (name, unit) = (name.to_owned(), unit.to_owned());
        let (value, commit) = (rounded(value), self.commit.clone());
        self.figures.push(Figure { name, value, unit, goal, better, commit });
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

    /// Takes over what an earlier run on this machine measured and this one
    /// did not, in that one's order.
    pub fn keep_others_of(&mut self, path: &Path) -> Result<()> {
        let Ok(text) = fs::read_to_string(path) else { return Ok(()) };
        let before: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is of another form: remove it", path.display()))?;
        if before.machine != self.machine {
            return Ok(());
        }
        let mut fresh = std::mem::take(&mut self.figures);
        for old in before.figures {
            let anew = fresh.iter().position(|figure| figure.name == old.name);
            self.figures.push(anew.map_or(old, |at| fresh.remove(at)));
        }
        self.figures.append(&mut fresh);
        Ok(())
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
    fn a_run_of_some_figures_keeps_the_others_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("figures.json");
        let run = |commit: &str, names: &[&str]| {
            let machine = Machine::read().unwrap();
            let mut report = Report { machine, figures: vec![], commit: commit.into() };
            names.iter().for_each(|name| report.add(name, 1.0, "s", None, Better::Lower));
            report.keep_others_of(&path).unwrap();
            report.write(&path).unwrap();
            let figures = report.figures.into_iter();
            figures.map(|figure| figure.name + &figure.commit).collect::<Vec<_>>()
        };
        assert_eq!(run("1", &["a", "b", "c"]), ["a1", "b1", "c1"]);
        assert_eq!(run("2", &["d", "b"]), ["a1", "b2", "c1", "d2"]);
    }

    #[test]
    fn a_goal_is_met_in_its_own_direction() {
        let figure = |value, better| Figure {
            name: String::new(),
            value,
            unit: String::new(),
            goal: Some(10.0),
            better,
            commit: String::new(),
        };
        assert_eq!(verdict(&figure(11.0, Better::Higher)), "met");
        assert_eq!(verdict(&figure(11.0, Better::Lower)), "missed");
    }
}
