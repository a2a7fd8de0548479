//! What a difference between a wanted and a live `integrity` means.
//!
//! The kernel prints every value it runs with, so a value that the map doesn't set is not compared. One that
//! it sets is compared with what the kernel makes of it. Three kinds of fields differ for good: those the
//! superblock holds and the kernel insists on (another value is refused), those the superblock holds and the
//! kernel keeps to itself (another value is ignored: a warning, for a reload would never end), and orders
//! that are carried out once.

use super::super::{Differences, Effect, Unit, keyed};
use super::layout::Section;
use super::{Algorithm, Integrity, Mode};
use crate::targets::{IgnoredValue, Value};
use crate::units::{Bytes, SECTOR, Sectors};

/// The coarsest clock tick of a kernel, in milliseconds: times are rounded up to a tick.
const TICK: u32 = 10;

pub(super) fn compare(wanted: &Integrity, live: &Integrity, differences: &mut Differences) {
    differences.field("device", &wanted.device, &live.device, Effect::Remap);
    differences.field("reserved", &wanted.reserved, &live.reserved, Effect::Remap);
    formatted(wanted, live, differences);
    ignored(wanted, live, differences);
    algorithm("internal_hash", wanted.internal_hash.as_ref(), live.internal_hash.as_ref(), differences);
    algorithm("journal_crypt", wanted.journal_crypt.as_ref(), live.journal_crypt.as_ref(), differences);
    if wanted.journal_mac.is_some() == live.journal_mac.is_some() {
        algorithm("journal_mac", wanted.journal_mac.as_ref(), live.journal_mac.as_ref(), differences);
    }
    tunables(wanted, live, differences);
}

/// Why another value of what the superblock holds takes another device.
const FIXED: &str = "it was set when the device was formatted, and the kernel rejects a different value";

/// Compares fields that the superblock holds and the kernel insists on.
fn formatted(wanted: &Integrity, live: &Integrity, differences: &mut Differences) {
    let recreate = Effect::Recreate;
    let (device, live_device) = (wanted.meta_device.as_ref(), live.meta_device.as_ref());
    differences.optional_with_reason("meta_device", device, live_device, recreate, FIXED);
    if let (Some(wanted), Some(live)) = (wanted_tag(wanted, live), live.tag()) {
        let [wanted, live] = [wanted, live].map(|size| Unit::Bytes.of(size));
        differences.field_with_reason("tag_size", &wanted, &live, recreate, FIXED);
    }
    if let Some(size) = wanted.block_size {
        let live_size = Bytes(live.sectors_per_block() * SECTOR);
        differences.field_with_reason("block_size", &size, &live_size, recreate, FIXED);
    }
    let mac = |integrity: &Integrity| integrity.journal_mac.is_some().then_some("set");
    differences.optional_with_reason(
        "journal_mac",
        mac(wanted).as_ref(),
        mac(live).as_ref(),
        recreate,
        FIXED,
    );
    if (wanted.mode == Mode::Inline) != (live.mode == Mode::Inline) {
        differences.field_with_reason("mode", &wanted.mode, &live.mode, recreate, FIXED);
    }
}

/// Returns the tag size that the map asks for, by the field or by another hash than the live one.
fn wanted_tag(wanted: &Integrity, live: &Integrity) -> Option<u32> {
    let name = |integrity: &Integrity| integrity.internal_hash.as_ref().map(|hash| hash.algorithm.clone());
    if wanted.tag_size.is_none() && name(wanted) == name(live) { None } else { wanted.tag() }
}

/// Warns about fields that the superblock holds and the kernel ignores.
fn ignored(wanted: &Integrity, live: &Integrity, differences: &mut Differences) {
    if live.mode == Mode::Inline {
        return;
    }
    let mut tell = |field: &'static str, wanted: u64, live: u64| {
        if wanted != live {
            let (live, wanted) = (Value::Number(live), Value::Number(wanted));
            differences.ignore(IgnoredValue::Formatted { field, live, wanted });
        }
    };
    if let (Some(sectors), Some(journal)) = (wanted.journal_sectors, live.journal_sectors) {
        let section = section(live);
        tell("journal_sectors", section.count(sectors.0) * section.sectors, journal.0);
    }
    if let (Some(sectors), Some(interleave), None) =
        (wanted.interleave_sectors, live.interleave_sectors, &live.meta_device)
    {
        tell("interleave_sectors", power_below(sectors).clamp(1 << 3, 1 << 31), interleave.0);
    }
    for (field, wanted, live) in
        [("fix_padding", wanted.fix_padding, live.fix_padding), ("fix_hmac", wanted.fix_hmac, live.fix_hmac)]
    {
        if wanted && !live {
            differences.ignore(IgnoredValue::SwitchedOff(field));
        }
    }
}

/// Returns a section of the journal of a live device.
fn section(live: &Integrity) -> Section {
    let tag = u64::from(live.tag().unwrap_or(4));
    Section::new(live.sectors_per_block(), tag, live.journal_mac.is_some())
}

/// A watermark as the kernel prints it: computed from a count of entries.
fn watermark(percent: u32, live: &Integrity) -> Option<u32> {
    let section = section(live);
    let entries = live.journal_sectors?.0 / section.sectors * section.entries;
    let free = (entries.checked_mul(u64::from(100u32.checked_sub(percent)?))? + 50) / 100;
    let printed = ((entries - free).checked_mul(100)? + entries / 2).checked_div(entries)?;
    u32::try_from(printed).ok()
}

