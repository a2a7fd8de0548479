//! `mirror`: the same data on several devices, with a log of what may differ. Kernel source:
//! `drivers/md/dm-raid1.c`, `drivers/md/dm-log.c`.

mod state;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choice::choice;
use super::{
    Below, Copy, DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, Effect, Found, FreshRow, Health,
    LiveRow, Metadata, Need, OnDisk, Options, OwnIo, ParamsError, Printer, Problems, RemainingLength, Remedy,
    SizeOf, SizeTaken, State, Status, Syntax, Target, TargetKind, Traits, Unfinished, Words, begins_with,
    option,
};
use crate::device::Device;
use crate::units::{SECTOR, Sectors};

/// `MIRROR_MAGIC` of `dm-log.c`, the first 4 bytes of a log device (`struct log_header_disk`): `MiRr`.
const MAGIC: u32 = 0x4d69_5272;
/// The most legs the kernel takes (`MAX_NR_MIRRORS`).
const MAX_LEGS: u64 = 9;
/// The largest power of two in 32 bits.
const MAX_REGION_SIZE: u64 = 1 << 31;

/// The same data on several devices, with a log of what may differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mirror {
    /// The log of the regions that may differ between the legs.
    pub log: Log,
    /// The devices, 2 to 9. Where they differ the first one is right.
    pub legs: Vec<Leg>,
    /// Go on without a leg that fails, rather than ignore the failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handle_errors: bool,
    /// Go on with the log when a leg fails; only with `handle_errors`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_log: bool,
}

/// The log of a mirror.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    /// Where it is kept.
    #[serde(rename = "type")]
    pub kind: LogKind,
    /// The device that holds a log of type `disk`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// How much one entry stands for: a power of two, at least 2 sectors.
    pub region_size: Sectors,
    /// Whether the first leg is copied to the others when the table is loaded. Left out, it is where the log
    /// doesn't say that they are equal: always with a new log, and with one of type `core`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<Sync>,
}

choice! {
    /// Where the log of a mirror is kept.
    LogKind {
        /// In memory: it is new whenever the table is loaded.
        Core = "core",
        /// On a device.
        Disk = "disk",
    }
}

choice! {
    /// Whether legs are made equal.
    Sync {
        /// Copy all of the first one to the others.
        Sync = "sync",
        /// Take it that they are equal already.
        Nosync = "nosync",
    }
}

/// One leg of a mirror.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leg {
    /// The device.
    pub device: Device,
    /// The first sector used of it.
    #[serde(default)]
    pub offset: Sectors,
}

impl Log {
    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let name = words.next("the type of the log")?;
        // The kernel tells these apart by case.
        let kind = LogKind::find(name).filter(|kind| kind.word() == name).ok_or_else(|| {
            words.wrong(format!("the log must be one of {}, not `{}`", LogKind::words(), name.escape_debug()))
        })?;
        let mut args = words.counted("the log")?;
        let device = if kind == LogKind::Disk { Some(args.device("the log device")?) } else { None };
        let region_size = args.sectors("the region size")?;
        let sync = match args.peek() {
            None => None,
            Some(_) => match args.next("`sync` or `nosync`")? {
                "sync" => Some(Sync::Sync),
                "nosync" => Some(Sync::Nosync),
                _ => return Err(args.wrong("here only `sync` or `nosync` may stand")),
            },
        };
        if args.left() > 0 {
            return Err(args.wrong("the log has too many words"));
        }
        Ok(Self { kind, device, region_size, sync })
    }

    fn print(&self, out: &mut Printer) {
        out.word(self.kind).counted(|out| {
            if let Some(device) = &self.device {
                out.device(device);
            }
            out.word(self.region_size);
            if let Some(sync) = self.sync {
                out.word(sync);
            }
        });
    }

    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        let most =
            length.and_then(u64::checked_ilog2).map_or(MAX_REGION_SIZE, |power| 1 << power.clamp(1, 31));
        problems.power_of_two("log.region_size", self.region_size.0, 2, most);
        match (self.kind, &self.device) {
            (LogKind::Disk, None) => {
                problems.at("log.device", "a log of type disk needs a device");
            }
            (LogKind::Core, Some(_)) => {
                let help = "leave the device out, or write disk";
                problems.at("log.device", "a log of type core is in memory").help(help);
            }
            _ => {}
        }
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        // Whether to copy is decided when a table is loaded, and done with: `sync` is not compared.
        let why = "a new log knows of no region that is equal";
        differences.field_with_reason("log.type", &self.kind, &live.kind, Effect::Remap, why);
        differences.optional("log.device", self.device.as_ref(), live.device.as_ref(), Effect::Remap);
        differences.field_with_reason(
            "log.region_size",
            &self.region_size,
            &live.region_size,
            Effect::Remap,
            why,
        );
    }
}

impl Mirror {
    /// Unlike most targets, this one tells words apart by case.
    const FEATURES: Options<Self> = Options {
        syntax: Syntax::Spaced { unknown: "a mirror has no feature {}", ignore_case: false },
        all: &[option!(handle_errors).tune(), option!(keep_log).tune()],
    };

