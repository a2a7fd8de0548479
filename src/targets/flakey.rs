//! `flakey`: a device that fails in turns. Kernel source: `drivers/md/dm-flakey.c`.
//!
//! Without a feature every request fails while the device is down. Kernel 6.1 prints that as `0`, kernel
//! 6.12 as `2 error_reads error_writes`, under the same version number; here both are a row without
//! features, which either kernel loads.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{
    DeviceUse, DeviceUses, Differences, Doc, Effect, FieldValue, Given, Operand, Options, ParamsError,
    Printer, Problems, Syntax, Target, TargetKind, Unit, Words, option,
};
use crate::device::Device;
use crate::units::Sectors;

/// What a probability is counted in: one in a thousand million.
const PROBABILITY_BASE: u64 = 1_000_000_000;

/// A device that works for some seconds and fails for some.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flakey {
    /// The device below.
    pub device: Device,
    /// The first sector used of the device.
    #[serde(default)]
    pub offset: Sectors,
    /// How long it works, in seconds.
    pub up_interval: u32,
    /// How long it fails, in seconds. The two together must not be 0.
    pub down_interval: u32,
    /// While down, reads fail. Kernel 6.1 does not have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub error_reads: bool,
    /// While down, writes are dropped without an error.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drop_writes: bool,
    /// While down, writes fail.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub error_writes: bool,
    /// While down, one byte of a request is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrupt_bio_byte: Option<CorruptBioByte>,
    /// While down, random bytes of reads are replaced: in how many of 1000000000 reads. Default 0. Kernel 6.1 does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_read_corrupt: Option<u32>,
    /// While down, random bytes of writes are replaced: in how many of 1000000000 writes. Default 0. Kernel 6.1 does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_write_corrupt: Option<u32>,
}

/// One byte that is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CorruptBioByte {
    /// Which byte of the request, from 1.
    pub nth_byte: u32,
    /// Whether in reads or in writes.
    pub direction: Direction,
    /// The value it gets.
    pub value: u8,
    /// Only requests that have all these flags (`REQ_*` of the kernel, as a number) are touched; 0 means
    /// every request. Default 0.
    #[serde(default)]
    pub flags: u32,
}

/// Which way a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    /// From the device.
    Read,
    /// To the device.
    Write,
}

impl Direction {
    fn letter(self) -> &'static str {
        match self {
            Self::Read => "r",
            Self::Write => "w",
        }
    }
}

impl fmt::Display for CorruptBioByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.nth_byte, self.direction.letter(), self.value, self.flags)
    }
}

impl FieldValue for CorruptBioByte {}

impl Flakey {
    /// `random_read_corrupt`, 0 where it is left out.
    fn read_odds(&self) -> u32 {
        self.random_read_corrupt.unwrap_or(0)
    }

    /// `random_write_corrupt`, 0 where it is left out.
    fn write_odds(&self) -> u32 {
        self.random_write_corrupt.unwrap_or(0)
    }

    /// Whether one byte is replaced in requests that go this way.
    fn corrupts(&self, way: Direction) -> bool {
        self.corrupt_bio_byte.as_ref().is_some_and(|corrupt| corrupt.direction == way)
    }

    /// Whether all I/O fails while the device is down, however that was said.
    fn fails_all(&self) -> bool {
        self.error_reads == self.error_writes
            && !self.drop_writes
            && self.corrupt_bio_byte.is_none()
            && self.read_odds() == 0
            && self.write_odds() == 0
    }

    const FEATURES: Options<Self> = Options {
        syntax: Syntax::Spaced { unknown: "flakey has no feature {}", ignore_case: true },
        all: &[
            option!(error_reads).once(Self::TWICE),
            option!(drop_writes).once(Self::TWICE),
            option!(error_writes).once(Self::TWICE),
            option!(corrupt_bio_byte).tune(),
            option!(random_read_corrupt).tune().default(0).range(0, PROBABILITY_BASE),
            option!(random_write_corrupt).tune().default(0).range(0, PROBABILITY_BASE),
        ],
    };
    const TWICE: &str = "is there twice";

    /// Leaves out a probability of 0, which is the same as none.
    fn unset_zero_odds(&mut self) {
        for odds in [&mut self.random_read_corrupt, &mut self.random_write_corrupt] {
            *odds = odds.filter(|odds| *odds > 0);
        }
    }
}

