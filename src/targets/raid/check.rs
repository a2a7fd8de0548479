//! What the kernel refuses of a RAID, found before it is asked (`parse_raid_params` and its helpers in
//! `drivers/md/dm-raid.c`).

use super::level::Family;
use super::{Raid, Resync};
use crate::device::Device;
use crate::targets::Problems;

/// The most devices of an array (`MAX_RAID_DEVICES`).
const MAX_DEVICES: u64 = 253;
/// The smallest chunk but for raid1, in sectors.
const MIN_CHUNK: u64 = 8;
/// The largest number the kernel reads here.
pub(super) const MAX_INT: u64 = i32::MAX as u64;
/// The largest power of two among them.
const MAX_POWER: u64 = 1 << 30;
/// The most regions the write-intent bitmap can have.
const MAX_REGIONS: u64 = 1 << 21;
/// The most sectors that may be behind on a write-mostly device: twice `COUNTER_MAX`, which counts in KiB.
pub(super) const MAX_WRITE_BEHIND: u64 = 2 * ((1 << 14) - 1) + 1;
/// What a reshape needs at least, and in steps of what, in sectors (`MIN_FREE_RESHAPE_SPACE`, a page).
const RESHAPE_SPACE: (u64, u64) = (32, 8);

/// Finds everything that is wrong with `raid`.
pub(super) fn check(raid: &Raid, length: Option<u64>, problems: &mut Problems) {
    sizes(raid, length, problems);
    devices(raid, problems);
    redundancy(raid, problems);
    indices(raid, problems);
    rates(raid, problems);
    reshape(raid, problems);
    fitting(raid, problems);
}

fn sizes(raid: &Raid, length: Option<u64>, problems: &mut Problems) {
    let family = raid.level.family();
    if family != Family::Mirror {
        problems.power_of_two("chunk", raid.chunk.0, MIN_CHUNK, MAX_POWER);
    }
    if let Some(region) = raid.region_size {
        // At least the chunk, at most the array, and never more regions than the bitmap holds.
        let chunk = if family == Family::Mirror { 1 } else { raid.chunk.0.max(1) };
        let needed = length.map_or(1, |length| length.div_ceil(MAX_REGIONS));
        let least = chunk.max(needed).checked_next_power_of_two().unwrap_or(MAX_POWER).min(MAX_POWER);
        let most = length.and_then(u64::checked_ilog2).map_or(MAX_POWER, |power| 1 << power.min(30));
        problems.power_of_two("region_size", region.0, least, most.max(least));
    }
    if let (Some(length), Some(step)) = (length, raid.stripe())
        && raid.delta_disks.is_none()
        && length % step != 0
    {
        let below = length / step * step;
        let message = format!(
            "length must be a multiple of {step} sectors, a chunk on each device that holds data; {length} is not, and the \
             array would be shorter than its device"
        );
        let help = match below {
            0 => format!("the shortest is {step}"),
            _ => format!("the nearest are {below} and {}", below.saturating_add(step)),
        };
        problems.at("length", message).help(help);
    }
}

fn devices(raid: &Raid, problems: &mut Problems) {
    problems.range("devices", raid.devices.len() as u64, raid.level.least_devices(), MAX_DEVICES);
    for (index, pair) in raid.devices.iter().enumerate() {
        if pair.data.is_none() && pair.metadata.is_some() {
            let message = "a metadata device needs a data device";
            problems.at(format!("devices[{index}].data"), message).help("leave both out for a missing one");
        }
        if pair.data.is_some() && pair.metadata.is_none() && raid.level.family() == Family::Copies {
            let says = "raid10 needs a metadata device beside every data device";
            problems.at(format!("devices[{index}].metadata"), says);
        }
    }
    let halves = raid.devices.iter().flat_map(|pair| pair.metadata.iter().chain(&pair.data));
    let all: Vec<&Device> = halves.chain(&raid.journal_device).collect();
    for (place, device) in all.iter().enumerate() {
        if all[..place].contains(device) {
            let message = format!("{device} has two places in the array");
            problems.at("devices", message).help("each needs a device of its own");
        }
    }
}

fn redundancy(raid: &Raid, problems: &mut Problems) {
    let missing = raid.devices.iter().filter(|pair| pair.data.is_none()).count();
    let lost = (missing + raid.rebuild.len()) as u64;
    let bearable = match raid.level.family() {
        Family::Stripes => 0,
        Family::Mirror => (raid.devices.len() as u64).saturating_sub(1),
        // Which of the copies may be lost depends on the layout: the kernel knows.
        Family::Copies => return,
        Family::Parity(parity) => parity,
    };
    // Devices that are added by a reshape are rebuilt without being missed.
    if lost > bearable && raid.delta_disks.is_none() {
        problems.at(
            "devices",
            format!("{lost} devices are missing or to be rebuilt, {} can do without {bearable}", raid.level),
        );
    }
}