    /// A device of which nothing needs to be looked at to know what the kernel will do.
    fn always<'a>(device: &'a Device, otherwise: &'static str) -> Metadata<'a> {
        Metadata::overwritten(device, otherwise)
    }
}

impl TargetKind for Mirror {
    const NAME: &'static str = "mirror";
    const TRAITS: Traits = Traits { status: Status::Always, ..Traits::PLAIN };
    const DOC: Doc = Doc {
        summary: "The same data on several devices. `raid` with level raid1 does the same and remembers more.",
        since: "2.6",
        writes: "At resume: the log, if it has a device, and the first leg over all others unless sync = \
                 \"nosync\" or the log says that they are equal.",
        changes: "handle_errors and keep_log are a `reload`; with a log of type core every new table copies the \
                  legs again. Other legs, offsets or another log are a `remap`.",
        example: "type = \"mirror\"\nlog = { type = \"core\", region_size = \"512KiB\", sync = \"nosync\" }\nlegs \
                  = [\n  { device = \"/dev/disk/by-id/disk-a\" },\n  { device = \"/dev/disk/by-id/disk-b\" },\n]\n\
                  handle_errors = true",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let log = Log::parse(words)?;
        let count: usize = words.number("the number of legs")?;
        if count.checked_mul(2).is_none_or(|needed| needed > words.left()) {
            return Err(
                words.wrong(format!("{count} legs take as many devices and offsets, they don't follow"))
            );
        }
        let mut legs = Vec::with_capacity(count);
        for _ in 0..count {
            legs.push(Leg {
                device: words.device("the device of a leg")?,
                offset: words.sectors("the offset of a leg")?,
            });
        }
        let mut mirror = Self { log, legs, handle_errors: false, keep_log: false };
        Self::FEATURES.parse(&mut mirror, &mut words.counted("features")?)?;
        Ok(mirror)
    }

    fn print(&self, out: &mut Printer) {
        self.log.print(out);
        out.word(self.legs.len());
        for leg in &self.legs {
            out.device(&leg.device).word(leg.offset);
        }
        out.counted(|out| Self::FEATURES.print(self, out));
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        self.log.compare(&live.log, differences);
        differences.field("legs", &self.legs.len(), &live.legs.len(), Effect::Remap);
        for (index, (wanted, live)) in self.legs.iter().zip(&live.legs).enumerate() {
            let field = |name| format!("legs[{index}].{name}");
            differences.field(&field("device"), &wanted.device, &live.device, Effect::Remap);
            differences.field(&field("offset"), &wanted.offset, &live.offset, Effect::Remap);
        }
        Self::FEATURES.compare(self, live, differences);
    }
}

impl Target for Mirror {
    /// A leg with an error stays behind for good; the others are made equal to the first one.
    fn remedy(&self, state: Option<&dyn State>) -> Remedy {
        let is_behind = state.is_some_and(|state| state.health() >= Health::Degraded);
        if is_behind { Remedy::GoodLegFirst } else { Remedy::Wait }
    }

    fn unfinished(&self) -> Option<Unfinished> {
        Some(Unfinished::UnsyncedRegions)
    }