impl Operand for CorruptBioByte {
    fn read(given: &mut Given<'_, '_>) -> Result<Self, ParamsError> {
        let words = &mut *given.words;
        Ok(Self {
            nth_byte: words.number("the byte to replace")?,
            direction: match words.next("the direction")? {
                "r" | "R" => Direction::Read,
                "w" | "W" => Direction::Write,
                _ => return Err(words.wrong("the direction of corrupt_bio_byte must be r or w")),
            },
            value: words.number("the new value of the byte")?,
            flags: words.number("the flags of the requests")?,
        })
    }

    fn print(&self, word: &str, _: Syntax, out: &mut Printer) {
        out.word(word).word(self.nth_byte).word(self.direction.letter()).word(self.value).word(self.flags);
    }
}

impl TargetKind for Flakey {
    const NAME: &'static str = "flakey";
    const DOC: Doc = Doc {
        summary: "Works for some seconds, then fails for some, over and over. What failing means is said by the \
                  features; with none of them every request fails.",
        since: "2.6",
        writes: "Nothing.",
        changes: "Intervals and features are a `reload`, which starts the timer again. Another device or offset maps \
                  the same sectors to another place (`remap`).",
        example: "type = \"flakey\"\nlength = \"1MiB\"\ndevice = \"/dev/disk/by-id/disk-a\"\nup_interval = 59\n\
                  down_interval = 1\ndrop_writes = true",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let mut flakey = Self {
            device: words.device("the device")?,
            offset: words.sectors("the offset")?,
            up_interval: words.number("the up interval in seconds")?,
            down_interval: words.number("the down interval in seconds")?,
            ..Self::default()
        };
        Self::FEATURES.parse(&mut flakey, &mut words.counted("features")?)?;
        flakey.unset_zero_odds();
        if flakey.fails_all() {
            (flakey.error_reads, flakey.error_writes) = (false, false);
        }
        Ok(flakey)
    }

    fn print(&self, out: &mut Printer) {
        out.device(&self.device).word(self.offset).word(self.up_interval).word(self.down_interval);
        if self.fails_all() {
            return;
        }
        let mut printed = self.clone();
        printed.unset_zero_odds();
        out.counted(|out| Self::FEATURES.print(&printed, out));
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        differences.field("device", &self.device, &live.device, Effect::Remap);
        differences.field("offset", &self.offset, &live.offset, Effect::Remap);
        let [up, live_up] = [self, live].map(|of| Unit::Seconds.of(of.up_interval));
        differences.field("up_interval", &up, &live_up, Effect::Tune);
        let [down, live_down] = [self, live].map(|of| Unit::Seconds.of(of.down_interval));
        differences.field("down_interval", &down, &live_down, Effect::Tune);
        if self.fails_all() && live.fails_all() {
            return;
        }
        let reads = |of: &Self| of.error_reads || of.fails_all();
        let writes = |of: &Self| of.error_writes || of.fails_all();
        differences.field("error_reads", &reads(self), &reads(live), Effect::Tune);
        differences.field("drop_writes", &self.drop_writes, &live.drop_writes, Effect::Tune);
        differences.field("error_writes", &writes(self), &writes(live), Effect::Tune);
        Self::FEATURES.compare(self, live, differences);
    }
}

impl Target for Flakey {
    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        smallvec![DeviceUse::write(&self.device, self.offset.0, length)]
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.device]
    }

    fn check(&self, _: Option<u64>, problems: &mut Problems) {
        let interval = u64::from(self.up_interval) + u64::from(self.down_interval);
        if interval == 0 {
            problems.at("up_interval", "up_interval and down_interval must not both be 0").nearest(1);
        }
        if interval > u64::from(u32::MAX) {
            problems.at(
                "up_interval",
                format!("up_interval and down_interval must not be more than {} s together", u32::MAX),
            );
        }
        Self::FEATURES.check(self, problems);
        if let Some(corrupt) = &self.corrupt_bio_byte {
            problems.range("corrupt_bio_byte.nth_byte", u64::from(corrupt.nth_byte), 1, u64::from(u32::MAX));
        }
        self.check_exclusions(problems);
    }

    fn linear_map(&self) -> Option<(&Device, u64)> {
        Some((&self.device, self.offset.0))
    }
}

