//! The tags that lower devices keep with their blocks, as `crypt_integrity_ctr` in `drivers/md/dm-crypt.c` of Linux 6.1
//! looks at them.

use super::model::Model;
use crate::identity::DevNum;
use crate::targets::{self, KeptTags, NeededTags, Target};

/// The tags of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Profile {
    Absent,
    Known(KeptTags),
    /// A disk with tags, or a type that dmctl does not know.
    Unknown,
}

/// Refuses a target whose lower device does not keep the tags that it needs, with a line for the log.
pub(super) fn load(model: &Model, typed: &dyn Target) -> Result<(), &'static str> {
    let need = typed.needs_below().and_then(|need| Some((need.device.number?, need.tags?)));
    let Some((number, NeededTags { tags, used, .. })) = need else { return Ok(()) };
    match profile(model, number) {
        Profile::Absent => Err("Integrity profile not supported."),
        Profile::Known(kept) if kept.size != tags.size => Err("Integrity profile tag size mismatch."),
        Profile::Known(kept) if kept.block != tags.block => Err("Integrity profile sector size mismatch."),
        Profile::Known(kept) if kept.size != used => {
            Err("Not enough space for integrity tag in the profile.")
        }
        Profile::Known(_) | Profile::Unknown => Ok(()),
    }
}

/// Finds the tags of a device: a mapped one has those of its target, or those of all its lower devices
/// (`dm_table_get_integrity_disk` in `drivers/md/dm-table.c`).
fn profile(model: &Model, number: DevNum) -> Profile {
    let Some(mapping) = model.mapping(number) else {
        let keeps = model.disk(number).is_some_and(|disk| disk.keeps_tags);
        return if keeps { Profile::Unknown } else { Profile::Absent };
    };
    let mut common = None;
    for row in mapping.live.iter().flat_map(|live| live.rows.iter()) {
        let Ok(typed) = targets::parse(&row.kind, row.params()) else { return Profile::Unknown };
        if let Some(kept) = typed.kept_tags() {
            return Profile::Known(kept);
        }
        if targets::find(&row.kind).is_none() {
            return Profile::Unknown;
        }
        if !typed.traits().passes_tags {
            return Profile::Absent;
        }
        for lower in typed.lower_devices(row.length).iter().filter_map(|lower| lower.device.number) {
            match (profile(model, lower), common) {
                (Profile::Absent, _) => return Profile::Absent,
                (found, Some(first)) if found != first => return Profile::Absent,
                (found, _) => common = Some(found),
            }
        }
    }
    common.unwrap_or(Profile::Absent)
}