fn indices(raid: &Raid, problems: &mut Problems) {
    let last = (raid.devices.len() as u64).saturating_sub(1);
    for (field, indices) in [("rebuild", &raid.rebuild), ("write_mostly", &raid.write_mostly)] {
        for (place, index) in indices.iter().enumerate() {
            problems.range(field, u64::from(*index), 0, last);
            if indices[..place].contains(index) {
                problems.at(field, format!("{field} names device {index} twice"));
            }
        }
    }
    if !raid.write_mostly.is_empty() && raid.write_mostly.len() >= raid.devices.len() {
        problems
            .at("write_mostly", "at least one device must be read from: write_mostly can't name them all");
    }
    if raid.sync.is_some() && !raid.rebuild.is_empty() {
        problems.at("rebuild", "rebuild can't be combined with sync");
    }
}

fn rates(raid: &Raid, problems: &mut Problems) {
    Raid::OPTIONS.check(raid, problems);
    if let Some(entries) = raid.stripe_cache {
        // What the stripes need at least (`rs_set_raid456_stripe_cache`) is within what there may be
        // (`raid5_set_cache_size`).
        let least = if raid.chunk.0 / 2 > 16 { 0 } else { 17 };
        problems.range("stripe_cache", entries, least, 32_768);
    }
    if let (Some(min), Some(max)) = (raid.min_recovery_rate, raid.max_recovery_rate)
        && max != 0
        && min > max
    {
        problems.at("min_recovery_rate", format!("min_recovery_rate {min} is above max_recovery_rate {max}"));
    }
}

fn reshape(raid: &Raid, problems: &mut Problems) {
    if let Some(delta) = raid.delta_disks {
        let most = MAX_DEVICES - raid.level.least_devices();
        if delta == 0 || u64::from(delta.unsigned_abs()) > most {
            problems
                .at("delta_disks", format!("delta_disks adds 1 to {most} devices, or takes as many away"));
        }
    }
    if let Some(offset) = raid.data_offset.filter(|offset| offset.0 != 0) {
        let (least, step) = RESHAPE_SPACE;
        problems.multiple("data_offset", offset.0, step, least, MAX_INT / step * step);
    }
    if let Some(copies) = raid.raid10_copies {
        problems.range("raid10_copies", u64::from(copies), 2, (raid.devices.len() as u64).max(2));
    }
    if raid.journal_mode.is_some() && raid.journal_device.is_none() {
        problems.at("journal_mode", "journal_mode needs a journal_device");
    }
}

/// Every field must fit the level.
fn fitting(raid: &Raid, problems: &mut Problems) {
    let family = raid.level.family();
    let parity = matches!(family, Family::Parity(_));
    let (redundant, mirror, copies) =
        (family != Family::Stripes, family == Family::Mirror, family == Family::Copies);
    for (field, given, fits, levels) in [
        ("sync", raid.sync.is_some(), redundant, "levels with redundancy"),
        ("rebuild", !raid.rebuild.is_empty(), redundant, "levels with redundancy"),
        ("region_size", raid.region_size.is_some(), redundant, "levels with redundancy"),
        ("daemon_sleep", raid.daemon_sleep.is_some(), redundant, "levels with redundancy"),
        ("min_recovery_rate", raid.min_recovery_rate.is_some(), redundant, "levels with redundancy"),
        ("max_recovery_rate", raid.max_recovery_rate.is_some(), redundant, "levels with redundancy"),
        ("delta_disks", raid.delta_disks.is_some(), redundant, "levels with redundancy"),
        ("write_mostly", !raid.write_mostly.is_empty(), mirror, "raid1"),
        ("max_write_behind", raid.max_write_behind.is_some(), mirror, "raid1"),
        ("stripe_cache", raid.stripe_cache.is_some(), parity, "raid4, raid5 and raid6"),
        ("journal_device", raid.journal_device.is_some(), parity, "raid4, raid5 and raid6"),
        ("raid10_copies", raid.raid10_copies.is_some(), copies, "raid10"),
        ("raid10_format", raid.raid10_format.is_some(), copies, "raid10"),
    ] {
        if given && !fits {
            let message = format!("{field} is only for {levels}, not for {}", raid.level);
            problems.at(field, message).help("leave it out");
        }
    }
    if family == Family::Parity(2) && raid.sync == Some(Resync::Nosync) {
        problems.at("sync", "raid6 must be made consistent before use: the kernel refuses nosync");
    }
}