/// Returns the largest power of two that is not larger; 1 for 0.
fn power_below(sectors: Sectors) -> u64 {
    sectors.0.checked_ilog2().map_or(1, |log| 1 << log)
}

fn algorithm(
    field: &str,
    wanted: Option<&Algorithm>,
    live: Option<&Algorithm>,
    differences: &mut Differences,
) {
    let name = |algorithm: Option<&Algorithm>| {
        algorithm.map_or_else(|| "unset".to_string(), |algorithm| algorithm.algorithm.clone())
    };
    let why = "what the other one wrote is then not believed, or not understood";
    differences.field_with_reason(field, &name(wanted), &name(live), Effect::Remap, why);
    if let (Some(wanted), Some(live)) = (wanted, live) {
        keyed::compare(differences, &format!("{field}.key"), &wanted.key, &live.key);
    }
}

/// Compares fields that a reload changes.
fn tunables(wanted: &Integrity, live: &Integrity, differences: &mut Differences) {
    if wanted.mode != Mode::Inline && live.mode != Mode::Inline {
        differences.field("mode", &wanted.mode, &live.mode, Effect::Tune);
    }
    Integrity::OPTIONS.compare(wanted, live, differences);
    if live.mode != Mode::Inline {
        buffer(wanted, live, differences);
    }
    if live.mode == Mode::Journal {
        let near = |wanted: u32, printed: u32| {
            wanted.abs_diff(printed) <= 1 || watermark(wanted, live) == Some(printed)
        };
        Tunable {
            field: "journal_watermark",
            unit: Unit::Percent,
            wanted: wanted.journal_watermark,
            live: live.journal_watermark,
        }
        .compare(near, differences);
        Tunable {
            field: "commit_time",
            unit: Unit::Milliseconds,
            wanted: wanted.commit_time,
            live: live.commit_time,
        }
        .compare(|wanted, live| wanted == live, differences);
    }
    if live.mode == Mode::Bitmap {
        let rounded = |wanted: u32, live: u32| live.checked_sub(wanted).is_some_and(|more| more < TICK);
        Tunable {
            field: "bitmap_flush_interval",
            unit: Unit::Milliseconds,
            wanted: wanted.bitmap_flush_interval,
            live: live.bitmap_flush_interval,
        }
        .compare(rounded, differences);
        bits(wanted, live, differences);
    }
}

/// A number that a reload changes. It is compared when the map sets it.
struct Tunable {
    field: &'static str,
    unit: Unit,
    wanted: Option<u32>,
    live: Option<u32>,
}

impl Tunable {
    /// Compares the two; `same` knows how the kernel rounds.
    fn compare(self, same: impl Fn(u32, u32) -> bool, differences: &mut Differences) {
        let is_same = match (self.wanted, self.live) {
            (None, _) => true,
            (Some(wanted), Some(live)) => same(wanted, live),
            (Some(_), None) => false,
        };
        if !is_same {
            let [wanted, live] = [self.wanted, self.live].map(|value| value.map(|value| self.unit.of(value)));
            differences.optional(self.field, wanted.as_ref(), live.as_ref(), Effect::Tune);
        }
    }
}

/// Compares the size of a buffer. It is a power of two, and shrinks until it divides an area of tags; one that is printed as it
/// was asked for is as wanted.
fn buffer(wanted: &Integrity, live: &Integrity, differences: &mut Differences) {
    let Some(sectors) = wanted.buffer_sectors else { return };
    let asked = power_below(sectors).min(1 << 22);
    let running = live.buffer_sectors.map(power_below);
    let same = match (running, area_of_tags(live)) {
        (None, _) => false,
        (Some(running), Some(area)) => running == asked || running == asked.min(area & area.wrapping_neg()),
        // On a device of its own the buffers shrink until all tags fit, by how much isn't printed.
        (Some(running), None) => running == asked || (8..asked).contains(&running),
    };
    if !same {
        let running = live.buffer_sectors.as_ref();
        differences.optional("buffer_sectors", Some(&Sectors(asked)), running, Effect::Tune);
    }
}

/// Returns the sectors of one area of tags between the data (`metadata_run`); `None` with `meta_device`, or
/// where the fields that it follows from are not printed.
fn area_of_tags(live: &Integrity) -> Option<u64> {
    if live.meta_device.is_some() {
        return None;
    }
    let interleave = live.interleave_sectors?.0;
    let tags = u64::from(live.tag()?).checked_mul(interleave / live.sectors_per_block())?;
    let padding = if live.fix_padding { 4096 } else { 128 << 10 };
    let area = tags.checked_next_multiple_of(padding)? / SECTOR;
    (area > 0).then_some(area)
}

/// Compares the sectors of a bit. The kernel takes more than asked where the bitmap would not fit the journal. That
/// looks like a table that asked for more: only fewer than asked is a difference.
fn bits(wanted: &Integrity, live: &Integrity, differences: &mut Differences) {
    let Some(sectors) = wanted.sectors_per_bit else { return };
    let asked = power_below(sectors).max(live.sectors_per_block());
    match live.sectors_per_bit.map(|sectors| sectors.0) {
        Some(running) if running == asked => {}
        Some(running) if running > asked => differences.ignore(IgnoredValue::Enlarged {
            field: "sectors_per_bit",
            live: Value::Number(running),
            wanted: Value::Number(asked),
            rule: "the kernel takes more where the bitmap would not fit the journal",
        }),
        _ => {
            let running = live.sectors_per_bit.as_ref();
            differences.optional("sectors_per_bit", Some(&Sectors(asked)), running, Effect::Tune);
        }
    }
}
