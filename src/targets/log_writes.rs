//! `log-writes`: every write is also kept, in order, on a second device. Kernel source:
//! `drivers/md/dm-log-writes.c`.

mod state;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{
    DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, Effect, FreshRow, LiveRow, MessageForm, Metadata,
    OwnIo, ParamsError, Printer, RemainingLength, SizeOf, State, Status, Target, TargetKind, Traits, Words,
};
use crate::device::Device;

/// Every write is also kept, in order, on a second device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogWrites {
    /// The device that is read and written.
    pub device: Device,
    /// The device that the log is written to, from its first sector on.
    pub log_device: Device,
}

/// The messages that it takes.
const MESSAGES: &[MessageForm] = &[MessageForm::tunes("mark", "WORD", "puts a mark into the log")];

impl TargetKind for LogWrites {
    const NAME: &'static str = "log-writes";
    const TRAITS: Traits = Traits {
        status: Status::Always,
        counts_from_device: true,
        passes_memory: true,
        messages: MESSAGES,
        ..Traits::PLAIN
    };
    const DOC: Doc = Doc {
        summary: "Every write, flush and discard is also recorded on a second device, in order, for tests that \
                  replay them. The message `mark TEXT` puts a mark into the log.",
        since: "4.1",
        writes: "Nothing at the load itself; the log device is overwritten from its first sector on by the first \
                 write, and by clearing or removing the table (`format`, always).",
        changes: "Every reload starts a new log over the old one. Another `device` maps the same sectors to another place, \
                  another `log_device` overwrites that one (`remap`).",
        example: "type = \"log-writes\"\nlength = \"1MiB\"\ndevice = \"/dev/disk/by-id/disk-a\"\nlog_device = \
                  \"/dev/disk/by-id/disk-b\"",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        Ok(Self { device: words.device("the device")?, log_device: words.device("the log device")? })
    }

    fn print(&self, out: &mut Printer) {
        out.device(&self.device).device(&self.log_device);
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        differences.field("device", &self.device, &live.device, Effect::Remap);
        differences.field("log_device", &self.log_device, &live.log_device, Effect::Remap);
    }
}

impl Target for LogWrites {
    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(words)
    }

    fn fresh_state(&self, _: FreshRow<'_>) -> String {
        "0 0".to_string()
    }

    fn writes_unasked(&self) -> bool {
        true
    }

    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        smallvec![
            DeviceUse::write(&self.device, 0, length),
            DeviceUse::whole(&self.log_device, DeviceAccess::Write).apart().with_own_io(OwnIo::End),
        ]
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.device, &mut self.log_device]
    }

    fn linear_map(&self) -> Option<(&Device, u64)> {
        Some((&self.device, 0))
    }

    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        RemainingLength::from_sector(&self.device, 0, size_of)
    }

    fn metadata(&self) -> Vec<Metadata<'_>> {
        let always = "the kernel overwrites the log device from its first sector on, whatever it holds";
        vec![Metadata::overwritten(&self.log_device, always)]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::Found;
    use crate::targets::kit::{compare, device, parse, round_trip};

    proptest! {
        #[test]
        fn rows_read_back(device in device(), log_device in device()) {
            round_trip(&LogWrites { device, log_device })?;
        }
    }

    #[test]
    fn the_log_is_always_overwritten() {
        let target: LogWrites = parse("1:0 1:1");
        let metadata = target.metadata();
        assert_eq!(metadata[0].device.to_string(), "1:1");
        assert_eq!((metadata[0].look)(b"anything"), Found::Blank);
        assert_eq!(compare::<LogWrites>("1:0 1:2", "1:0 1:1").effect(), Some(Effect::Remap));
    }

    #[test]
    fn the_length_is_that_of_the_device_not_of_the_log() {
        let target: LogWrites = parse("1:0 1:1");
        let size_of = |device: &Device| Some(if device.to_string() == "1:0" { 100 } else { 7 });
        assert_eq!(target.remaining_length(&size_of), RemainingLength::Sectors(100));
    }
}
