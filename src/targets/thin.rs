//! `thin`: a volume of a thin pool. Kernel source: `drivers/md/dm-thin.c`.

mod state;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::failed::Failed;
use super::thin_pool::ThinPool;
use super::{
    DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, Effect, FreshRow, Incomparable, LiveRow,
    NeededBelow, ParamsError, Prepare, Printer, Problems, RemainingLength, SizeOf, State, Status, Target,
    TargetKind, Traits, Words,
};
use crate::device::Device;
use crate::identity::DevNum;

/// The largest id of a volume (`MAX_DEV_ID`): 24 bits.
const MAX_ID: u64 = (1 << 24) - 1;

/// A volume of a thin pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Thin {
    /// The pool.
    pub pool: Device,
    /// The id of the volume within the pool, 0 to 16777215.
    pub id: u32,
    /// A device outside the pool that is read, and never written, where the volume has no block of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_origin: Option<Device>,
    /// Make the volume in the pool when it isn't there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub create: bool,
    /// Make the volume when it isn't there, as a snapshot of the volume with this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_of: Option<u32>,
    /// Whether the kernel printed a failure in place of all this.
    #[serde(skip_deserializing, skip_serializing_if = "Failed::is_not")]
    #[schemars(skip)]
    pub failed: Failed,
}

impl Thin {
    /// A volume that is there already.
    fn of(pool: Device, id: u32, external_origin: Option<Device>) -> Self {
        Self { pool, id, external_origin, create: false, snapshot_of: None, failed: Failed::default() }
    }
}

impl TargetKind for Thin {
    const NAME: &'static str = "thin";
    const MODULE: Option<&'static str> = Some("dm-thin-pool");
    const TRAITS: Traits = Traits { status: Status::Always, ..Traits::PLAIN };
    const DOC: Doc = Doc {
        summary: "A volume of a thin pool: it takes blocks of the pool as it is written. Its length is free, \
                  whatever the pool has.",
        since: "3.2",
        writes: "Nothing. With create or snapshot_of the pool is told to make the volume first.",
        changes: "Another length is a `reload`, or a `remap` where it shrinks. Another pool, id or external \
                  origin is other data (`remap`).",
        example: "type = \"thin\"\nlength = \"10GiB\"\npool = \"/dev/mapper/pool\"\nid = 0\ncreate = true",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let failed = Failed::parse(words);
        if failed.is() {
            // Stands for a volume of which the kernel tells nothing; its pool is never looked at.
            return Ok(Self { failed, ..Self::of(Device::numbered(DevNum::new(0, 0)), 0, None) });
        }
        let (pool, id) = (words.device("the pool")?, words.number("the id of the volume")?);
        let origin = if words.left() > 0 { Some(words.device("the external origin")?) } else { None };
        Ok(Self::of(pool, id, origin))
    }

    fn print(&self, out: &mut Printer) {
        if self.failed.is() {
            out.word("Fail");
            return;
        }
        out.device(&self.pool).word(self.id);
        if let Some(origin) = &self.external_origin {
            out.device(origin);
        }
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        if live.failed.is() {
            return differences.unknown(Incomparable::Unreadable(Failed::WHY));
        }
        // How the volume came to be is an order to the pool, carried out once, and no part of the table.
        differences.field("pool", &self.pool, &live.pool, Effect::Remap);
        differences.field("id", &self.id, &live.id, Effect::Remap);
        differences.optional(
            "external_origin",
            self.external_origin.as_ref(),
            live.external_origin.as_ref(),
            Effect::Remap,
        );
    }

    fn for_reload(&self, live: &Self, _: Option<&dyn State>) -> Self {
        let there = self.volume() == live.volume();
        if there { Self::of(self.pool.clone(), self.id, self.external_origin.clone()) } else { self.clone() }
    }
}

impl Target for Thin {
    fn read_state(&self, words: &mut Words<'_>, row: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(words, row.length)
    }

    fn fresh_state(&self, _: FreshRow<'_>) -> String {
        "0 -".to_string()
    }

    fn keeps_state(&self) -> bool {
        true
    }

