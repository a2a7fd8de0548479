//! What a step leaves behind of a live table: blocks that a cache alone has, a copy that is not finished.
//!
//! Judged when the plan is made, and again while the device is suspended: nothing can be written then, so what is true holds
//! until the new table is live.

use crate::device::Device;
use crate::health::DeviceHealth;
use crate::table::Row;
use crate::targets::{After, Leaving, State};

/// Judges a live table that another one takes the place of.
pub(crate) fn by_reload(old: &[Row], wanted: &[Row], health: Option<&DeviceHealth>) -> Option<Leaving> {
    may_leave(old).find_map(|row| judge(row, health, after(row, wanted)))
}

/// Judges a live table whose device is removed.
pub(crate) fn by_removal(old: &[Row], health: Option<&DeviceHealth>) -> Option<Leaving> {
    may_leave(old).find_map(|row| judge(row, health, After::Removed))
}

/// Judges a live table whose device is removed, while `wanted` is loaded for another one: what is left of a row is lost where
/// the other one uses a device with a copy, and not as the row does.
pub(crate) fn by_another(old: &[Row], wanted: &[Row], health: Option<&DeviceHealth>) -> Option<Leaving> {
    let takes = |row: &&Row| {
        let copies = row.target.copies(state(row, health));
        let uses = |other: &Row| {
            let lowers = other.target.lower_devices(other.length);
            lowers.iter().any(|lower| copies.iter().any(|copy| same(copy.device, lower.device)))
        };
        let goes_on = |other: &Row| After::Same(other.target.as_ref()).goes_on(row.target.as_ref());
        wanted.iter().any(|other| uses(other) && !goes_on(other))
    };
    may_leave(old).filter(takes).find_map(|row| judge(row, health, After::Elsewhere))
}

/// The rows that may have something left: a table of any length has few, and each is held against the other table.
pub(super) fn may_leave(old: &[Row]) -> impl Iterator<Item = &Row> {
    old.iter().filter(|row| row.target.unfinished().is_some())
}

/// Whether two devices are known to be one.
fn same(one: &Device, two: &Device) -> bool {
    one.number.is_some() && one.number == two.number
}

fn judge(row: &Row, health: Option<&DeviceHealth>, after: After<'_>) -> Option<Leaving> {
    Leaving::of(row.target.as_ref(), state(row, health), after)
}

/// Returns the state of a live row; `None` where it can't be told.
pub(super) fn state<'h>(row: &Row, health: Option<&'h DeviceHealth>) -> Option<&'h dyn State> {
    health?.state(row.start, row.length)
}

