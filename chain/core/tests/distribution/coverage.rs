//! What the random runs came across.

use std::collections::BTreeMap;

#[derive(Default)]
pub struct Coverage {
    /// By operation: done, refused.
    operations: BTreeMap<&'static str, (u32, u32)>,
    pub removed_validators: u32,
    pub absent_voters: u32,
    pub comparisons: u64,
}

impl Coverage {
    pub fn count(&mut self, operation: &'static str, done: bool) {
        let (ok, refused) = self.operations.entry(operation).or_default();
        *(if done { ok } else { refused }) += 1;
    }

    pub fn assert_complete(&self) {
        println!("{:?}", self.operations);
        println!(
            "{} validators removed, {} voters absent, {} comparisons",
            self.removed_validators, self.absent_voters, self.comparisons
        );
        for (operation, (done, _)) in &self.operations {
            assert!(*done >= 20, "{operation} was done {done} times");
        }
        assert_eq!(self.operations.len(), crate::generate::OPERATIONS);
        assert!(self.removed_validators > 5 && self.absent_voters > 100);
        assert!(self.comparisons > 100_000);
    }
}
