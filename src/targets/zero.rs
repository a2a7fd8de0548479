//! `zero`: reads give zeros, writes vanish. Kernel source: `drivers/md/dm-zero.c`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DeviceUses, Differences, Doc, ParamsError, Printer, Target, TargetKind, Words};
use crate::device::Device;

/// Reads give zeros, writes vanish.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Zero {}

impl TargetKind for Zero {
    const NAME: &'static str = "zero";
    const DOC: Doc = Doc {
        summary: "Reads give zeros, writes vanish.",
        since: "2.6",
        writes: "Nothing.",
        changes: "It has no fields.",
        example: "type = \"zero\"\nlength = \"1GiB\"",
    };

    fn parse(_: &mut Words<'_>) -> Result<Self, ParamsError> {
        Ok(Self {})
    }

    fn print(&self, _: &mut Printer) {}

    fn compare(&self, _: &Self, _: &mut Differences) {}
}

impl Target for Zero {
    fn lower_devices(&self, _: u64) -> DeviceUses<'_> {
        DeviceUses::new()
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        Vec::new()
    }
}
