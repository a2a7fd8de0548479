//! The target types of a simulated kernel that was made without a real one to copy.
//!
//! It has every type that dmctl knows, so that any map can be tried: those of Linux 6.1 with their
//! versions there, and the few that came later with the version they came with.

use std::collections::BTreeMap;

use crate::kernel::Version;
use crate::targets;

/// Versions as `dmsetup targets` prints them on Linux 6.1; vdo and what follows it are newer.
const KNOWN: &[(&str, Version)] = &[
    ("cache", Version(2, 3, 0)),
    ("clone", Version(1, 0, 0)),
    ("crypt", Version(1, 24, 0)),
    ("delay", Version(1, 3, 0)),
    ("dust", Version(1, 0, 0)),
    ("ebs", Version(1, 0, 1)),
    ("era", Version(1, 0, 0)),
    ("error", Version(1, 5, 0)),
    ("flakey", Version(1, 5, 0)),
    ("integrity", Version(1, 10, 0)),
    ("linear", Version(1, 4, 0)),
    ("log-writes", Version(1, 1, 0)),
    ("mirror", Version(1, 14, 0)),
    ("multipath", Version(1, 14, 0)),
    ("raid", Version(1, 15, 1)),
    ("snapshot", Version(1, 16, 0)),
    ("snapshot-merge", Version(1, 5, 0)),
    ("snapshot-origin", Version(1, 9, 0)),
    ("striped", Version(1, 6, 0)),
    ("switch", Version(1, 1, 0)),
    ("thin", Version(1, 22, 0)),
    ("thin-pool", Version(1, 22, 0)),
    ("unstriped", Version(1, 1, 0)),
    ("verity", Version(1, 9, 0)),
    ("writecache", Version(1, 6, 0)),
    ("zero", Version(1, 1, 0)),
    ("zoned", Version(2, 0, 0)),
    ("vdo", Version(9, 1, 0)),
    ("pcache", Version(0, 1, 0)),
    ("inlinecrypt", Version(1, 0, 0)),
];

/// Returns the version of every type, by name.
pub(super) fn all() -> BTreeMap<String, Version> {
    let known = KNOWN.iter().map(|(name, version)| ((*name).to_string(), *version));
    let mut versions: BTreeMap<String, Version> = known.collect();
    for kind in targets::KINDS {
        versions.entry(kind.name.to_string()).or_insert(Version(1, 0, 0));
    }
    versions
}
