//! The words for a step, which all drawings of a plan share.

use std::borrow::Cow;

use smol_str::{SmolStr, format_smolstr};

use crate::plan::document::{Sectors, Step, VolumeFate};
use crate::plan::{Action, suspended_meanwhile};
use crate::units;

/// Returns the name, or the old and the new one of a rename.
pub(crate) fn title(step: &Step) -> Cow<'_, str> {
    match &step.to {
        Some(to) => format!("{} -> {to}", step.name).into(),
        None => step.name.as_str().into(),
    }
}

/// Returns the size of the device, before and after where it changes; empty for a step without a table.
pub(crate) fn size(step: &Step) -> SmolStr {
    let human = |sectors: u64| units::Sectors(sectors).human();
    match (step.size_before(), step.size_after()) {
        (Some(before), Some(after)) if before != after => {
            let [before, after] = units::Sectors(before).human_beside(units::Sectors(after));
            format_smolstr!("{before} -> {after}")
        }
        (_, Some(size)) | (Some(size), None) => human(size).into(),
        (None, None) => SmolStr::default(),
    }
}

/// Joins the number, the users, a suspend for the swap, the uuid and the access where the step sets them.
pub(crate) fn device(step: &Step) -> String {
    let mut text = step.number.as_deref().unwrap_or_default().to_string();
    let users = step.users.as_ref().map(|users| users.describe()).unwrap_or_default();
    if !text.is_empty() && !users.is_empty() {
        text.push_str(", ");
    }
    text.push_str(&users);
    if let Some(suspended) = step.suspended {
        text.push_str(if suspended { "; resumed by the swap" } else { "; suspended for the swap" });
    }
    let mut add = |more: &str| {
        text.push_str(if text.is_empty() { "" } else { "  " });
        text.push_str(more);
    };
    if let Some(uuid) =
        step.uuid.as_deref().filter(|_| matches!(step.action, Action::Create | Action::SetUuid))
    {
        add(uuid);
    }
    match (step.readonly, step.old_readonly) {
        (Some(true), None) => add("read-only"),
        (Some(true), Some(false)) => add("becomes read-only"),
        (Some(false), Some(true)) => add("becomes writable"),
        _ => {}
    }
    text
}

/// Describes the change of the sectors, in rounded sizes: `keeps 0..20.0 GiB, adds 20.0..30.0 GiB`.
pub(crate) fn sectors(sectors: &Sectors) -> String {
    kinds(sectors)
        .iter()
        .filter(|(_, ranges)| !ranges.is_empty())
        .map(|(verb, list)| format!("{verb} {}", ranges(list)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Writes ranges in rounded sizes: `0..20.0 GiB and 30.0..40.0 GiB`.
pub(crate) fn ranges(ranges: &[(u64, u64)]) -> String {
    let shown: Vec<String> = ranges.iter().take(MAX_RANGES).map(|pair| range(*pair)).collect();
    let more = ranges.len().saturating_sub(MAX_RANGES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(" and "))
}

/// The most ranges of a kind that are listed; the rest is counted.
const MAX_RANGES: usize = 8;

/// Returns the ranges of each kind, with the verb of the kind.
pub(crate) fn kinds(sectors: &Sectors) -> [(&'static str, &[(u64, u64)]); 4] {
    [
        ("keeps", &sectors.keeps),
        ("moves", &sectors.moves),
        ("adds", &sectors.appears),
        ("cuts off", &sectors.vanishes),
    ]
}

/// Writes a range in rounded sizes, with the unit once when both bounds have the same. Bounds that would read the same are
/// written in sectors.
pub(crate) fn range((start, end): (u64, u64)) -> String {
    if start == 0 {
        return format!("0..{}", units::Sectors(end).human());
    }
    let [start, end] = units::Sectors(start).human_beside(units::Sectors(end));
    match (start.split_once(' '), end.split_once(' ')) {
        (Some((one, unit)), Some((_, other))) if unit == other => format!("{one}..{end}"),
        _ => format!("{start}..{end}"),
    }
}

/// Returns the receiver of a message.
pub(crate) fn addressee(step: &Step, message: &str) -> String {
    if message.starts_with('@') {
        return "to Device Mapper".to_string();
    }
    format!("to the target at sector {}", step.sector.unwrap_or_default())
}

/// Returns why a step is needed, and what is at stake, as far as the drawing does not show it.
pub(crate) fn reasons(step: &Step) -> Vec<String> {
    let keeps = step.volumes.iter().any(|volume| volume.fate == VolumeFate::Kept);
    let plain = step.refusal.is_none() && step.class.allowed_unasked() && step.unseen.is_none() && !keeps;
    match step.action {
        Action::Reload => beyond_tables(step),
        Action::Create | Action::Rename if plain => suspends(step),
        _ => vec![step.reason().into_owned()],
    }
}

/// Tells the devices that are suspended while the step is carried out.
fn suspends(step: &Step) -> Vec<String> {
    if step.suspends.is_empty() { Vec::new() } else { vec![suspended_meanwhile(&step.suspends)] }
}

/// Returns what the drawn tables do not show: differences in a row that stays, and what is at stake.
fn beyond_tables(step: &Step) -> Vec<String> {
    let differences = step.differences.iter().flatten().filter(|difference| !difference.is_in_rows());
    let need = Some(step.need.to_string()).filter(|need| !need.is_empty());
    differences.map(|difference| difference.text.clone()).chain(need).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_name_their_unit_once() {
        assert_eq!(range((0, 20 << 21)), "0..20.0 GiB");
        assert_eq!(range((20 << 21, 30 << 21)), "20.0..30.0 GiB");
        assert_eq!(range((2048, 20 << 21)), "1.0 MiB..20.0 GiB");
        assert_eq!(range((65536, 65544)), "65536s..65544s");
    }

    #[test]
    fn many_ranges_are_counted() {
        let ranges: Vec<(u64, u64)> = (0..100).map(|n| (n * 16, n * 16 + 8)).collect();
        let text = sectors(&Sectors { moves: ranges, ..Sectors::default() });
        assert!(text.starts_with("moves 0..4.0 KiB and ") && text.ends_with(" and 92 more"), "{text}");
    }
}