impl Flakey {
    /// What the kernel refuses together. Other features that leave nothing to each other it takes.
    fn check_exclusions(&self, problems: &mut Problems) {
        let mut exclude = |one: &str, other: &str| {
            problems.at(one, format!("{one} and {other} exclude each other: leave one out"));
        };
        if self.drop_writes && self.error_writes {
            exclude("drop_writes", "error_writes");
        }
        let writes = [("drop_writes", self.drop_writes), ("error_writes", self.error_writes)];
        for (feature, _) in writes.into_iter().filter(|(_, on)| *on) {
            if self.corrupts(Direction::Write) {
                exclude(feature, "corrupt_bio_byte of writes");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::kit::{
        check, compare, device, parse, print, problems, round_trip, sectors, try_parse,
    };

    fn corrupt() -> impl Strategy<Value = CorruptBioByte> {
        let direction = prop_oneof![Just(Direction::Read), Just(Direction::Write)];
        (1u32.., direction, any::<u8>(), any::<u32>()).prop_map(|(nth_byte, direction, value, flags)| {
            CorruptBioByte { nth_byte, direction, value, flags }
        })
    }

    fn flakey() -> impl Strategy<Value = Flakey> {
        let odds = || prop::option::of(1u32..=1_000_000_000);
        let place = (device(), sectors(), 0u32..1 << 31, 1u32..1 << 31);
        let flags = (any::<bool>(), 0u8..3);
        (place, flags, prop::option::of(corrupt()), odds(), odds())
            .prop_map(
                |((device, offset, up_interval, down_interval), (reads, writes), corrupt, read, write)| {
                    Flakey {
                        device,
                        offset,
                        up_interval,
                        down_interval,
                        error_reads: reads,
                        drop_writes: writes == 1,
                        error_writes: writes == 2,
                        corrupt_bio_byte: corrupt,
                        random_read_corrupt: read,
                        random_write_corrupt: write,
                    }
                },
            )
            .prop_filter("a row the kernel refuses, or one of two ways to say that all fails", |flakey| {
                problems(flakey, None).is_empty() && !(flakey.fails_all() && flakey.error_reads)
            })
    }

    proptest! {
        #[test]
        fn rows_read_back(flakey in flakey()) {
            round_trip(&flakey)?;
        }
    }

    #[test]
    fn failing_all_has_three_spellings() {
        let rows = [
            "1:0 0 5 5",
            "1:0 0 5 5 0 ",
            "1:0 0 5 5 2 error_reads error_writes",
            "1:0 0 5 5 2 \
                    random_read_corrupt 0",
        ];
        for one in rows {
            assert_eq!(print(&parse::<Flakey>(one)), rows[0]);
            for other in rows {
                assert!(compare::<Flakey>(one, other).is_equal(), "{one} / {other}");
            }
            assert!(!compare::<Flakey>(one, "1:0 0 5 5 1 error_writes").is_equal());
            assert!(!compare::<Flakey>(one, "1:0 0 5 5 1 drop_writes").is_equal());
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_found() {
        assert_eq!(check::<Flakey>("1:0 0 0 0", None).len(), 1);
        assert_eq!(check::<Flakey>("1:0 0 4294967295 1", None).len(), 1);
        for features in [
            "2 drop_writes error_writes",
            "6 drop_writes corrupt_bio_byte 1 w 0 0",
            "6 error_writes corrupt_bio_byte 1 W 0 0",
            "5 corrupt_bio_byte 0 r 1 0",
            "2 random_read_corrupt 1000000001",
        ] {
            assert_eq!(check::<Flakey>(&format!("1:0 0 5 5 {features}"), None).len(), 1, "{features}");
        }
        // Seen on 6.12.
        for features in [
            "6 error_reads corrupt_bio_byte 1 R 0 0",
            "3 error_writes random_write_corrupt 9",
            "3 error_reads random_read_corrupt 9",
        ] {
            assert!(check::<Flakey>(&format!("1:0 0 5 5 {features}"), None).is_empty(), "{features}");
        }
        for features in [
            "1 nonsense",
            "2 drop_writes",
            "2 drop_writes DROP_WRITES",
            "4 corrupt_bio_byte 1 r 0",
            "5 corrupt_bio_byte 1 x 0 0",
        ] {
            assert!(try_parse::<Flakey>(&format!("1:0 0 5 5 {features}")).is_err(), "{features}");
        }
    }
}
