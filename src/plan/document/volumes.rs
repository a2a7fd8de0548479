//! The volumes of thin pools that a map would make, in a document.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::{Cause, Reason};

/// A volume of a thin pool that the map would make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename = "Volume", expecting = "struct Volume")]
pub struct VolumeData {
    /// Its id in the pool.
    pub id: u32,
    /// What becomes of it.
    pub fate: VolumeFate,
    /// The transaction id of the pool when it was made; of a kept one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<u64>,
    /// The volume that it is made a snapshot of; a kept one is not a snapshot of that volume as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_of: Option<u32>,
}

/// What becomes of a volume that the map would make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VolumeFate {
    /// The pool does not have it: it is made.
    Made,
    /// The pool has it already: it is used as it is.
    Kept,
    /// It is not known whether the pool has it: it is made if not.
    Unknown,
}

impl VolumeData {
    /// Returns the volumes of the reason of a step.
    pub(super) fn of(reason: &Reason) -> Vec<Self> {
        let made = match &reason.cause {
            Cause::Volume(volume) => Some(Self {
                id: volume.id,
                fate: if volume.untold.is_some() { VolumeFate::Unknown } else { VolumeFate::Made },
                transaction_id: None,
                snapshot_of: volume.snapshot_of,
            }),
            _ => None,
        };
        let kept = reason.kept.iter().map(|volume| Self {
            id: volume.id,
            fate: VolumeFate::Kept,
            transaction_id: Some(volume.transaction_id),
            snapshot_of: volume.snapshot_of,
        });
        made.into_iter().chain(kept).collect()
    }
}
