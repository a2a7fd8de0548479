//! Checks that two mappings never write to the same sectors unless both are `shared`.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::super::diagnostic::{Diagnostic, Diagnostics, Spot};
use super::super::merge::Merged;
use super::super::model::Mappings;
use super::super::overlap::{Claim, Overlap, claims, overlaps};
use super::places::reference;
use crate::device::{Device, Form};

pub(super) fn check(merged: &Merged, diagnostics: &mut Diagnostics) {
    let mappings = &merged.mappings;
    let present =
        mappings.values().filter(|mapping| mapping.is_present() && !merged.in_part.contains(&mapping.key));
    for overlap in overlaps(claims(present, |device| Some(spelling(device)))) {
        diagnostics.push(describe(&overlap, mappings));
    }
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
    let what = overlap.sectors();
    let device = second.device;
    let message = if first.mapping.key == second.mapping.key {
        format!("two targets of `{}` write to {what} of {device}", second.mapping.key)
    } else {
        format!("`{}` and `{}` both write to {what} of {device}", first.mapping.key, second.mapping.key)
    };
    Diagnostic::error(message)
        .at(place(second, mappings))
        .label("written here")
        .related(place(first, mappings), "and here")
        .help("give them different sectors, or `shared = true` in both mappings if that is meant")
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
