//! The chain's default bounds (parameters that its governance can change): a file outside of
//! them is accepted with a warning, so that its author hears of it before the chain refuses.

use std::fmt::Display;

use crate::diagnostics::Diags;
use crate::node::Field;

const MI: u64 = 1 << 20;
const TI: u64 = 1 << 40;

/// A bound: the least and the most that the chain takes by default.
pub(crate) struct Bound {
    pub least: u64,
    pub most: u64,
}

pub(crate) const CPU_MILLICORES: Bound = Bound { least: 10, most: 512_000 };
pub(crate) const MEMORY_BYTES: Bound = Bound { least: MI, most: TI };
pub(crate) const VOLUME_BYTES: Bound = Bound { least: 5 * MI, most: 32 * TI };
pub(crate) const VOLUMES: Bound = Bound { least: 1, most: 8 };
pub(crate) const GPU_UNITS: Bound = Bound { least: 0, most: 100 };
pub(crate) const GPU_MODELS: Bound = Bound { least: 0, most: 16 };
pub(crate) const COUNT: Bound = Bound { least: 1, most: 50 };
pub(crate) const ATTRIBUTES: Bound = Bound { least: 0, most: 64 };
pub(crate) const SIGNERS: Bound = Bound { least: 0, most: 16 };
pub(crate) const LISTED_PROVIDERS: Bound = Bound { least: 0, most: 64 };
pub(crate) const BID_WINDOW_SECONDS: Bound = Bound { least: 5, most: 604_800 };
pub(crate) const RECLAMATION_SECONDS: Bound = Bound { least: 3_600, most: 2_592_000 };
pub(crate) const GROUPS: Bound = Bound { least: 1, most: 20 };
pub(crate) const UNITS: Bound = Bound { least: 1, most: 20 };
pub(crate) const ENDPOINTS: Bound = Bound { least: 0, most: 64 };

impl Bound {
    /// Warns at `field` where `value` is outside.
    pub fn warn(
        &self,
        what: &str,
        value: u64,
        show: impl Fn(u64) -> String,
        field: &Field<'_>,
        diags: &mut Diags,
    ) {
        if let Some(message) = self.complaint(what, value, show) {
            diags.push(field.warning(message));
        }
    }

    /// What to say where `value` is outside.
    pub fn complaint(
        &self,
        what: &str,
        value: u64,
        show: impl Fn(u64) -> String,
    ) -> Option<String> {
        let (least, most) = (show(self.least), show(self.most));
        let (relation, bound) = match value {
            value if value < self.least => ("less", least),
            value if value > self.most => ("more", most),
            _ => return None,
        };
        let value = show(value);
        Some(format!(
            "{what} is {value}, {relation} than the {bound} that the chain takes by default"
        ))
    }
}

/// Shows a number as it is.
pub(crate) fn plain(number: impl Display) -> String {
    number.to_string()
}
