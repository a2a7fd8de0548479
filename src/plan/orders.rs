//! Orders of a table that the live device has not carried out, as its state shows: a leg that is to be filled, and is lost.

use super::matching::Match;
use crate::diff::{Difference, TableDiff};
use crate::sector_map::SectorMap;
use crate::table::Row;

/// Returns the difference that such orders make where the tables are equal.
pub(super) fn due(rows: &[Row], found: Option<Match<'_>>) -> Option<TableDiff> {
    let health = found?.seen.health.as_deref()?;
    let due = |row: &Row| {
        let order = row.target.order_due(health.state(row.start, row.length)?)?;
        Some(Difference::Order { start: row.start, order })
    };
    let differences: Vec<Difference> = rows.iter().filter_map(due).collect();
    (!differences.is_empty()).then(|| TableDiff {
        map: SectorMap::of(rows, rows),
        differences,
        remaps: false,
    })
}
