//! The words for a step, whatever it is drawn as.

use std::borrow::Cow;

use smol_str::{SmolStr, format_smolstr};

use crate::plan::document::{FieldChange, Sectors, Step};
use crate::plan::{Action, CANCEL_REMOVAL};
use crate::units;

/// The name, or the old and the new one.
pub fn title(step: &Step) -> Cow<'_, str> {
    match &step.to {
        Some(to) => format!("{} -> {to}", step.name).into(),
        None => step.name.as_str().into(),
    }
}

/// The size of the device, before and after where it changes; empty for a step that is about no table.
pub fn size(step: &Step) -> SmolStr {
    let human = |sectors: u64| units::Sectors(sectors).human();
    match (step.size_before(), step.size_after()) {
        (Some(before), Some(after)) if before != after => {
            format_smolstr!("{} -> {}", human(before), human(after))
        }
        (_, Some(size)) | (Some(size), None) => human(size).into(),
        (None, None) => SmolStr::default(),
    }
}

/// Number, users, what happens to I/O, the uuid where the step sets it.
pub fn device(step: &Step) -> String {
    let mut says = step.number.as_deref().unwrap_or_default().to_string();
    let users = step.users.as_ref().map(|users| users.describe()).unwrap_or_default();
    if !says.is_empty() && !users.is_empty() {
        says.push_str(", ");
    }
    says.push_str(&users);
    if let Some(suspended) = step.suspended {
        says.push_str(if suspended { "; resumed by the swap" } else { "; suspended for the swap" });
    }
    let mut add = |more: &str| {
        says.push_str(if says.is_empty() { "" } else { "  " });
        says.push_str(more);
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
    says
}

/// What becomes of the sectors, in sizes a person reads: `keeps 0..20.0 GiB, adds 20.0..30.0 GiB`.
pub fn sectors(sectors: &Sectors) -> String {
    kinds(sectors)
        .iter()
        .filter(|(_, ranges)| !ranges.is_empty())
        .map(|(verb, list)| format!("{verb} {}", ranges(list)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Ranges in sizes: `0..20.0 GiB and 30.0..40.0 GiB`.
pub fn ranges(ranges: &[(u64, u64)]) -> String {
    let shown: Vec<String> = ranges.iter().take(MOST_RANGES).map(|pair| range(*pair)).collect();
    let more = ranges.len().saturating_sub(MOST_RANGES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(" and "))
}

/// More ranges of a kind than this are only counted.
const MOST_RANGES: usize = 8;

/// Every kind of range, with the verb that says what becomes of it.
pub fn kinds(sectors: &Sectors) -> [(&'static str, &[(u64, u64)]); 4] {
    [
        ("keeps", &sectors.keeps),
        ("moves", &sectors.moves),
        ("adds", &sectors.appears),
        ("cuts off", &sectors.vanishes),
    ]
}

/// A range in sizes, the unit once when both have the same.
pub fn range((start, end): (u64, u64)) -> String {
    let bound = |sector: u64| if sector == 0 { "0".to_string() } else { units::Sectors(sector).human() };
    let (start, end) = (bound(start), bound(end));
    match (start.split_once(' '), end.split_once(' ')) {
        // Two bounds that round to the same say nothing.
        (Some((one, unit)), Some((_, other))) if unit == other && start != end => format!("{one}..{end}"),
        _ => format!("{start}..{end}"),
    }
}

/// Who a message goes to.
pub fn addressee(step: &Step, message: &str) -> String {
    if message.starts_with('@') {
        return "to Device Mapper".to_string();
    }
    format!("to the target at sector {}", step.sector.unwrap_or_default())
}

/// Why a step is needed, and what is at stake, as far as it does not speak for itself.
pub fn reasons(step: &Step) -> Vec<String> {
    let plain = step.refusal.is_none() && step.class.allowed_unasked();
    match step.action {
        Action::Reload => beyond_tables(step),
        Action::Message if step.message.as_deref() != Some(CANCEL_REMOVAL) => Vec::new(),
        Action::Create | Action::Remove | Action::Rename if plain => Vec::new(),
        _ => vec![step.need().to_string()],
    }
}

/// What the two tables, drawn one above the other, don't show: differences in a row that stays, and what is
/// at stake.
fn beyond_tables(step: &Step) -> Vec<String> {
    let changes = step.changes.as_deref().unwrap_or_default();
    let is_drawn = |index: usize| changes.get(index).is_some_and(FieldChange::is_in_rows);
    let differences = step.differences.as_deref().unwrap_or_default().iter().enumerate();
    let beyond = differences.filter(|(index, _)| !is_drawn(*index)).map(|(_, difference)| difference.clone());
    let stake = Some(step.need_beyond_differences()).filter(|stake| !stake.is_empty());
    beyond.chain(stake.map(ToString::to_string)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_name_their_unit_once() {
        assert_eq!(range((0, 20 << 21)), "0..20.0 GiB");
        assert_eq!(range((20 << 21, 30 << 21)), "20.0..30.0 GiB");
        assert_eq!(range((2048, 20 << 21)), "1.0 MiB..20.0 GiB");
    }

    #[test]
    fn many_ranges_are_counted() {
        let ranges: Vec<(u64, u64)> = (0..100).map(|n| (n * 16, n * 16 + 8)).collect();
        let says = sectors(&Sectors { moves: ranges, ..Sectors::default() });
        assert!(says.starts_with("moves 0..4.0 KiB and ") && says.ends_with(" and 92 more"), "{says}");
    }
}
