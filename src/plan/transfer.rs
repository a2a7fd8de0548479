//! What one device lets go and a mapping takes, in one plan.

use super::position::ChangeId;
use crate::identity::DevNum;

/// Sectors, a volume or a disk that a device lets go and a mapping takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Transfer {
    pub from: Giver,
    pub to: ChangeId,
    /// Whether the table of the taker can't even be loaded before.
    pub before_load: bool,
}

/// The device that lets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Giver {
    /// A mapping of the map.
    Mapping(ChangeId),
    /// An owned device that no mapping declares, and that is removed.
    Orphan(DevNum),
}

impl Transfer {
    /// Sorts transfers, and keeps one for each pair: that which holds the load back, if there is one.
    pub(crate) fn sort(transfers: &mut Vec<Self>) {
        transfers.sort_by_key(|one| (one.from, one.to, !one.before_load));
        transfers.dedup_by_key(|one| (one.from, one.to));
    }
}
