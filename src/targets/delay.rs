//! `delay`: I/O that arrives later than it should. Kernel source: `drivers/md/dm-delay.c`.
//!
//! The kernel takes one, two or three groups of words, for reads, writes and flushes. A group that is
//! left out is the one before it, so `A` and `A A` mean the same though they print differently.

mod state;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{
    DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, Effect, FreshRow, LiveRow, ParamsError, Printer,
    State, Status, Target, TargetKind, Traits, Unit, Words,
};
use crate::device::Device;
use crate::units::Sectors;

/// I/O that is held back for a while, and may be led to several devices by its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delay {
    /// Where reads go and how late.
    pub read: Delayed,
    /// Where writes go and how late; like reads unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<Delayed>,
    /// Where flushes go and how late; like writes unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flush: Option<Delayed>,
}

/// What happens to one kind of I/O.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delayed {
    /// The device it goes to.
    pub device: Device,
    /// The first sector used of the device.
    #[serde(default)]
    pub offset: Sectors,
    /// How long it is held back, in milliseconds; 0 lets it through at once.
    pub delay: u32,
}

impl Delay {
    fn writes(&self) -> &Delayed {
        self.write.as_ref().unwrap_or(&self.read)
    }

    fn flushes(&self) -> &Delayed {
        self.flush.as_ref().unwrap_or_else(|| self.writes())
    }
}

impl Delayed {
    fn parse(words: &mut Words<'_>, what: &str) -> Result<Self, ParamsError> {
        Ok(Self {
            device: words.device(&format!("the device of {what}"))?,
            offset: words.sectors(&format!("the offset of {what}"))?,
            delay: words.number(&format!("the delay of {what} in milliseconds"))?,
        })
    }

    fn print(&self, out: &mut Printer) {
        out.device(&self.device).word(self.offset).word(self.delay);
    }

    fn compare(&self, live: &Self, name: &str, differences: &mut Differences) {
        differences.field(&format!("{name}.device"), &self.device, &live.device, Effect::Remap);
        differences.field(&format!("{name}.offset"), &self.offset, &live.offset, Effect::Remap);
        let [delay, live_delay] = [self, live].map(|of| Unit::Milliseconds.of(of.delay));
        differences.field(&format!("{name}.delay"), &delay, &live_delay, Effect::Tune);
    }

    fn same_place(&self, other: &Self) -> bool {
        self.device == other.device && self.offset == other.offset
    }
}

impl TargetKind for Delay {
    const NAME: &'static str = "delay";
    const TRAITS: Traits = Traits { status: Status::Always, ..Traits::EARLY };
    const DOC: Doc = Doc {
        summary: "I/O is held back for some milliseconds; reads, writes and flushes each for their own time, and \
                  to their own device where that is wanted.",
        since: "2.6",
        writes: "Nothing.",
        changes: "Another delay is a `reload`; a suspend lets everything through that is held back. Another device \
                  or offset maps the same sectors to another place (`remap`).",
        example: "type = \"delay\"\nlength = \"1MiB\"\nread = { device = \"/dev/disk/by-id/disk-a\", delay = 0 }\n\
                  write = { device = \"/dev/disk/by-id/disk-a\", delay = 500 }",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let read = Delayed::parse(words, "reads")?;
        let write = if words.left() > 0 { Some(Delayed::parse(words, "writes")?) } else { None };
        let flush = if words.left() > 0 { Some(Delayed::parse(words, "flushes")?) } else { None };
        Ok(Self { read, write, flush })
    }

    fn print(&self, out: &mut Printer) {
        self.read.print(out);
        if self.write.is_some() || self.flush.is_some() {
            self.writes().print(out);
        }
        if let Some(flush) = &self.flush {
            flush.print(out);
        }
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        self.read.compare(&live.read, "read", differences);
        if self.write.is_some() || live.write.is_some() {
            self.writes().compare(live.writes(), "write", differences);
        }
        if self.flush.is_some() || live.flush.is_some() {
            self.flushes().compare(live.flushes(), "flush", differences);
        }
    }
}

impl Target for Delay {
    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(words)
    }

    fn fresh_state(&self, _: FreshRow<'_>) -> String {
        "0 0 0".to_string()
    }

    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        let read = DeviceUse::write(&self.read.device, self.read.offset.0, length);
        let mut lowers: DeviceUses<'_> = smallvec![DeviceUse { access: DeviceAccess::Read, ..read }];
        for way in [self.writes(), self.flushes()] {
            let known =
                lowers.iter_mut().find(|lower| *lower.device == way.device && lower.start == way.offset.0);
            match known {
                Some(known) => known.access = DeviceAccess::Write,
                None => lowers.push(DeviceUse::write(&way.device, way.offset.0, length)),
            }
        }
        lowers
    }

    fn has_ways(&self) -> bool {
        true
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        let ways = [Some(&mut self.read), self.write.as_mut(), self.flush.as_mut()];
        ways.into_iter().flatten().map(|way| &mut way.device).collect()
    }

    fn linear_map(&self) -> Option<(&Device, u64)> {
        let one_place = self.read.same_place(self.writes()) && self.read.same_place(self.flushes());
        one_place.then_some((&self.read.device, self.read.offset.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::RemainingLength;
    use crate::targets::kit::{compare, device, parse, round_trip, sectors, try_parse};

    fn delayed() -> impl Strategy<Value = Delayed> {
        (device(), sectors(), any::<u32>()).prop_map(|(device, offset, delay)| Delayed {
            device,
            offset,
            delay,
        })
    }

    proptest! {
        #[test]
        fn rows_read_back(
            read in delayed(),
            more in prop::option::of((delayed(), prop::option::of(delayed()))),
        ) {
            let (write, flush) = more.map_or((None, None), |(write, flush)| (Some(write), flush));
            round_trip(&Delay { read, write, flush })?;
        }
    }

    #[test]
    fn groups_left_out_are_the_ones_before() {
        assert!(compare::<Delay>("1:0 0 5", "1:0 0 5 1:0 0 5").is_equal());
        assert!(compare::<Delay>("1:0 0 5 1:1 0 6", "1:0 0 5 1:1 0 6 1:1 0 6").is_equal());
        let differs = compare::<Delay>("1:0 0 5", "1:0 0 5 1:0 0 7");
        assert_eq!(differs.effect(), Some(Effect::Tune));
        assert_eq!(differs.fields[0].field, "write.delay");
        let moved = compare::<Delay>("1:0 0 5 1:0 0 5 1:2 0 5", "1:0 0 5");
        assert_eq!(moved.effect(), Some(Effect::Remap));
    }

    #[test]
    fn a_delay_never_wraps() {
        assert!(try_parse::<Delay>("1:0 0 4294967396").is_err());
        assert!(try_parse::<Delay>("1:0 0 5 1:0 0").is_err());
    }

    #[test]
    fn one_place_is_one_lower_device() {
        let one: Delay = parse("1:0 8 5 1:0 8 6");
        let lowers = one.lower_devices(16);
        assert_eq!((lowers.len(), lowers[0].access), (1, DeviceAccess::Write));
        assert_eq!(one.linear_map().map(|(_, offset)| offset), Some(8));
        assert_eq!(one.remaining_length(&|_| Some(24)), RemainingLength::Sectors(16));
        let two: Delay = parse("1:0 8 5 1:1 8 6");
        let lowers = two.lower_devices(16);
        assert_eq!((lowers[0].access, lowers[1].access), (DeviceAccess::Read, DeviceAccess::Write));
        assert!(two.linear_map().is_none());
    }
}
