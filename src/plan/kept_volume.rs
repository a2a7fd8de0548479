//! Volumes that a map would make, and that their pools have already.

use std::fmt;

use crate::thin_metadata::Unreadable;

/// A volume that the map would make, and that its pool has already. It is used as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptVolume {
    /// Its id in the pool.
    pub id: u32,
    /// The transaction id of the pool when it was made.
    pub transaction_id: u64,
    /// The volume that the map would make it a snapshot of.
    pub snapshot_of: Option<u32>,
}

/// Why it is not known whether a pool has a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UntoldVolume {
    /// The metadata of the pool can't be read.
    Unreadable(Unreadable),
    /// The place of the metadata is not known.
    Unplaced,
}

impl fmt::Display for KeptVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, transaction_id, snapshot_of } = self;
        write!(
            f,
            "volume {id} is in the pool already (made at transaction {transaction_id}): it is used as it is"
        )?;
        match snapshot_of {
            Some(origin) => write!(f, ", and is not a snapshot of volume {origin} as that is now"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for UntoldVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => why.fmt(f),
            Self::Unplaced => f.write_str("where the pool has its metadata can't be told yet"),
        }
    }
}
