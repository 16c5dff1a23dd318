//! What happened, counted.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Counts by name, in the order of the names.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: Mutex<BTreeMap<String, u64>>,
    told: Mutex<Vec<(String, String)>>,
}

impl Tally {
    pub(super) fn add(&self, name: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(name.to_owned()).or_default() += 1;
    }

    /// A line of the table's end.
    pub(super) fn tell(&self, name: &str, value: impl ToString) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(known, _)| known != name);
        told.push((name.to_owned(), value.to_string()));
    }

    pub(super) fn table(&self, seed: u64) -> String {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::UTF8_BORDERS_ONLY);
        table.add_row(["seed".to_owned(), seed.to_string()]);
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, count) in counts.iter() {
            table.add_row([name.clone(), count.to_string()]);
        }
        for (name, value) in self.told.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            table.add_row([name.clone(), value.clone()]);
        }
        table.to_string()
    }
}
