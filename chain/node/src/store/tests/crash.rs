//! kill -9 of a process that commits in a loop.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use rand::{rngs::StdRng, Rng, SeedableRng};

use super::{apply, commit, options, random_changes, Model};
use stoa_chain::store::Changes;

use crate::store::{Database, StoreError};

const CHILD_DIR: &str = "STOAD_CRASH_TEST_DIR";

/// The same blocks in every process.
fn block(height: u64) -> Changes {
    random_changes(&mut StdRng::seed_from_u64(height), 40)
}

/// Not a test of its own: what the killed process runs.
#[test]
#[ignore = "runs inside a_killed_process_comes_back"]
fn committing_child() {
    let Some(dir) = std::env::var_os(CHILD_DIR).map(PathBuf::from) else { return };
    let db = Database::open(&dir, options(10)).unwrap();
    loop {
        let height = db.height() + 1;
        commit(&db, &block(height));
        println!("\ncommitted {height}");
    }
}

/// Runs the child for a while, kills it and returns the last height that it reported.
fn run_and_kill(dir: &std::path::Path, pause: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::crash::committing_child", "--ignored", "--nocapture"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let height = |line: std::io::Result<String>| -> Option<u64> {
        line.ok()?.strip_prefix("committed ")?.parse().ok()
    };
    let mut reported = lines.by_ref().find_map(height).expect("the child commits a block");
    std::thread::sleep(pause);
    child.kill().unwrap();
    child.wait().unwrap();
    reported = lines.filter_map(height).last().unwrap_or(reported);
    reported
}

fn expected_root(height: u64) -> super::super::AppHash {
    let mut model = Model::new();
    (1..=height).for_each(|height| apply(&mut model, &block(height)));
    super::root_of(&model)
}

#[test]
fn a_killed_process_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    for _ in 0..6 {
        let reported = run_and_kill(dir.path(), Duration::from_millis(rng.gen_range(0..120)));
        let db = open_when_free(dir.path());
        let height = db.height();
        assert!(height == reported || height == reported + 1, "{height} after {reported}");
        assert_eq!(db.app_hash(), expected_root(height));
    }
}

/// The kernel gives a killed process's lock back a moment after the process is reaped.
fn open_when_free(dir: &std::path::Path) -> Database {
    for _ in 0..3_000 {
        match Database::open(dir, options(10)) {
            Err(StoreError::Engine(_)) => std::thread::sleep(Duration::from_millis(20)),
            other => return other.unwrap(),
        }
    }
    panic!("the database stays locked");
}
