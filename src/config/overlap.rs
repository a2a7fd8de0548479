//! Finds mappings that write to the same sectors of a device, or are the same volume of a pool.
//!
//! The map is checked offline, where devices are told apart by their text, and again when a plan is made,
//! where they are told apart by number. Both sort the claims of all mappings and sweep over them once: a map
//! may have a hundred thousand.

use std::fmt;

use super::model::{Length, Mapping};
use crate::device::Device;
use crate::targets::{self, DeviceAccess};

/// Sectors of a lower device that a row of a mapping uses.
#[derive(Clone)]
pub struct Claim<'m, D> {
    /// The mapping that the row is in.
    pub mapping: &'m Mapping,
    /// The index of the row in the mapping.
    pub row: usize,
    /// The device, as the map calls it.
    pub device: &'m Device,
    /// The identity by which the device is compared with others.
    pub identity: D,
    /// The id of the volume that the row is, for a claim on a volume of the device and not on its own sectors.
    pub volume: Option<u32>,
    /// The first sector that the row uses.
    pub start: u64,
    /// The first sector after it; `u64::MAX` for all up to the end of the device.
    pub end: u64,
    /// The way in which the row uses the sectors.
    pub access: DeviceAccess,
    /// Whether the mapping is `shared`.
    pub shared: bool,
}

impl<D> Claim<'_, D> {
    /// Whether the access is known: that of a target of an unknown type is not.
    fn is_known(&self) -> bool {
        targets::find(self.mapping.rows[self.row].target.kind()).is_some()
    }
}

/// Sectors of a device that two mappings claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedSectors {
    /// The first sector that both claim.
    pub start: u64,
    /// The first sector after them; `u64::MAX` for all up to the end of the device.
    pub end: u64,
}

impl fmt::Display for SharedSectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.start, self.end) {
            (0, u64::MAX) => f.write_str("all sectors"),
            (start, u64::MAX) => write!(f, "the sectors from {start} on"),
            (start, end) if end - start == 1 => write!(f, "sector {start}"),
            (start, end) => write!(f, "sectors {start} to {}", end - 1),
        }
    }
}

/// Two claims that can't both be kept.
pub struct Overlap<'m, D> {
    /// The claim that starts first.
    pub first: Claim<'m, D>,
    /// The claim that overlaps it.
    pub second: Claim<'m, D>,
}

impl<D> Overlap<'_, D> {
    /// Returns the sectors that both claim.
    pub fn sectors(&self) -> SharedSectors {
        SharedSectors {
            start: self.first.start.max(self.second.start),
            end: self.first.end.min(self.second.end),
        }
    }
}

/// Lists the claims of `mappings` on every device that `identity_of` knows.
pub fn claims<'m, D>(
    mappings: impl Iterator<Item = &'m Mapping>,
    identity_of: impl Fn(&Device) -> Option<D>,
) -> Vec<Claim<'m, D>> {
    let mut claims = Vec::new();
    mappings.for_each(|mapping| claim(mapping, &identity_of, &mut claims));
    claims
}

/// Adds the claims of one mapping. A row without a length claims all up to the end of its device; a mapping that is
/// loaded read-only only reads. A volume is one place, whichever of its sectors are used.
pub fn claim<'m, D>(
    mapping: &'m Mapping,
    identity_of: impl Fn(&Device) -> Option<D>,
    claims: &mut Vec<Claim<'m, D>>,
) {
    for (index, (start, row)) in mapping.rows_from().enumerate() {
        let (length, endless) = match row.length {
            // Where such a row begins is not known, so it may have any sector up to the end.
            Length::Sectors(length) => (length, start.is_none() && row.target.traits().counts_from_device),
            Length::Rest => (u64::MAX, true),
        };
        for lower in row.target.lower_sectors(start.unwrap_or(0), length) {
            let Some(identity) = identity_of(lower.device) else { continue };
            let end = lower.length.filter(|_| !endless).map(|length| lower.start.saturating_add(length));
            let only_reads = mapping.readonly && !row.target.writes_unasked();
            let access = if only_reads { DeviceAccess::Read } else { lower.access };
            claims.push(Claim {
                mapping,
                row: index,
                device: lower.device,
                identity,
                volume: None,
                start: lower.start,
                end: end.unwrap_or(u64::MAX),
                access,
                shared: mapping.shared,
            });
        }
        if let Some((pool, id)) = row.target.volume()
            && let Some(identity) = identity_of(pool)
        {
            let access = if mapping.readonly { DeviceAccess::Read } else { DeviceAccess::Write };
            claims.push(Claim {
                mapping,
                row: index,
                device: pool,
                identity,
                volume: Some(id),
                start: 0,
                end: u64::MAX,
                access,
                shared: mapping.shared,
            });
        }
    }
}

