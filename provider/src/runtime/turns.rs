//! One at a time for each of many names.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Locks by name, which are there while somebody holds or awaits them.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    pub(super) fn of(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(name.into()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_waits_for_another_of_its_name_alone() {
        let turns = Turns::default();
        let first = turns.of("web");
        let held = first.lock().await;
        assert!(turns.of("web").try_lock().is_err());
        assert!(turns.of("db").try_lock().is_ok());
        drop(held);
        assert!(turns.of("web").try_lock().is_ok());
        drop(first);
        turns.of("db");
        assert_eq!(turns.0.lock().unwrap().len(), 1, "those that nobody holds are forgotten");
    }
}
