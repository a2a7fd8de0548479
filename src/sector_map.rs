//! Compares how the sectors of a mapping are mapped before and after a change: which keep their place, which
//! move, which appear, which vanish.
//!
//! A layer that is put below a mapping, or taken out, moves nothing: where both tables are followed down, sectors are
//! compared by where they are in the end.

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use crate::device::Device;
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
    pub fn of(wanted: &[Row], live: &[Row]) -> Self {
        Self::of_pieces(
            &wanted.iter().map(Piece::of).collect::<Vec<_>>(),
            &live.iter().map(Piece::of).collect::<Vec<_>>(),
        )
    }

    /// Compares two tables of one mapping by where their sectors are in the end: `wanted_below` and `live_below` return
    /// the table of a lower device, after and before the change, where that is a mapping. `is_blank` tells whether a new
    /// row, of the mapping or of one below, finds no metadata, so that it begins with the content of another device. `copies` lists the devices that have all
    /// sectors of a live row.
    pub(crate) fn followed(
        (wanted, wanted_below): (&[Row], TableOf<'_>),
        (live, live_below): (&[Row], TableOf<'_>),
        is_blank: &dyn Fn(&Row) -> bool,
        copies: CopiesOf<'_>,
    ) -> Self {
        let is_wanted = |device: &Device| {
            wanted.iter().any(|row| row.linear_map().is_some_and(|(wanted, _)| wanted == device))
        };
        let copy = |row| {
            let place = Row::linear_map(row)
                .or_else(|| copies(row).into_iter().find(|(device, _)| is_wanted(device)));
            Piece::at(row, place)
        };
        let piece = |row| {
            Piece::at(
                row,
                Row::linear_map(row).or_else(|| if is_blank(row) { row.fresh_map() } else { None }),
            )
        };
        let wanted = wanted.iter().map(piece).collect();
        let live = live.iter().map(copy).collect();
        let nothing_blank = |_: &Row| false;
        Self::of_pieces(&follow(wanted, wanted_below, is_blank), &follow(live, live_below, &nothing_blank))
    }

    /// Compares two tables. Both are in order and without gaps, so one pass over their borders is enough.
    fn of_pieces(wanted: &[Piece<'_>], live: &[Piece<'_>]) -> Self {
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

    /// Takes what the map tells of sectors to be kept back: they are not.
    pub(crate) fn give_up(&mut self, sectors: &Range<u64>) {
        let mut keeps = Vec::new();
        for kept in std::mem::take(&mut self.keeps) {
            let (from, to) = (kept.start.max(sectors.start), kept.end.min(sectors.end));
            if from >= to {
                keeps.push(kept);
                continue;
            }
            keeps.extend([kept.start..from, to..kept.end].into_iter().filter(|part| !part.is_empty()));
            self.moves.push(from..to);
        }
        self.keeps = keeps;
        self.moves.sort_by_key(|range| range.start);
        for next in std::mem::take(&mut self.moves) {
            push(&mut self.moves, next);
        }
    }

    /// Tells whether some sector that existed before is remapped or gone.
    pub fn disturbs(&self) -> bool {
        !self.moves.is_empty() || !self.vanishes.is_empty()
    }
}

/// The table of a lower device.
#[derive(Clone)]
pub(crate) struct LowerTable {
    /// Its rows.
    pub rows: Arc<[Row]>,
    /// Whether none of its targets was there before, so that those without metadata begin with the content of another device.
    pub is_new: bool,
}

/// Returns the table of a lower device, where that is a mapping whose table is known.
pub(crate) type TableOf<'t> = &'t dyn Fn(&Device) -> Option<LowerTable>;

/// Returns the devices that have all sectors of a live row, each with the sector that is the first of the row.
pub(crate) type CopiesOf<'t> = &'t dyn for<'r> Fn(&'r Row) -> Vec<(&'r Device, u64)>;

/// The most pieces that a table is followed into. One that falls into more is compared as it is.
const MAX_PIECES: usize = 100_000;

/// The most mappings that are followed down a stack.
const MAX_DEPTH: usize = 64;

/// Sectors of a mapping that are in one place.
#[derive(Clone)]
struct Piece<'r> {
    start: u64,
    length: u64,
    /// The row that maps them.
    row: &'r Row,
    /// The device and the sector there of the first one, where they are mapped one to one.
    place: Option<(Device, u64)>,
}

impl<'r> Piece<'r> {
    fn of(row: &'r Row) -> Self {
        Self::at(row, row.linear_map())
    }

    fn at(row: &'r Row, place: Option<(&Device, u64)>) -> Self {
        let place = place.map(|(device, offset)| (device.clone(), offset));
        Self { start: row.start, length: row.length, row, place }
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }
}

/// Follows the pieces of a table down, as far as they are mapped one to one.
fn follow<'r>(
    mut pieces: Vec<Piece<'r>>,
    below: TableOf<'_>,
    is_blank: &dyn Fn(&Row) -> bool,
) -> Vec<Piece<'r>> {
    for _ in 0..MAX_DEPTH {
        let mut next = Vec::with_capacity(pieces.len());
        let mut is_deeper = false;
        for piece in &pieces {
            let count = next.len();
            let table = piece.place.as_ref().and_then(|(device, _)| below(device));
            if table.is_some_and(|table| descend(piece, &table, is_blank, &mut next)) {
                is_deeper = true;
            } else {
                next.truncate(count);
                next.push(piece.clone());
            }
        }
        if !is_deeper || next.len() > MAX_PIECES {
            break;
        }
        pieces = next;
    }
    pieces
}

