//! Stopping before a block that this program must not execute.

use std::{io, path::Path};

use serde::Serialize;
use stoa_chain::{ctx::Ctx, modules::upgrade::Due};

use super::Machine;
use crate::home::write_whole;

/// Exit code of a node that needs another program for its next block.
pub const EXIT_CODE: u8 = 3;

/// The file that cosmovisor looks for.
#[derive(Serialize)]
struct Info<'a> {
    name: &'a str,
    height: u64,
    info: &'a str,
}

impl Machine {
    /// Why this program must not execute the block at `height`; none: it may.
    pub fn stops_before(&self, height: u64) -> Option<Due> {
        let (base, block) = self.view();
        let due = stoa_chain::modules::upgrade::due(&Ctx::new(&base, block), height);
        due.filter(Due::stops)
    }
}

/// Writes `upgrade-info.json` where a plan asks for another program.
pub fn write_info(path: &Path, due: &Due) -> io::Result<()> {
    let Due::OtherProgram(plan) = due else { return Ok(()) };
    let info = Info { name: &plan.name, height: plan.height, info: &plan.info };
    let text = serde_json::to_string(&info)?;
    if std::fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    write_whole(path, text.as_bytes())
}
