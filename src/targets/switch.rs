//! `switch`: regions of one device, each led over a path of its own. Kernel source:
//! `drivers/md/dm-switch.c`.
//!
//! Which region takes which path is set by message, never printed, and forgotten by every reload.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    DeviceUse, DeviceUses, Differences, Doc, Effect, Hazards, MessageForm, ParamsError, Printer, Problems,
    RemainingLength, SizeOf, Target, TargetKind, Traits, Words,
};
use crate::device::Device;
use crate::policy::Class;
use crate::units::Sectors;

/// Regions of one device, each led over a path of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Switch {
    /// How much is switched at once; any number of sectors from 1 to 4294967295.
    pub region_size: Sectors,
    /// The paths; messages count them from 0.
    pub paths: Vec<SwitchPath>,
}

/// One of the ways to the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SwitchPath {
    /// The device.
    pub device: Device,
    /// The first sector used of the device.
    #[serde(default)]
    pub offset: Sectors,
}

/// The messages that it takes.
const MESSAGES: &[MessageForm] = &[MessageForm::of(
    "set_region_mappings",
    "[REGION]:PATH ...",
    "leads regions over other paths, until the next reload; hexadecimal numbers",
    Class::Remap,
)];

impl TargetKind for Switch {
    const NAME: &'static str = "switch";
    const TRAITS: Traits = Traits { messages: MESSAGES, ..Traits::PLAIN };
    const DOC: Doc = Doc {
        summary: "Leads each region of a device over one of several paths. The message `set_region_mappings` says \
                  which; until then all regions take the first.",
        since: "3.10",
        writes: "Nothing.",
        changes: "The map of the regions is not in the table: every reload forgets it, and `messages` are sent again. \
                  Another region size, path, order of paths or offset is a `remap`.",
        example: "type = \"switch\"\nlength = \"1MiB\"\nregion_size = \"64KiB\"\npaths = [\n  { device = \
                  \"/dev/disk/by-path/a\" },\n  { device = \"/dev/disk/by-path/b\" },\n]\nmessages = \
                  [\"set_region_mappings 0:0 1:1\"]",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let count: usize = words.number("the number of paths")?;
        let region_size = words.sectors("the region size")?;
        let options: u64 = words.number("the count of options")?;
        if options != 0 {
            return Err(words.wrong("switch has no options: their count must be 0"));
        }
        if count.checked_mul(2) != Some(words.left()) {
            return Err(words.wrong(format!(
                "{count} paths take a device and an offset each, {} words follow",
                words.left()
            )));
        }
        let mut paths = Vec::new();
        while words.left() > 0 {
            paths.push(SwitchPath {
                device: words.device("the device of a path")?,
                offset: words.sectors("the offset of a path")?,
            });
        }
        Ok(Self { region_size, paths })
    }

    fn print(&self, out: &mut Printer) {
        out.word(self.paths.len()).word(self.region_size).word(0);
        for path in &self.paths {
            out.device(&path.device).word(path.offset);
        }
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        differences.field("region_size", &self.region_size, &live.region_size, Effect::Remap);
        differences.field("paths", &self.paths.len(), &live.paths.len(), Effect::Remap);
        for (index, (wanted, live)) in self.paths.iter().zip(&live.paths).enumerate() {
            let field = |name| format!("paths[{index}].{name}");
            differences.field(&field("device"), &wanted.device, &live.device, Effect::Remap);
            differences.field(&field("offset"), &wanted.offset, &live.offset, Effect::Remap);
        }
    }
}

impl Target for Switch {
    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        self.paths.iter().map(|path| DeviceUse::write(&path.device, path.offset.0, length)).collect()
    }

    fn has_ways(&self) -> bool {
        true
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        self.paths.iter_mut().map(|path| &mut path.device).collect()
    }

    fn check(&self, _: Option<u64>, problems: &mut Problems) {
        if self.paths.is_empty() {
            problems.at("paths", "switch needs at least one path");
        }
        problems.range("region_size", self.region_size.0, 1, u64::from(u32::MAX));
    }

    fn hazards(&self) -> Hazards {
        let hidden = "which region leads to which path was told by messages, which a table does not show";
        Hazards { hidden_state: Some(hidden), ..Hazards::default() }
    }

    /// Every path leads to the same sectors, so the shortest one ends the row.
    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        let paths = self.paths.iter();
        RemainingLength::shortest(
            paths.map(|path| RemainingLength::from_sector(&path.device, path.offset.0, size_of)),
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::kit::{check, compare, device, parse, round_trip, sectors, try_parse};

    proptest! {
        #[test]
        fn rows_read_back(
            region_size in 1u64..=u64::from(u32::MAX),
            paths in prop::collection::vec((device(), sectors()), 1..6),
        ) {
            let paths = paths.into_iter().map(|(device, offset)| SwitchPath { device, offset }).collect();
            round_trip(&Switch { region_size: Sectors(region_size), paths })?;
        }
    }

    #[test]
    fn counts_and_ranges() {
        for bad in ["2 8 0 1:0 0", "1 8 1 1:0 0", "1 8 0 1:0 0 1:1 0", "18446744073709551615 8 0 1:0 0"] {
            assert!(try_parse::<Switch>(bad).is_err(), "{bad}");
        }
        assert_eq!(check::<Switch>("1 0 0 1:0 0", None)[0].field, "region_size");
        assert_eq!(check::<Switch>("0 8 0", None)[0].field, "paths");
        assert_eq!(compare::<Switch>("1 8 0 1:0 0", "1 16 0 1:0 0").effect(), Some(Effect::Remap));
    }

    #[test]
    fn the_shortest_path_ends_the_row() {
        let switch: Switch = parse("2 8 0 1:0 0 1:1 4");
        assert_eq!(switch.remaining_length(&|_| Some(100)), RemainingLength::Sectors(96));
        assert!(matches!(switch.remaining_length(&|_| Some(4)), RemainingLength::TooSmall(_)));
        assert_eq!(switch.remaining_length(&|_| None), RemainingLength::Unknown);
    }
}
