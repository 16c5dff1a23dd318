//! Which rules the runs applied, and which they should have.

use std::collections::BTreeMap;

use crate::run::Run;

#[derive(Default)]
pub struct Coverage {
    hits: BTreeMap<String, u64>,
    refusals: BTreeMap<(&'static str, String), u64>,
}

impl Coverage {
    pub fn add(&mut self, run: &Run) {
        for (rule, times) in &run.world.hits {
            *self.hits.entry(rule.clone()).or_default() += times;
        }
        for (refusal, times) in &run.refusals {
            *self.refusals.entry(refusal.clone()).or_default() += times;
        }
    }

    pub fn assert_complete(&self) {
        for (rule, times) in &self.hits {
            println!("{times:>6} {rule}");
        }
        for ((rule, code), times) in &self.refusals {
            println!("{times:>6} {rule}: {code}");
        }
    }
}