    fn copies(&self, _: Option<&dyn State>) -> Vec<Copy<'_>> {
        self.legs.iter().map(|leg| Copy { device: &leg.device, sector: leg.offset.0 }).collect()
    }

    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(self, words)
    }

    fn fresh_state(&self, row: FreshRow<'_>) -> String {
        state::fresh(self, row)
    }

    fn copies_unasked(&self) -> bool {
        true
    }

    fn writes_unasked(&self) -> bool {
        true
    }

    /// The constructor of the log refuses a device without room for a bit a region (`create_log_context` in
    /// `drivers/md/dm-log.c`).
    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        let whole =
            |device| DeviceUse::whole(device, DeviceAccess::Write).apart().taking_size(SizeTaken::Checked);
        let log = self.log.device.iter().map(|log| whole(log).with_own_io(OwnIo::Flushed));
        log.chain(self.legs.iter().map(|leg| DeviceUse::write(&leg.device, leg.offset.0, length))).collect()
    }

    /// A header of two sectors, and a bit a region in whole words (`create_log_context`).
    fn needs(&self, on_disk: &OnDisk<'_>, _: Option<&dyn State>) -> Vec<Need<'_>> {
        const HEADER: u64 = 2;
        let regions = on_disk.length.div_ceil(self.log.region_size.0.max(1));
        let least = HEADER + regions.div_ceil(32).saturating_mul(4).div_ceil(SECTOR);
        let of = "the log of the mirror";
        let need = |device| Need { device, least, of, left: None, remedy: "make it larger" };
        self.log.device.iter().map(need).collect()
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        self.log.device.iter_mut().chain(self.legs.iter_mut().map(|leg| &mut leg.device)).collect()
    }

    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        self.log.check(length, problems);
        problems.range("legs", self.legs.len() as u64, 2, MAX_LEGS);
        for (place, leg) in self.legs.iter().enumerate() {
            if self.legs[..place].contains(leg) {
                problems.at(
                    format!("legs[{place}]"),
                    "this leg is in the mirror already: it would mirror itself",
                );
            }
        }
        if self.keep_log && !self.handle_errors {
            problems.at("keep_log", "keep_log needs handle_errors");
        }
    }

    /// Reads go to the first leg, whether it is copied over the others or not (`get_default_mirror` in
    /// `drivers/md/dm-raid1.c`).
    fn fresh_map(&self) -> Option<(&Device, u64)> {
        self.legs.first().map(|leg| (&leg.device, leg.offset.0))
    }

    fn below(&self, sector: u64) -> Below<'_> {
        let at = |leg: &Leg| leg.offset.0.saturating_add(sector);
        Below::copies(self.legs.iter().map(|leg| (&leg.device, at(leg))))
    }

    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        let legs = self.legs.iter();
        RemainingLength::shortest(
            legs.map(|leg| RemainingLength::from_sector(&leg.device, leg.offset.0, size_of)),
        )
    }

    fn metadata(&self) -> Vec<Metadata<'_>> {
        const COPIES: &str = "the kernel copies the first leg over all others";
        let second = self.legs.get(1).map(|leg| &leg.device);
        match (&self.log.device, self.log.sync, second) {
            (_, Some(Sync::Sync), Some(leg)) | (None, None, Some(leg)) => vec![Self::always(leg, COPIES)],
            (Some(log), sync, _) => vec![Metadata {
                device: log,
                offset: 0,
                length: 512,
                look: |bytes| if begins_with(bytes, MAGIC) { Found::Right } else { Found::Blank },
                is_copy: false,
                otherwise: if sync == Some(Sync::Nosync) { "the kernel writes a new log" } else { COPIES },
            }],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::kit::{self, device};

    fn mirrors() -> impl Strategy<Value = Mirror> {
        let leg =
            (device(), 0u64..1 << 50).prop_map(|(device, offset)| Leg { device, offset: Sectors(offset) });
        let sync = prop::option::of(prop::sample::select(Sync::ALL));
        let log = (prop::option::of(device()), 1u32..32, sync).prop_map(|(device, power, sync)| Log {
            kind: if device.is_some() { LogKind::Disk } else { LogKind::Core },
            device,
            region_size: Sectors(1 << power),
            sync,
        });
        (log, prop::collection::vec(leg, 2..=9), any::<bool>(), any::<bool>()).prop_map(
            |(log, legs, handle_errors, keep)| Mirror {
                log,
                legs,
                handle_errors,
                keep_log: handle_errors && keep,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(mirror in mirrors()) {
            kit::round_trip(&mirror)?;
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        kit::refused::<Mirror>("core 2 1024 nosync 1 1:0 0", "legs must be from 2 to 9");
        kit::refused::<Mirror>("userspace 2 u 1024 2 1:0 0 1:1 0", "one of core, disk");
        kit::refused::<Mirror>("CORE 1 1024 2 1:0 0 1:1 0", "one of core, disk");
        kit::refused::<Mirror>("core 1 1000 2 1:0 0 1:1 0", "nearest is 1024");
        kit::refused::<Mirror>("core 1 16384 2 1:0 0 1:1 0", "nearest is 8192");
        kit::refused::<Mirror>("core 1 1024 2 1:0 0 1:1 0 1 keep_log", "keep_log needs handle_errors");
        kit::refused::<Mirror>("core 1 1024 2 1:0 0 1:0 0", "mirror itself");
        kit::refused::<Mirror>("core 1 1024 3 1:0 0 1:1 0", "legs take");
        kit::refused::<Mirror>("core 1 1024 18446744073709551615 1:0 0", "legs take");
        kit::refused::<Mirror>("core 3 1024 sync nosync 2 1:0 0 1:1 0", "too many words");
    }

    #[test]
    fn a_copy_is_announced_unless_the_legs_are_equal() {
        let copies =
            |row: &str| kit::parse::<Mirror>(row).metadata().iter().any(|m| (m.look)(&[]) == Found::Blank);
        assert!(copies("core 1 1024 2 1:0 0 1:1 0"));
        assert!(copies("disk 3 1:2 1024 sync 2 1:0 0 1:1 0"));
        assert!(!copies("core 2 1024 nosync 2 1:0 0 1:1 0"));
        let disk = kit::parse::<Mirror>("disk 2 1:2 1024 2 1:0 0 1:1 0");
        assert_eq!((disk.metadata()[0].look)(b"rRiM"), Found::Right);
        assert_eq!((disk.metadata()[0].look)(&[0; 512]), Found::Blank);
    }

    #[test]
    fn the_smallest_leg_decides_the_length() {
        let mirror = kit::parse::<Mirror>("core 1 1024 2 1:0 8 1:1 0");
        let size = |device: &Device| device.number.map(|number| 100 + u64::from(number.minor));
        assert_eq!(mirror.remaining_length(&size), RemainingLength::Sectors(92));
        assert!(matches!(mirror.remaining_length(&|_| Some(8)), RemainingLength::TooSmall(_)));
        assert_eq!(mirror.remaining_length(&|_| None), RemainingLength::Unknown);
    }
}
