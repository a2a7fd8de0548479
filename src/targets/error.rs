//! `error`: every read and write fails. Kernel source: `drivers/md/dm-target.c`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Below, DeviceUses, Differences, Doc, Health, LiveRow, ParamsError, Printer, State, Target, TargetKind,
    Words,
};
use crate::device::Device;

/// Every read and write fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Error {}

impl TargetKind for Error {
    const NAME: &'static str = "error";
    const MODULE: Option<&'static str> = Some("dm-mod");
    const DOC: Doc = Doc {
        summary: "Every read and write fails: a bad stretch in a disk made for testing.",
        since: "2.6",
        writes: "Nothing.",
        changes: "It has no fields. A live table of any type can be replaced by one of `error`.",
        example: "type = \"error\"\nlength = 8",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        // The kernel takes any words and forgets them: from 6.12 on a device and a start, for its limits only.
        while words.left() > 0 {
            words.next("a word")?;
        }
        Ok(Self {})
    }

    fn print(&self, _: &mut Printer) {}

    fn compare(&self, _: &Self, _: &mut Differences) {}
}

/// The state of a target that fails each request, as it is meant to.
#[derive(Debug, Serialize)]
struct Fails {}

impl State for Fails {
    fn health(&self) -> Health {
        Health::Failed
    }

    fn findings(&self) -> Vec<String> {
        vec!["all I/O fails: that is what this target is for".to_string()]
    }
}

impl Target for Error {
    fn read_state(&self, _: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        Ok(Box::new(Fails {}))
    }

    fn lower_devices(&self, _: u64) -> DeviceUses<'_> {
        DeviceUses::new()
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        Vec::new()
    }

    fn below(&self, _: u64) -> Below<'_> {
        Below::Fails
    }
}
