//! Compares how the sectors of a mapping are mapped before and after a change: which keep their place, which
//! move, which appear, which vanish.

use std::ops::Range;

use serde::Serialize;

use crate::table::Row;

/// The effect of a change on the sectors of a mapping. Each list is in order, and neighbours are merged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SectorMap {
    /// Sectors that are mapped to the same place as before.
    pub keeps: Vec<Range<u64>>,
    /// Sectors that exist before and after, and are remapped or read differently.
    pub moves: Vec<Range<u64>>,
    /// Sectors that are new.
    pub appears: Vec<Range<u64>>,
    /// Sectors that are gone.
    pub vanishes: Vec<Range<u64>>,
}

impl SectorMap {
    /// Compares two tables of one mapping.
    ///
    /// Both tables are in order and without gaps, so one pass over their borders is enough.
    pub fn of(wanted: &[Row], live: &[Row]) -> Self {
        let mut map = Self::default();
        let (mut new, mut old) = (wanted.iter().peekable(), live.iter().peekable());
        let mut at = 0;
        while let (Some(one), Some(two)) = (new.peek(), old.peek()) {
            let end = one.end().min(two.end());
            let side = if keeps_place(one, two) { &mut map.keeps } else { &mut map.moves };
            push(side, at..end);
            at = end;
            if one.end() == end {
                new.next();
            }
            if two.end() == end {
                old.next();
            }
        }
        for row in new {
            push(&mut map.appears, at.max(row.start)..row.end());
        }
        for row in old {
            push(&mut map.vanishes, at.max(row.start)..row.end());
        }
        map
    }

    /// Tells whether some sector that existed before is remapped or gone.
    pub fn disturbs(&self) -> bool {
        !self.moves.is_empty() || !self.vanishes.is_empty()
    }
}

/// Tells whether the sectors that two rows share are mapped to the same place.
fn keeps_place(wanted: &Row, live: &Row) -> bool {
    if let (Some((device, offset)), Some((live_device, live_offset))) =
        (wanted.target.linear_map(), live.target.linear_map())
    {
        // Sector n is mapped to offset + n - start: the same for all n when these differences are equal.
        return device == live_device
            && i128::from(offset) - i128::from(wanted.start)
                == i128::from(live_offset) - i128::from(live.start);
    }
    // Any other layout counts from the start of its row.
    let anywhere = wanted.target.lower_devices(0).is_empty();
    (anywhere || wanted.start == live.start)
        && wanted.target.compare(live.target.as_ref()).is_some_and(|differences| {
            differences.unknown.is_none()
                && differences.effect().is_none_or(|effect| effect < crate::targets::Effect::Remap)
        })
}

fn push(ranges: &mut Vec<Range<u64>>, next: Range<u64>) {
    if next.is_empty() {
        return;
    }
    match ranges.last_mut() {
        Some(last) if last.end == next.start => last.end = next.end,
        _ => ranges.push(next),
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "the lists are lists of ranges")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets;

    fn rows(table: &[(u64, &str, String)]) -> Vec<Row> {
        let mut start = 0;
        table
            .iter()
            .map(|(length, kind, params)| {
                let target = targets::parse(kind, params).unwrap();
                let row = Row { start, length: *length, target, messages: Vec::new(), provisional: false };
                start += length;
                row
            })
            .collect()
    }

    #[test]
    fn growing_keeps_and_appears() {
        let old = rows(&[(8, "linear", "8:0 0".into())]);
        let new = rows(&[(8, "linear", "8:0 0".into()), (8, "linear", "8:1 0".into())]);
        let map = SectorMap::of(&new, &old);
        assert_eq!((map.keeps, map.appears), (vec![0..8], vec![8..16]));
        let map = SectorMap::of(&old, &new);
        assert_eq!((map.keeps, map.vanishes), (vec![0..8], vec![8..16]));
    }

    #[test]
    fn cutting_a_run_in_two_moves_nothing() {
        let old = rows(&[(16, "linear", "8:0 4".into())]);
        let new = rows(&[(6, "linear", "8:0 4".into()), (10, "linear", "8:0 10".into())]);
        assert!(!SectorMap::of(&new, &old).disturbs());
    }

    /// Describes where one sector is mapped, in the plainest way.
    fn place(rows: &[Row], sector: u64) -> Option<String> {
        let row = rows.iter().find(|row| row.start <= sector && sector < row.end())?;
        Some(match row.target.linear_map() {
            Some((device, offset)) => format!("{device} {}", offset + sector - row.start),
            None => row.target.kind().to_string(),
        })
    }

    fn table() -> impl Strategy<Value = Vec<Row>> {
        let row = (1u64..6, 0u64..3, 0u64..4, 0u8..3);
        proptest::collection::vec(row, 0..5).prop_map(|parts| {
            let table: Vec<_> = parts
                .into_iter()
                .map(|(length, minor, offset, kind)| match kind {
                    0 => (length, "zero", String::new()),
                    1 => (length, "error", String::new()),
                    _ => (length, "linear", format!("8:{minor} {offset}")),
                })
                .collect();
            rows(&table)
        })
    }

    proptest! {
        #[test]
        fn agrees_with_a_map_drawn_sector_by_sector(new in table(), old in table()) {
            let map = SectorMap::of(&new, &old);
            let holds = |ranges: &[Range<u64>], sector| ranges.iter().any(|range| range.contains(&sector));
            for sector in 0..40 {
                let (after, before) = (place(&new, sector), place(&old, sector));
                let expected = match (&after, &before) {
                    (Some(after), Some(before)) => [after == before, after != before, false, false],
                    (Some(_), None) => [false, false, true, false],
                    (None, Some(_)) => [false, false, false, true],
                    (None, None) => [false; 4],
                };
                let found = [&map.keeps, &map.moves, &map.appears, &map.vanishes]
                    .map(|ranges| holds(ranges, sector));
                prop_assert_eq!(found, expected, "sector {}", sector);
            }
        }
    }
}
