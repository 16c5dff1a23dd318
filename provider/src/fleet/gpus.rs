//! GPUs of a machine, counted by model: one number for all of them would sell
//! one for another.

use crate::runtime::{GpuDevice, GpuModel, GpuRequest};

/// So many of each vendor and model, in the engine's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GpuStock(Vec<Kind>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kind {
    vendor: String,
    model: GpuModel,
    count: u64,
}

impl GpuStock {
    /// Of what an engine reports.
    pub fn of(devices: &[GpuDevice]) -> Self {
        let mut kinds: Vec<Kind> = vec![];
        for GpuDevice { vendor, model, .. } in devices {
            match kinds.iter_mut().find(|kind| kind.vendor == *vendor && kind.model == *model) {
                Some(kind) => kind.count += 1,
                None => kinds.push(Kind { vendor: vendor.clone(), model: model.clone(), count: 1 }),
            }
        }
        Self(kinds)
    }

    /// Whether there are as many as asked for; of none there are enough.
    pub fn has(&self, request: Option<&GpuRequest>) -> bool {
        let Some(request) = request else { return true };
        let fit = self.0.iter().filter(|kind| request.takes(&kind.vendor, &kind.model));
        fit.fold(0_u64, |sum, kind| sum.saturating_add(kind.count)) >= u64::from(request.units)
    }

    /// Takes as many as asked for, or those that there are.
    pub fn take(&mut self, request: Option<&GpuRequest>) {
        let Some(request) = request else { return };
        let mut wanted = u64::from(request.units);
        let fit = self.0.iter_mut().filter(|kind| request.takes(&kind.vendor, &kind.model));
        for kind in fit {
            let here = kind.count.min(wanted);
            kind.count -= here;
            wanted -= here;
        }
    }
}
