//! Compares the table a mapping should have with the one it has, by meaning.
//!
//! The kernel prints a table differently from how it was loaded, so text is never compared: each row is read
//! into its typed form and the target itself tells what a difference means.

mod difference;
mod unjudgeable;

use std::fmt;

pub(crate) use difference::Difference;
pub(crate) use unjudgeable::Unjudgeable;

use crate::access::Access;
use crate::kernel::DeviceState;
use crate::sector_map::SectorMap;
use crate::table::{ReadTable, Row};
use crate::targets::{Effect, IgnoredValue, Mode, State};

/// The result of comparing two tables of one mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The tables mean the same.
    Equal,
    /// Loading the wanted table makes them equal.
    Reload(TableDiff),
    /// The kernel would refuse or ignore the wanted table: the device must be created again.
    Recreate(TableDiff),
    /// The live table can't be judged, so it is left alone.
    Unknown(Box<Unjudgeable>),
}

/// The differences between two tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableDiff {
    /// The effect on the sectors.
    pub map: SectorMap,
    /// The differences, in the order of the rows.
    pub differences: Vec<Difference>,
    /// Whether some data reads differently afterwards though its sector does not move (with another key, say).
    pub remaps: bool,
}

impl TableDiff {
    /// Tells whether any remaining sector is remapped or reads differently, or any sector is gone.
    pub fn disturbs(&self) -> bool {
        self.remaps || self.map.disturbs()
    }

    /// Tells whether the new table may use sectors of lower devices that the old one did not.
    pub(crate) fn takes(&self) -> bool {
        let gains = self.differences.iter().any(|one| one.reshapes() || one.is_access(Access::Writable));
        gains || self.remaps || !self.map.appears.is_empty() || !self.map.moves.is_empty()
    }

    /// Tells whether the old table may use sectors of lower devices that the new one does not.
    pub(crate) fn releases(&self) -> bool {
        let loses = self.differences.iter().any(|one| one.reshapes() || one.is_access(Access::ReadOnly));
        loses || self.disturbs()
    }
}

/// Words every difference for a person.
impl fmt::Display for TableDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, difference) in self.differences.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "; " })?;
            difference.fmt(f)?;
        }
        Ok(())
    }
}

/// Turns the wanted table into the one to load over the live table: without orders that the kernel has
/// carried out already, as its table and the states of its rows tell.
pub(crate) fn prepare_reload<'s>(
    wanted: &mut [Row],
    live: &ReadTable,
    state: impl Fn(&Row) -> Option<&'s dyn State>,
) {
    let live = live.understood().unwrap_or_default();
    for row in wanted {
        let old = live.binary_search_by_key(&row.start, |live| live.start).ok().map(|index| &live[index]);
        if let Some(old) = old.filter(|old| old.target.kind() == row.target.kind()) {
            row.target = row.target.for_reload(old.target.as_ref(), state(old));
        }
    }
}

/// Compares the wanted table with the live one.
pub(crate) fn compare(wanted: &[Row], access: Access, device: &DeviceState) -> Verdict {
    judge(wanted, access, device).0
}

/// Compares as [`compare`] does, and lists the values that the kernel would accept and ignore.
pub(crate) fn judge(wanted: &[Row], access: Access, device: &DeviceState) -> (Verdict, Vec<IgnoredValue>) {
    let mut ignored = Vec::new();
    let verdict = verdict(wanted, access, device, &mut ignored);
    (verdict, ignored)
}

fn verdict(wanted: &[Row], access: Access, device: &DeviceState, ignored: &mut Vec<IgnoredValue>) -> Verdict {
    let live = match device.table.understood() {
        Ok(live) => live,
        Err(unread) => return Verdict::Unknown(Unjudgeable::Row(unread.clone()).into()),
    };
    let mut diff = TableDiff::default();
    let mut recreate = !may_replace(wanted, &live);
    for row in wanted {
        // Rows are compared where they start at the same sector; the sector map tells of the others.
        let Ok(index) = live.binary_search_by_key(&row.start, |live| live.start) else {
            let kind = row.target.kind().into();
            diff.differences.push(Difference::RowBegins { start: row.start, kind });
            continue;
        };
        match compare_row(row, &live[index], device, &mut diff, ignored) {
            Ok(effect) => recreate |= effect == Some(Effect::Recreate),
            Err(why) => return Verdict::Unknown(why.into()),
        }
    }
    if wanted.len() != live.len() && diff.differences.is_empty() {
        diff.differences.push(Difference::RowCount { live: live.len(), wanted: wanted.len() });
    }
    if access != device.info.access() && !follows_target(wanted, access) {
        diff.differences.push(Difference::Access(access));
    }
    if diff.differences.is_empty() {
        return Verdict::Equal;
    }
    diff.map = SectorMap::of(wanted, &live);
    if recreate { Verdict::Recreate(diff) } else { Verdict::Reload(diff) }
}

