//! How a wanted RAID differs from a live one.
//!
//! `sync`, `rebuild`, `delta_disks` and `data_offset` are orders: the kernel carries them out once and goes
//! on to print them, so they are never compared.

use std::collections::BTreeSet;

use super::level::Family;
use super::{JournalMode, Raid};
use crate::device::Device;
use crate::targets::{Differences, Effect};
use crate::units::Sectors;

/// What the kernel does with another layout.
const RESHAPES: &str =
    "the kernel rewrites the whole array, or refuses, or ignores it where there is no room for that";

pub(super) fn compare(wanted: &Raid, live: &Raid, differences: &mut Differences) {
    layout(wanted, live, differences);
    devices(wanted, live, differences);
    tunables(wanted, live, differences);
}

fn layout(wanted: &Raid, live: &Raid, differences: &mut Differences) {
    differences.field_with_reason("level", &wanted.level, &live.level, Effect::Remap, RESHAPES);
    // raid1 has no chunks: the kernel prints 0 whatever it was given.
    if wanted.level.family() != Family::Mirror || live.level.family() != Family::Mirror {
        differences.field_with_reason("chunk", &wanted.chunk, &live.chunk, Effect::Remap, RESHAPES);
    }
    let copies = |raid: &Raid| raid.raid10_copies.unwrap_or(2);
    differences.field_with_reason("raid10_copies", &copies(wanted), &copies(live), Effect::Remap, RESHAPES);
    let format = |raid: &Raid| raid.raid10_format.unwrap_or(raid.level.raid10_format());
    differences.field_with_reason("raid10_format", &format(wanted), &format(live), Effect::Remap, RESHAPES);
}

fn devices(wanted: &Raid, live: &Raid, differences: &mut Differences) {
    let (count, live_count) = (wanted.devices.len(), live.devices.len());
    differences.field_with_reason("devices", &count, &live_count, Effect::Remap, RESHAPES);
    for (index, (wanted, live)) in wanted.devices.iter().zip(&live.devices).enumerate() {
        let mut device = |name, wanted: &Option<Device>, live: &Option<Device>| {
            let field = format!("devices[{index}].{name}");
            differences.optional(&field, wanted.as_ref(), live.as_ref(), Effect::Remap);
        };
        device("metadata", &wanted.metadata, &live.metadata);
        device("data", &wanted.data, &live.data);
    }
    let mode = |raid: &Raid| raid.journal_mode.unwrap_or(JournalMode::Writethrough);
    differences.field("journal_mode", &mode(wanted), &mode(live), Effect::Tune);
}

fn tunables(wanted: &Raid, live: &Raid, differences: &mut Differences) {
    Raid::OPTIONS.compare(wanted, live, differences);
    let sorted = |raid: &Raid| raid.write_mostly.iter().copied().collect::<BTreeSet<u32>>();
    let (write_mostly, live_write_mostly) = (sorted(wanted), sorted(live));
    if write_mostly != live_write_mostly {
        let [wanted, live] = [write_mostly, live_write_mostly].map(|places| format!("{places:?}"));
        differences.field("write_mostly", &wanted, &live, Effect::Tune);
    }
    let kept = stripe_cache(wanted, live);
    differences.optional("stripe_cache", wanted.stripe_cache.as_ref(), kept.as_ref(), Effect::Tune);
    // Taken in sectors, printed in KiB.
    let printed = wanted.max_write_behind.map(|sectors| Sectors(sectors.0 / 2));
    if printed != live.max_write_behind {
        let live = live.max_write_behind.map(|kib| Sectors(kib.0.saturating_mul(2)));
        let wanted = wanted.max_write_behind.as_ref();
        differences.optional("max_write_behind", wanted, live.as_ref(), Effect::Tune);
    }
}

/// The live stripe cache as it compares with the wanted one. What is given is the least the kernel keeps: it
/// takes at least half a chunk, takes more under load, and prints what it has. One that is large enough is
/// the one that was wanted.
fn stripe_cache(wanted: &Raid, live: &Raid) -> Option<u64> {
    match (wanted.stripe_cache, live.stripe_cache) {
        (Some(least), Some(kept)) if kept >= least => Some(least),
        (_, kept) => kept,
    }
}