    fn lower_devices(&self, _: u64) -> DeviceUses<'_> {
        if self.failed.is() {
            return DeviceUses::new();
        }
        let mut lowers = smallvec![DeviceUse::whole(&self.pool, DeviceAccess::Shared)];
        lowers.extend(
            self.external_origin.iter().map(|origin| DeviceUse::whole(origin, DeviceAccess::Read).apart()),
        );
        lowers
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        if self.failed.is() {
            return Vec::new();
        }
        std::iter::once(&mut self.pool).chain(self.external_origin.as_mut()).collect()
    }

    fn check(&self, _: Option<u64>, problems: &mut Problems) {
        if self.failed.is() {
            problems.at("", Failed::WHY);
        }
        problems.range("id", u64::from(self.id), 0, MAX_ID);
        if let Some(origin) = self.snapshot_of {
            problems.range("snapshot_of", u64::from(origin), 0, MAX_ID);
            if origin == self.id {
                problems
                    .at("snapshot_of", "a volume can't be a snapshot of itself")
                    .help("give it another id");
            }
        }
        if self.external_origin.as_ref() == Some(&self.pool) {
            problems.at("external_origin", "the external origin must be outside the pool");
        }
    }

    fn remaining_length(&self, _: SizeOf<'_>) -> RemainingLength {
        RemainingLength::NotApplicable
    }

    fn prepare(&self) -> Option<Prepare<'_>> {
        let message = match self.snapshot_of {
            Some(origin) => format!("create_snap {} {origin}", self.id),
            None if self.create => format!("create_thin {}", self.id),
            None => return None,
        };
        Some(Prepare { device: &self.pool, message, copies: self.snapshot_of })
    }

    /// `thin_ctr` asks for the mapped device (`dm_get_md`), and for the pool that it is (`__pool_table_lookup`).
    fn needs_below(&self) -> Option<NeededBelow<'_>> {
        let pool = || NeededBelow { device: &self.pool, kind: ThinPool::NAME, tags: None };
        (!self.failed.is()).then(pool)
    }

    fn volume(&self) -> Option<(&Device, u32)> {
        (!self.failed.is()).then_some((&self.pool, self.id))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::Target;
    use crate::targets::frame::ErasedTarget;
    use crate::targets::kit::{self, device};

    proptest! {
        #[test]
        fn what_is_printed_reads_back(
            pool in device(), id in 0u32..1 << 24, origin in prop::option::of(device()),
        ) {
            let volume = Thin::of(pool, id, origin);
            kit::round_trip(&volume)?;
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        kit::refused::<Thin>("254:0 16777216", "nearest is 16777215");
        kit::refused::<Thin>("254:0 4294967296", "too large");
        kit::refused::<Thin>("254:0 1 254:0", "outside the pool");
    }

    #[test]
    fn a_volume_is_made_by_a_message_to_its_pool() {
        let read = |text: &str| toml::from_str::<Thin>(text).unwrap();
        let message = |thin: &Thin| thin.prepare().map(|it| format!("{} {}", it.device, it.message));
        assert_eq!(message(&read("pool = '254:0'\nid = 1")), None);
        assert_eq!(message(&read("pool = '254:0'\nid = 1\ncreate = true")).unwrap(), "254:0 create_thin 1");
        let snapshot = read("pool = '254:0'\nid = 2\ncreate = true\nsnapshot_of = 1");
        assert_eq!(message(&snapshot).unwrap(), "254:0 create_snap 2 1");
        assert!(kit::differences(&snapshot, &kit::parse("254:0 2")).is_equal());
    }

    #[test]
    fn a_failed_volume_is_unknown() {
        for row in ["Fail", "-"] {
            let live = kit::parse::<Thin>(row);
            assert!(kit::differences(&kit::parse("254:0 0"), &live).unknown.is_some());
            assert!(live.fields().is_empty());
            assert!(!kit::problems(&live, Some(8192)).is_empty());
        }
        assert!(toml::from_str::<Thin>("pool = '254:0'\nid = 0\nfailed = true").is_err());
    }
}