/// Adds the differences of two rows that start at the same sector. Returns the heaviest effect; the error
/// tells why the live row can't be judged.
fn compare_row(
    row: &Row,
    live: &Row,
    device: &DeviceState,
    diff: &mut TableDiff,
    ignored: &mut Vec<IgnoredValue>,
) -> Result<Option<Effect>, Unjudgeable> {
    let compared = if device.info.suspended {
        row.target.compare_suspended(live.target.as_ref())
    } else {
        row.target.compare(live.target.as_ref())
    };
    let Some(mut differences) = compared else {
        let (live, wanted) = (live.target.kind().into(), row.target.kind().into());
        diff.differences.push(Difference::Type { start: row.start, live, wanted });
        return Ok(None);
    };
    if let Some(incomparable) = differences.unknown {
        return Err(Unjudgeable::Target(incomparable));
    }
    row.target.resized(row.length, live.length, &mut differences);
    let heaviest = differences.effect();
    let start = row.start;
    diff.differences.extend(differences.fields.into_iter().map(|field| Difference::Field { start, field }));
    ignored.append(&mut differences.ignored);
    // Where sectors are mapped one to one the sector map tells, which may follow them down.
    let is_told = row.target.linear_map().is_some() && live.target.linear_map().is_some();
    diff.remaps |= heaviest >= Some(Effect::Remap) && !is_told;
    Ok(heaviest)
}

/// Tells whether the target decides by itself whether its device is read-only.
fn follows_target(wanted: &[Row], access: Access) -> bool {
    wanted.iter().any(|row| match row.target.traits().mode {
        Mode::Any => false,
        Mode::ReadOnly => access == Access::Writable,
        Mode::Writable => access == Access::ReadOnly,
    })
}

/// Tells whether the kernel lets the wanted table replace the live one: an immutable type only by itself or
/// by `error` (`dm_get_immutable_target_type` in `drivers/md/dm-ioctl.c`), and a device that takes bios never takes requests
/// (`table_load` there).
fn may_replace(wanted: &[Row], live: &[Row]) -> bool {
    let takes_requests = |rows: &[Row]| rows.iter().any(|row| row.target.takes_requests());
    if takes_requests(wanted) && !takes_requests(live) {
        return false;
    }
    let Some(immutable) = live.iter().find(|row| row.target.traits().immutable) else {
        return true;
    };
    wanted
        .iter()
        .all(|row| matches!(row.target.kind(), kind if kind == immutable.target.kind() || kind == "error"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{DevNum, Name};
    use crate::kernel::Info;
    use crate::table::parse_table;

    fn verdict_of(wanted: &str, live: &str) -> Verdict {
        let wanted = ReadTable::from(parse_table(wanted).unwrap()).understood().unwrap();
        let info = Info {
            name: Name::new("test").unwrap(),
            uuid: None,
            number: DevNum::new(254, 0),
            suspended: false,
            live_table: true,
            inactive_table: false,
            open_count: 0,
            event_nr: 0,
            read_only: false,
            target_count: 1,
            deferred_remove: false,
        };
        compare(&wanted, Access::Writable, &DeviceState { info, table: parse_table(live).unwrap().into() })
    }

    #[test]
    fn spelling_is_no_difference() {
        assert_eq!(verdict_of("0 8 linear 8:0 0", "0 8 linear 8:0 00 "), Verdict::Equal);
        assert_eq!(verdict_of("0 8 error", "0 8 error 8:0 0"), Verdict::Equal);
    }

    #[test]
    fn growing_is_a_reload_and_another_place_a_remap() {
        let Verdict::Reload(diff) = verdict_of("0 16 linear 8:0 0", "0 8 linear 8:0 0") else { panic!() };
        assert!(!diff.disturbs());
        let Verdict::Reload(diff) = verdict_of("0 8 linear 8:0 8", "0 8 linear 8:0 0") else { panic!() };
        assert!(diff.disturbs());
        assert_eq!(diff.to_string(), "offset 0 -> 8");
        let Verdict::Reload(diff) = verdict_of("0 8 linear 8:0 0", "0 16 linear 8:0 0") else { panic!() };
        assert!(diff.disturbs());
    }

    #[test]
    fn a_row_more_or_less_is_seen() {
        let two = "0 8 zero\n8 8 zero";
        assert!(matches!(verdict_of("0 16 zero", two), Verdict::Reload(_)));
        assert!(matches!(verdict_of(two, "0 16 zero"), Verdict::Reload(_)));
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        assert!(matches!(verdict_of("0 8 linear 8:0 0", "0 8 linear Fail"), Verdict::Unknown(_)));
    }
}
