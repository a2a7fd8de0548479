//! Snapshots: which mapping has the blocks of a COW device, and which snapshots are torn.
//!
//! A merge takes the blocks over from the snapshot, which must be suspended (`snapshot_preresume` in
//! `drivers/md/dm-snap.c`). What writes an origin is split at the smallest chunk of the snapshots that were loaded when it
//! was resumed (`origin_resume`, `snapshot_merge_resume`), and only the first chunk of each part is copied: a snapshot
//! with smaller chunks that serves I/O beside such a device is torn by the next large write, and stays so.

use nix::errno::Errno;

use super::mapping::Loaded;
use super::model::Model;
use super::refusal::Refusal;
use crate::identity::DevNum;
use crate::table::RawRow;
use crate::targets::{self, OriginUse};

/// Returns the COW device in a row of one of these types.
fn cow(row: &RawRow, kinds: &[&str]) -> Option<DevNum> {
    let is_one = kinds.contains(&row.kind.as_str());
    is_one.then(|| DevNum::parse(row.params().split_whitespace().nth(1)?)).flatten()
}

/// Checks that no other active mapping has the COW devices of the table that `number` is about to serve.
pub(super) fn preresume(model: &Model, number: DevNum, table: &Loaded) -> Result<(), Refusal> {
    let wanted: Vec<DevNum> =
        table.rows.iter().filter_map(|row| cow(row, &["snapshot", "snapshot-merge"])).collect();
    // Most tables have none, and then no other mapping has to be looked at.
    if wanted.is_empty() {
        return Ok(());
    }
    let active = |row: &RawRow| cow(row, &["snapshot"]).is_some_and(|cow| wanted.contains(&cow));
    let mut others = model.mappings().filter(|other| other.number != number && !other.suspended);
    if others.any(|other| other.live.iter().flat_map(|live| live.rows.iter()).any(active)) {
        let log = "snapshots: Unable to perform snapshot handover until source is suspended.";
        return Err(Refusal::new(Errno::EINVAL, log));
    }
    Ok(())
}

/// The part of a row in the snapshots of an origin.
enum Part {
    /// It writes this origin.
    Writes(DevNum),
    /// It is a snapshot of this origin, with chunks of this size in sectors.
    Keeps(DevNum, u64),
}

fn part(row: &RawRow) -> Option<Part> {
    if !row.kind.starts_with("snapshot") {
        return None;
    }
    let target = targets::parse(&row.kind, row.params()).ok()?;
    match target.origin_use()? {
        OriginUse::Writes(origin) => origin.number.map(Part::Writes),
        OriginUse::Keeps { origin, .. } => {
            let chunk = row.params().split_whitespace().nth(3)?.parse().ok().filter(|chunk| *chunk > 0)?;
            origin.number.map(|origin| Part::Keeps(origin, chunk))
        }
    }
}

fn parts(table: Option<&Loaded>) -> impl Iterator<Item = Part> {
    table.into_iter().flat_map(|table| table.rows.iter()).filter_map(part)
}

/// Notes that a mapping serves I/O, and which snapshots are torn from now on.
pub(super) fn resumed(model: &mut Model, number: DevNum) {
    let Some(mapping) = model.mapping(number) else { return };
    if parts(mapping.live.as_ref()).next().is_none() {
        return;
    }
    split(model, number);
    let writers: Vec<(DevNum, u64)> = model
        .mappings()
        .filter(|mapping| !mapping.suspended)
        .flat_map(|mapping| {
            let writes = parts(mapping.live.as_ref());
            writes.filter_map(|part| match part {
                Part::Writes(origin) => Some((origin, mapping.split)),
                Part::Keeps(..) => None,
            })
        })
        .collect();
    let is_torn = |part: Part| match part {
        Part::Keeps(origin, chunk) => {
            writers.iter().any(|(written, split)| *written == origin && *split > chunk)
        }
        Part::Writes(_) => false,
    };
    let serving = model.mappings().filter(|mapping| !mapping.suspended);
    let torn: Vec<DevNum> = serving
        .filter(|mapping| parts(mapping.live.as_ref()).any(is_torn))
        .map(|mapping| mapping.number)
        .collect();
    for number in torn {
        if let Some(mapping) = model.mapping_mut(number) {
            mapping.torn = true;
        }
    }
}

/// Sets the boundary at which what a mapping writes is split, by the snapshots that are loaded now.
pub(super) fn split(model: &mut Model, number: DevNum) {
    let Some(mapping) = model.mapping(number) else { return };
    let Some(origin) = parts(mapping.live.as_ref()).find_map(|part| match part {
        Part::Writes(origin) => Some(origin),
        Part::Keeps(..) => None,
    }) else {
        return;
    };
    let tables = model
        .mappings()
        .flat_map(|mapping| parts(mapping.live.as_ref()).chain(parts(mapping.inactive.as_ref())));
    let chunks = tables.filter_map(|part| match part {
        Part::Keeps(of, chunk) if of == origin => Some(chunk),
        _ => None,
    });
    let split = chunks.min().unwrap_or(u64::MAX);
    if let Some(mapping) = model.mapping_mut(number) {
        mapping.split = split;
    }
}
