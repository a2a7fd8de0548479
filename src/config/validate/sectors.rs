//! Checks that two mappings never write to the same sectors, or are the same volume, unless both are `shared`.

use std::borrow::Cow;
use std::collections::HashMap;

use smol_str::SmolStr;

use super::super::diagnostic::{Diagnostic, Diagnostics, Spot};
use super::super::merge::Merged;
use super::super::model::{Length, Mapping, MappingRow, Mappings};
use super::super::overlap::{Claim, Overlap, SharedSectors, claims, overlaps};
use super::super::own_sectors::{self, Ground, OwnSectors};
use super::places::reference;
use crate::device::{Device, Form};
use crate::targets::{DeviceAccess, Mode, Problems};

pub(super) fn check(merged: &Merged, diagnostics: &mut Diagnostics) {
    let mappings = &merged.mappings;
    let present =
        mappings.values().filter(|mapping| mapping.is_present() && !merged.in_part.contains(&mapping.key));
    for overlap in overlaps(claims(present, |device| Some(spelling(device)))) {
        diagnostics.push(describe(&overlap, mappings));
    }
    for warning in over_verified(mappings) {
        diagnostics.push(warning);
    }
    let mapping = |device: &Device| mappings.get(device.key()?);
    let ground = Ground { identity: &|device| Some(spelling(device)), mapping: &mapping };
    for mapping in mappings.values().filter(|mapping| mapping.is_present()) {
        for (index, (start, row)) in mapping.rows_from().enumerate() {
            // Without a length a row has one sector at least; of the others the plan knows.
            let length = if let Length::Sectors(length) = row.length { length } else { 1 };
            let found = own_sectors::find(row.target.as_ref(), (start.unwrap_or(0), length), &ground);
            let found = found.filter(|_| is_sound(row, length));
            if let Some(found) = found {
                diagnostics.push(describe_own(mapping, index, &found));
            }
        }
    }
}

/// Warns of each mapping that writes to sectors whose content another one verifies: it would fail from then on.
fn over_verified(mappings: &Mappings) -> Vec<Diagnostic> {
    let is_verified =
        |claim: &Claim<'_, SmolStr>| claim.mapping.rows[claim.row].target.traits().mode == Mode::ReadOnly;
    let present = || mappings.values().filter(|mapping| mapping.is_present());
    if !present().any(|mapping| mapping.rows.iter().any(|row| row.target.traits().mode == Mode::ReadOnly)) {
        return Vec::new();
    }
    let all = claims(present(), |device| Some(spelling(device)));
    let mut verified: HashMap<&SmolStr, Vec<&Claim<'_, SmolStr>>> = HashMap::new();
    for claim in all.iter().filter(|claim| is_verified(claim)) {
        verified.entry(&claim.identity).or_default().push(claim);
    }
    let writes = all.iter().filter(|claim| claim.access != DeviceAccess::Read && !claim.shared);
    let warning = |claim: &Claim<'_, SmolStr>| {
        let below = verified.get(&claim.identity)?;
        let below = below.iter().find(|below| below.start < claim.end && claim.start < below.end)?;
        let (owner, reader) = (&claim.mapping.key, &below.mapping.key);
        let sectors = SharedSectors { start: claim.start.max(below.start), end: claim.end.min(below.end) };
        let device = claim.device;
        let message =
            format!("`{owner}` may write to {sectors} of {device}, whose content `{reader}` verifies");
        let help = format!(
            "what is written there fails to read through `{reader}`; `readonly = true` in `{owner}` keeps it"
        );
        let warning = Diagnostic::warning(message).at(place(claim, mappings)).label("written here");
        Some(warning.related(place(below, mappings), "verified here").help(help))
    };
    writes.filter_map(warning).collect()
}

/// Whether the target itself finds nothing wrong, as many do with two devices that are one.
fn is_sound(row: &MappingRow, length: u64) -> bool {
    let mut problems = Problems::default();
    row.target.check(Some(length), &mut problems);
    problems.is_empty()
}

/// Describes a row that uses the same sectors for two purposes.
fn describe_own(
    mapping: &Mapping,
    index: usize,
    OwnSectors { first, second, sectors }: &OwnSectors<'_>,
) -> Diagnostic {
    let message = if first.form == second.form {
        format!(
            "this target would use {sectors} of {second} for two purposes, and overwrite what it keeps there"
        )
    } else {
        format!(
            "{first} and {second} are the same device at {sectors}, and this target would overwrite what it keeps there"
        )
    };
    let place = Spot::Text(mapping.origin().below("targets").below(index), vec![second.to_string()]);
    Diagnostic::error(message).at(place).help("give it another device, or other sectors")
}

/// Returns the identity of a device offline: its text. A label becomes the link that udev makes of it.
fn spelling(device: &Device) -> SmolStr {
    match device.path() {
        Some(Cow::Owned(link)) => link.into(),
        _ => device.text(),
    }
}

fn describe(overlap: &Overlap<'_, SmolStr>, mappings: &Mappings) -> Diagnostic {
    let Overlap { first, second } = overlap;
    let (does, do_both, what, label, help) = match second.volume {
        Some(id) => (
            "are",
            "are both",
            format!("volume {id} of"),
            "this volume",
            "give one of them another id, or `shared = true` to both mappings if one volume is meant",
        ),
        None => (
            "write to",
            "both write to",
            format!("{} of", overlap.sectors()),
            "written here",
            "give them different sectors, or `shared = true` in both mappings if that is meant",
        ),
    };
    let (one, two, device) = (&first.mapping.key, &second.mapping.key, second.device);
    let message = if one == two {
        format!("two targets of `{two}` {does} {what} {device}")
    } else {
        format!("`{one}` and `{two}` {do_both} {what} {device}")
    };
    Diagnostic::error(message)
        .at(place(second, mappings))
        .label(label)
        .related(place(first, mappings), "and here")
        .help(help)
}

fn place(claim: &Claim<'_, SmolStr>, mappings: &Mappings) -> Spot {
    let lower = match &claim.device.form {
        Form::Mapping(key) => mappings.get(key).map(|mapping| (key, mapping)),
        _ => None,
    };
    match lower {
        Some((key, lower)) => reference(claim.mapping, Some(claim.row), key, Some(lower)),
        None => Spot::Text(
            claim.mapping.origin().below("targets").below(claim.row),
            vec![claim.device.to_string()],
        ),
    }
}
