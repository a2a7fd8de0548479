//! The state of a snapshot and of a merge: `snapshot_status` in `drivers/md/dm-snap.c`.

use serde::Serialize;

use super::Snapshot;
use crate::targets::state::Tally;
use crate::targets::{FreshRow, Health, Left, ParamsError, State, Unfinished, Words};
use crate::units::Sectors;

/// How full it may be before it needs attention, in percent.
const NEARLY_FULL: u64 = 80;

/// What is printed of either.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Usage {
    /// It serves I/O.
    Valid {
        /// The sectors of the COW device that are in use, metadata included.
        sectors: Tally,
        /// Those of the metadata. Kernels since 2.6.31 tell.
        metadata_sectors: Option<u64>,
    },
    /// Its content is lost, for good.
    Invalid,
    /// A merge ended with an error.
    MergeFailed,
    /// A snapshot that counts on a full COW device (`PO`) has met one.
    Overflow,
}

/// The state of a snapshot.
#[derive(Debug, Serialize)]
struct SnapshotState(Usage);

/// The state of a merge.
#[derive(Debug, Serialize)]
struct MergeState(Usage);

impl Usage {
    fn take(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        match words.peek() {
            Some("Invalid") => {
                words.skip();
                Ok(Self::Invalid)
            }
            Some("Overflow") => {
                words.skip();
                Ok(Self::Overflow)
            }
            Some("Merge") => {
                words.skip();
                match words.next("what became of the merge")? {
                    "failed" => Ok(Self::MergeFailed),
                    _ => Err(words.wrong("a merge can only have failed")),
                }
            }
            _ => {
                let sectors = Tally::take(words, "the count of sectors")?;
                let metadata_sectors = words.number_if_any("the count of metadata sectors")?;
                if metadata_sectors.is_some_and(|metadata| metadata > sectors.used) {
                    return Err(words.wrong("more sectors hold metadata than are in use"));
                }
                Ok(Self::Valid { sectors, metadata_sectors })
            }
        }
    }

    /// Returns the sectors that hold data of the snapshot, where that is known.
    fn data(self) -> Option<u64> {
        match self {
            Self::Valid { sectors, metadata_sectors } => {
                Some(sectors.used - metadata_sectors.unwrap_or_default())
            }
            Self::Invalid | Self::MergeFailed | Self::Overflow => None,
        }
    }

    /// Returns how many sectors of the COW device are in use: chunks are taken in order (`persistent_prepare_exception` and
    /// `transient_prepare_exception`).
    fn in_use(self) -> Option<u64> {
        match self {
            Self::Valid { sectors, .. } => Some(sectors.used),
            Self::Invalid | Self::MergeFailed | Self::Overflow => None,
        }
    }

    fn figures(self) -> Option<String> {
        let Self::Valid { sectors: Tally { used, total }, .. } = self else { return None };
        Some(format!("{} of {} in use", Sectors(used).human(), Sectors(total).human()))
    }
}

/// Reads the state of a snapshot.
pub(super) fn read(words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    Ok(Box::new(SnapshotState(Usage::take(words)?)))
}

/// Reads the state of a merge.
pub(in crate::targets) fn read_merge(words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    Ok(Box::new(MergeState(Usage::take(words)?)))
}

/// Returns what is printed of a snapshot that was just made: a persistent one has a header, and room for the places of
/// its chunks.
pub(super) fn fresh(snapshot: &Snapshot, row: FreshRow<'_>) -> String {
    let total = (row.size_of)(&snapshot.cow).unwrap_or_default();
    let used = if snapshot.persistent { (2 * snapshot.chunk.0).min(total) } else { 0 };
    format!("{used}/{total} {used}")
}

/// Returns what is printed of a merge that just began. How much the snapshot holds is not known, so it is all.
pub(in crate::targets) fn fresh_merge(snapshot: &Snapshot, row: FreshRow<'_>) -> String {
    let total = (row.size_of)(&snapshot.cow).unwrap_or_default();
    format!("{total}/{total} {}", (2 * snapshot.chunk.0).min(total))
}

impl State for SnapshotState {
    fn health(&self) -> Health {
        match self.0 {
            Usage::Valid { sectors, .. } if sectors.percent() >= NEARLY_FULL => Health::Degraded,
            Usage::Valid { .. } => Health::Ok,
            Usage::Invalid | Usage::MergeFailed | Usage::Overflow => Health::Failed,
        }
    }

    fn figures(&self) -> Option<String> {
        self.0.figures()
    }

    fn in_use(&self) -> Option<u64> {
        self.0.in_use()
    }

    fn findings(&self) -> Vec<String> {
        let finding = match self.0 {
            Usage::Invalid => "invalid: its content is lost for good; the origin is not touched by that",
            Usage::Overflow => {
                "the COW device is full: writes fail, and the next write to the origin makes it invalid"
            }
            Usage::MergeFailed => "the merge failed",
            Usage::Valid { sectors, .. } if sectors.percent() >= NEARLY_FULL => {
                return vec![format!(
                    "the COW device is {} % full: once it is full the snapshot is lost",
                    sectors.percent()
                )];
            }
            Usage::Valid { .. } => return Vec::new(),
        };
        vec![finding.to_string()]
    }
}

impl State for MergeState {
    fn health(&self) -> Health {
        match self.0 {
            Usage::Valid { .. } if self.left().is_some() => Health::Busy,
            Usage::Valid { .. } => Health::Ok,
            Usage::Invalid | Usage::MergeFailed | Usage::Overflow => Health::Failed,
        }
    }

    fn figures(&self) -> Option<String> {
        self.0.figures()
    }

    fn in_use(&self) -> Option<u64> {
        self.0.in_use()
    }

    fn findings(&self) -> Vec<String> {
        vec![match (self.0, self.left()) {
            (Usage::MergeFailed, _) => {
                "the merge failed: a part is merged, the COW device has the rest; load the \
                                        merge again once the devices below work"
                    .to_string()
            }
            (Usage::Invalid, _) => "invalid: what was not merged is lost".to_string(),
            (Usage::Overflow, _) => "the COW device is full".to_string(),
            (Usage::Valid { .. }, Some(left)) => left.to_string(),
            (Usage::Valid { .. }, None) => "all is merged: the origin can take its place".to_string(),
        }]
    }

    fn left(&self) -> Option<Left> {
        match self.0.data() {
            Some(data) => Left::counted(data, Unfinished::UnmergedSectors, 1),
            None => Some(Left::Untold(Unfinished::UnmergedSectors)),
        }
    }
}