/// Tells what becomes of a live row with this table.
fn after<'t>(row: &Row, wanted: &'t [Row]) -> After<'t> {
    let same_kind = |other: &&Row| other.start == row.start && other.target.kind() == row.target.kind();
    if let Some(other) = wanted.iter().find(same_kind) {
        return After::Same(other.target.as_ref());
    }
    let mut overlapping = wanted.iter().filter(|other| other.start < row.end() && row.start < other.end());
    // Some targets find a sector below by its number in the device.
    let before = if row.target.traits().counts_from_device { row.start } else { 0 };
    let place = |other: &'t Row| -> Option<(&'t Device, u64)> {
        let (device, offset) = other.linear_map()?;
        Some((device, offset.checked_add(row.start)?.checked_sub(other.start)?.checked_sub(before)?))
    };
    let Some((device, sector)) = overlapping.next().and_then(place) else { return After::Elsewhere };
    let is_there = |other: &'t Row| place(other).is_some_and(|(other, at)| other == device && at == sector);
    if overlapping.all(is_there) { After::At(device, sector) } else { After::Elsewhere }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::RowHealth;
    use crate::identity::{DevNum, Name};
    use crate::table::{self, parse_table};
    use crate::targets::{LiveRow, read_state};

    fn rows(table: &str) -> Vec<Row> {
        table::understand(&parse_table(table).unwrap()).unwrap()
    }

    fn health(old: &[Row], words: &[&str]) -> DeviceHealth {
        let fares = |(row, words): (&Row, &&str)| RowHealth {
            start: row.start,
            length: row.length,
            kind: row.target.kind().into(),
            text: Some(words.to_string()),
            reading: read_state(row.target.as_ref(), words, LiveRow::of(row.length)).map_err(Into::into),
            pool: None,
        };
        DeviceHealth {
            name: Name::new("v").unwrap(),
            number: DevNum::new(254, 0),
            uuid: None,
            suspended: false,
            rows: old.iter().zip(words).map(fares).collect(),
        }
    }

    /// What is left with the new table, as it is told; `-` where nothing is.
    fn left(old: &str, words: &str, wanted: &str) -> String {
        let (old, wanted) = (rows(old), rows(wanted));
        let health = health(&old, &[words]);
        by_reload(&old, &wanted, Some(&health)).map_or("-".to_string(), |leaving| leaving.describe("v"))
    }

    const CACHE: &str = "0 16384 cache 8:0 8:1 8:2 64 1 writeback smq 0";

    fn dirty(blocks: u64) -> String {
        format!("8 7/512 64 20/64 0 0 0 0 0 20 {blocks} 1 writeback 2 migration_threshold 2048 smq 0 rw - ")
    }

    #[test]
    fn a_cache_is_left_once_it_is_clean() {
        let origin = "0 16384 linear 8:2 0";
        let told = left(CACHE, &dirty(20), origin);
        assert!(told.starts_with("20 dirty blocks (640.0 KiB)") && told.contains("`dmctl wait v`"), "{told}");
        assert!(told.contains("cleaner"), "{told}");
        assert_eq!(left(CACHE, &dirty(0), origin), "-");
        // The same cache goes on, and another one does not.
        assert_eq!(left(CACHE, &dirty(20), &CACHE.replace("16384", "32768")), "-");
        assert!(left(CACHE, &dirty(20), &CACHE.replace("8:1", "8:3")).contains("20 dirty"));
        // What can't be told is not clean.
        assert!(left(CACHE, "Fail", origin).contains("an unknown count of"));
        assert!(left(CACHE, "8 7/512 64", origin).contains("an unknown count of"));
        assert!(by_reload(&rows(CACHE), &rows(origin), None).is_some());
        // Rows that end elsewhere are still without the cache.
        assert!(
            left(CACHE, &dirty(1), "0 8192 linear 8:2 0\n8192 8192 linear 8:2 8192")
                .contains("1 dirty block ")
        );
    }

    #[test]
    fn a_cache_that_goes_away_keeps_its_blocks_unless_another_table_takes_the_origin() {
        let old = rows(CACHE);
        let health = health(&old, &[&dirty(3)]);
        assert!(by_removal(&old, Some(&health)).is_none());
        let told = by_another(&old, &rows("0 8 linear 8:2 100"), Some(&health)).unwrap().describe("v");
        assert!(told.contains("3 dirty blocks"), "{told}");
        assert!(by_another(&old, &rows(CACHE), Some(&health)).is_none());
        assert!(by_another(&old, &rows("0 8 linear 8:9 100"), Some(&health)).is_none());
    }

    #[test]
    fn the_leg_that_stays_must_be_whole() {
        let mirror = "0 8192 mirror core 1 1024 2 8:0 0 8:1 16 0";
        let (first, second) = ("0 8192 linear 8:0 0", "0 8192 linear 8:1 16");
        let [in_sync, syncing, stale, lost] = [
            "2 8:0 8:1 8/8 1 AA 1 core",
            "2 8:0 8:1 3/8 1 AA 1 core",
            "2 8:0 8:1 7/8 1 DA 1 core",
            "2 8:0 8:1 8/8 1 AD 1 core",
        ];
        for (words, wanted, is_left) in [
            (in_sync, first, false),
            (in_sync, second, false),
            (syncing, first, false),
            (syncing, second, true),
            (stale, first, true),
            (stale, second, false),
            (lost, first, false),
            (lost, second, true),
            // Another table copies the first leg over the second.
            (stale, &mirror.replace("8192", "16384"), true),
            (stale, "0 8192 mirror core 1 1024 2 8:1 16 8:0 0 0", false),
            (in_sync, &mirror.replace("8192", "16384"), false),
            (syncing, &mirror.replace("8192", "16384"), false),
            // At another sector it is not that leg.
            (syncing, "0 8192 linear 8:0 8", true),
        ] {
            assert_eq!(left(mirror, words, wanted) != "-", is_left, "{words} -> {wanted}");
        }
        let old = rows(mirror);
        assert!(by_removal(&old, Some(&health(&old, &[stale]))).is_some());
        assert!(by_removal(&old, Some(&health(&old, &[syncing]))).is_none());
    }

    #[test]
    fn a_copy_is_left_once_it_is_finished() {
        let clone = "0 16384 clone 8:0 8:1 8:2 64 0 0";
        let hydrated = |count: u64| {
            format!("8 6/128 64 {count}/256 0 0 4 hydration_threshold 1 hydration_batch_size 1 rw")
        };
        assert!(left(clone, &hydrated(2), "0 16384 linear 8:1 0").contains("254 regions"));
        assert_eq!(left(clone, &hydrated(256), "0 16384 linear 8:1 0"), "-");
        let merge = "0 8192 snapshot-merge 8:0 8:1 P 8";
        assert!(left(merge, "496/1024 16", "0 8192 snapshot-origin 8:0").contains("480 sectors"));
        assert_eq!(left(merge, "16/1024 16", "0 8192 linear 8:0 0"), "-");
        assert!(left(merge, "Merge failed", "0 8192 linear 8:0 0").contains("an unknown count of"));
        let raid = "0 65536 raid raid1 3 0 region_size 1024 2 8:0 8:1 8:2 8:3";
        for (words, second_is_left) in [
            ("raid1 2 AA 65536/65536 idle 0 0 -", false),
            ("raid1 2 AA 4096/65536 check 0 0 -", false),
            ("raid1 2 Aa 4096/65536 recover 0 0 -", true),
            ("raid1 2 aa 0/65536 idle 0 0 -", true),
            ("raid1 2 AD 65536/65536 idle 0 0 -", true),
            ("raid1 2 DA 65536/65536 idle 0 0 -", false),
        ] {
            assert_eq!(left(raid, words, "0 65536 linear 8:3 0") != "-", second_is_left, "{words}");
        }
        // A dead leg is replaced while the others have everything.
        let replaced = raid.replace("8:2 8:3", "8:4 8:5");
        assert_eq!(left(raid, "raid1 2 AD 65536/65536 idle 0 0 -", &replaced), "-");
    }
}
