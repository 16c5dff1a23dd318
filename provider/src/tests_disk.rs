//! A small disk for tests: a file system of its own, which ends with the mount
//! namespace of the child process that has it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The child's directory.
const DIRECTORY: &str = "STOA_TEST_SMALL_DISK";

/// Runs an ignored test of this program, by its full name, on a disk with so
/// many KiB.
pub(crate) fn run_on_a_small_disk(test: &str, kibibytes: u32) {
    if !nix::unistd::Uid::effective().is_root() {
        println!("not run: mounting takes root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let child = std::env::current_exe().unwrap();
    let script = format!(
        "mount -t tmpfs -o size={kibibytes}k,mode=700 none {0} && exec {1} --exact --ignored \
         --nocapture {test}",
        dir.path().display(),
        child.display()
    );
    let output = std::process::Command::new("unshare")
        .args(["--mount", "--", "sh", "-c", &script])
        .env(DIRECTORY, dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
}

/// The disk, in the child.
pub(crate) fn small_disk() -> PathBuf {
    std::env::var_os(DIRECTORY).unwrap().into()
}

/// Takes all room there is.
pub(crate) fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    let error = loop {
        if let Err(error) = file.write_all(&[1; 4096]) {
            break error;
        }
    };
    assert!(crate::store::is_full(&error), "{error}");
}
