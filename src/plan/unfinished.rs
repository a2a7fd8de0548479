//! Tables that the kernel refuses as long as the live ones have something left: a cache with dirty blocks gets no shorter.

use super::matching::Match;
use super::repairs;
use crate::table::Row;
use crate::targets::UnfinishedFirst;

/// Finds what must be finished before another table of a live device can be loaded.
pub(super) fn before_reload(rows: &[Row], found: Option<Match<'_>>) -> Option<UnfinishedFirst> {
    let seen = found?.seen;
    let live = seen.mapped.as_ref()?.table.understood().ok()?;
    let unfinished = |row: &Row| {
        let old = live.iter().find(|old| old.start == row.start && repairs::has_same_metadata(row, old))?;
        let refused = row.target.refused_unfinished(row.length, old.target.as_ref(), old.length)?;
        let state = seen.health.as_deref()?.state(old.start, old.length)?;
        Some(UnfinishedFirst { left: state.left()?, refused, remedy: old.target.remedy(Some(state)) })
    };
    rows.iter().find_map(unfinished)
}
