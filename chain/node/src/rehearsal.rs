//! The program of an upgrade that is only rehearsed, for development builds.

use stoa_chain::{
    ctx::Ctx,
    modules::upgrade::{self, Migration, Program, STATE_VERSION},
};

/// Key of the record that the rehearsed migration leaves: no module's, and so in no export.
pub const RECORD: [u8; 2] = [0x7f, b'r'];

/// From now on this process is the program of the upgrade of that name.
pub fn begin(name: String) {
    let migration = Migration { name: name.leak(), run: migrate };
    let program =
        Program { version: STATE_VERSION.saturating_add(1), migrations: vec![migration].leak() };
    upgrade::rehearse(program);
}

/// Notes at which height it ran.
fn migrate(ctx: &mut Ctx<'_>) {
    let height = ctx.height();
    ctx.put(RECORD.to_vec(), &height);
}