/// Adds the places of a piece one mapping further down. Returns false where that mapping does not map all of it one to one.
fn descend<'r>(
    piece: &Piece<'r>,
    table: &LowerTable,
    is_blank: &dyn Fn(&Row) -> bool,
    next: &mut Vec<Piece<'r>>,
) -> bool {
    let LowerTable { rows, is_new } = table;
    let Some((_, first)) = &piece.place else { return false };
    let (mut at, end) = (*first, first.saturating_add(piece.length));
    let from = rows.partition_point(|row| row.end() <= at);
    for row in &rows[from..] {
        if at >= end {
            break;
        }
        let fresh = || if *is_new && is_blank(row) { row.fresh_map() } else { None };
        let Some((device, offset)) = row.linear_map().or_else(fresh) else { return false };
        let (Some(inside), length) = (at.checked_sub(row.start), row.end().min(end) - at) else {
            return false;
        };
        let place = Some((device.clone(), offset.saturating_add(inside)));
        next.push(Piece { start: piece.start + (at - first), length, row: piece.row, place });
        at += length;
    }
    at >= end
}

/// Tells whether the sectors that two pieces share are mapped to the same place.
fn keeps_place(wanted: &Piece<'_>, live: &Piece<'_>) -> bool {
    if let (Some((device, offset)), Some((live_device, live_offset))) = (&wanted.place, &live.place) {
        // Sector n is mapped to offset + n - start: the same for all n when these differences are equal.
        return device == live_device
            && i128::from(*offset) - i128::from(wanted.start)
                == i128::from(*live_offset) - i128::from(live.start);
    }
    let (wanted, live) = (wanted.row, live.row);
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

    #[test]
    fn an_empty_layer_below_moves_nothing_while_it_is_new() {
        let live = rows(&[(8, "linear", "8:0 4".into())]);
        let wanted = rows(&[(8, "linear", "254:1 4".into())]);
        for (is_new, is_blank) in [(true, true), (true, false), (false, true)] {
            let below = |_: &Device| {
                let rows = rows(&[(16, "snapshot", "8:0 8:1 P 8".into())]).into();
                Some(LowerTable { rows, is_new })
            };
            let sides =
                ((&wanted[..], &below as TableOf<'_>), (&live[..], &(|_: &Device| None) as TableOf<'_>));
            let map =
                SectorMap::followed(sides.0, sides.1, &|row| is_blank && row.length == 16, &|_| Vec::new());
            assert_eq!(map.disturbs(), !(is_new && is_blank), "{is_new} {is_blank}");
        }
    }

    #[test]
    fn a_layer_below_moves_nothing() {
        let live = rows(&[(8, "linear", "8:0 100".into()), (8, "linear", "8:1 0".into())]);
        let wanted = rows(&[(4, "linear", "254:1 2".into()), (12, "linear", "254:2 0".into())]);
        let base = |number: &str| -> Option<Arc<[Row]>> {
            match number {
                "254:1" => Some(rows(&[(8, "linear", "8:0 98".into())]).into()),
                "254:2" => Some(
                    rows(&[(4, "snapshot-origin", "254:3".into()), (8, "linear", "8:1 0".into())]).into(),
                ),
                "254:3" => Some(rows(&[(4, "linear", "8:0 104".into())]).into()),
                _ => None,
            }
        };
        let below = |device: &Device| Some(LowerTable { rows: base(&device.to_string())?, is_new: false });
        let none = |_: &Device| None;
        let map = SectorMap::followed((&wanted, &below), (&live, &none), &|_| false, &|_| Vec::new());
        assert_eq!((map.keeps, map.moves), (vec![0..16], vec![]));
        // And out again.
        let map = SectorMap::followed((&live, &none), (&wanted, &below), &|_| false, &|_| Vec::new());
        assert_eq!((map.keeps, map.moves), (vec![0..16], vec![]));
        // Another offset in the layer is a move.
        let other = rows(&[(4, "linear", "254:1 3".into()), (12, "linear", "254:2 0".into())]);
        let map = SectorMap::followed((&other, &below), (&live, &none), &|_| false, &|_| Vec::new());
        assert_eq!((map.keeps, map.moves), (vec![4..16], vec![0..4]));
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