/// Finds the claims that can't both be kept: both write, not both by a design that shares, not both in
/// mappings that are `shared`, and not in one row, whose target checks itself. A claim is reported once,
/// together with the earlier claim that reaches furthest.
pub fn overlaps<D: Ord + Clone>(claims: Vec<Claim<'_, D>>) -> Vec<Overlap<'_, D>> {
    let mut claims: Vec<_> = claims
        .into_iter()
        .filter(|claim| claim.access != DeviceAccess::Read && claim.start < claim.end)
        .collect();
    claims.sort_by(|one, two| {
        (&one.identity, one.volume, one.start, &one.mapping.key, one.row).cmp(&(
            &two.identity,
            two.volume,
            two.start,
            &two.mapping.key,
            two.row,
        ))
    });
    let mut found = Vec::new();
    for device in claims.chunk_by(|one, two| one.identity == two.identity && one.volume == two.volume) {
        let mut reach = Reach::default();
        for claim in device {
            if let Some(first) = reach.conflict(claim) {
                found.push(Overlap { first: first.clone(), second: claim.clone() });
            }
            reach.add(claim);
        }
    }
    found
}

/// Finds the sectors that one mapping writes to and another only reads, unless both are `shared`. A claim is reported
/// once, together with the earlier claim that reaches furthest.
pub fn readings<'m, D: Ord + Clone>(claims: &[Claim<'m, D>]) -> Vec<Overlap<'m, D>> {
    let mut claims: Vec<&Claim<'m, D>> = claims
        .iter()
        .filter(|claim| !claim.access.is_shared() && claim.start < claim.end && claim.is_known())
        .collect();
    claims.sort_by_key(|claim| (&claim.identity, claim.volume, claim.start, &claim.mapping.key, claim.row));
    let mut found = Vec::new();
    for device in claims.chunk_by(|one, two| one.identity == two.identity && one.volume == two.volume) {
        // Of readers and of writers the one that reaches furthest.
        let mut furthest: [Option<&Claim<'m, D>>; 2] = [None; 2];
        for claim in device {
            let kind = usize::from(claim.access == DeviceAccess::Read);
            let other = furthest[1 - kind].filter(|other| other.end > claim.start);
            let other = other.filter(|other| !std::ptr::eq(other.mapping, claim.mapping));
            if let Some(other) = other.filter(|other| !(other.shared && claim.shared)) {
                found.push(Overlap { first: other.clone(), second: (*claim).clone() });
            }
            if furthest[kind].is_none_or(|known| claim.end > known.end) {
                furthest[kind] = Some(claim);
            }
        }
    }
    found
}

/// The claims seen so far that reach furthest: of each kind the two furthest, of different rows.
struct Reach<'c, 'm, D> {
    furthest: [[Option<&'c Claim<'m, D>>; 2]; 4],
}

impl<D> Default for Reach<'_, '_, D> {
    fn default() -> Self {
        Self { furthest: [[None; 2]; 4] }
    }
}

impl<'c, 'm, D> Reach<'c, 'm, D> {
    /// Numbers the kinds of claims: whether the target shares by design, and whether the mapping is `shared`.
    fn kind(claim: &Claim<'_, D>) -> usize {
        usize::from(claim.access.is_shared()) * 2 + usize::from(claim.shared)
    }

    fn conflict(&self, claim: &Claim<'_, D>) -> Option<&'c Claim<'m, D>> {
        self.furthest
            .iter()
            .flatten()
            .filter_map(|other| *other)
            .filter(|other| other.end > claim.start && !may_share(other, claim) && !same_row(other, claim))
            .max_by_key(|other| other.end)
    }

    fn add(&mut self, claim: &'c Claim<'m, D>) {
        let [first, second] = &mut self.furthest[Self::kind(claim)];
        match first {
            Some(known) if claim.end <= known.end => {
                if !same_row(known, claim) && second.is_none_or(|second| claim.end > second.end) {
                    *second = Some(claim);
                }
            }
            Some(known) if same_row(known, claim) => *first = Some(claim),
            known => {
                *second = *known;
                *known = Some(claim);
            }
        }
    }
}

fn may_share<D>(one: &Claim<'_, D>, two: &Claim<'_, D>) -> bool {
    (one.access.is_shared() && two.access.is_shared()) || (one.shared && two.shared)
}

fn same_row<D>(one: &Claim<'_, D>, two: &Claim<'_, D>) -> bool {
    std::ptr::eq(one.mapping, two.mapping) && one.row == two.row
}

#[cfg(test)]
mod tests {
    use super::super::parse_str;
    use super::*;

    /// Lists the pairs that overlap in a map of `(shared, start, length)` rows of one device, a mapping each.
    fn pairs(rows: &[(bool, u64, u64)]) -> Vec<String> {
        let mut text = "format = 1\n".to_string();
        for (index, (shared, start, length)) in rows.iter().enumerate() {
            let key = char::from(b'a' + u8::try_from(index).unwrap());
            // Each mapping has a device of its own, or the map itself would be refused.
            text.extend([format!(
                "[mappings.{key}]\nshared = {shared}\ntargets = [{{ type = \"linear\", length = {length}, \
                 device = \"1:{index}\", offset = {start} }}]\n"
            )]);
        }
        let map = parse_str("map.toml", &text).map.unwrap();
        overlaps(claims(map.mappings.values(), |_| Some(0)))
            .iter()
            .map(|overlap| {
                format!("{}{} {}", overlap.first.mapping.key, overlap.second.mapping.key, overlap.sectors())
            })
            .collect()
    }

    #[test]
    fn only_what_overlaps_is_found() {
        assert!(pairs(&[(false, 0, 8), (false, 8, 8), (false, 16, 8)]).is_empty());
        assert_eq!(pairs(&[(false, 0, 9), (false, 8, 8)]), ["ab sector 8"]);
        assert_eq!(pairs(&[(false, 8, 8), (false, 0, 100)]), ["ba sectors 8 to 15"]);
    }

    #[test]
    fn a_long_claim_is_not_forgotten_behind_short_ones() {
        assert_eq!(
            pairs(&[(false, 0, 100), (false, 10, 1), (false, 20, 1)]),
            ["ab sector 10", "ac sector 20"]
        );
    }

    #[test]
    fn both_must_say_that_they_share() {
        assert!(pairs(&[(true, 0, 8), (true, 0, 8)]).is_empty());
        assert_eq!(pairs(&[(true, 0, 8), (false, 0, 8)]), ["ab sectors 0 to 7"]);
        assert_eq!(pairs(&[(true, 0, 100), (false, 0, 4), (true, 50, 4)]), ["ab sectors 0 to 3"]);
    }
}
