//! The actions of steps, as a plan's JSON names them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Make a device, load its table and let I/O through.
    Create,
    /// Swap the table of a device for another.
    Reload,
    /// Give a device another name.
    Rename,
    /// Give a device that has no uuid its uuid.
    SetUuid,
    /// Destroy a device.
    Remove,
    /// Hold I/O back.
    Suspend,
    /// Let I/O through.
    Resume,
    /// Empty the inactive slot.
    Clear,
    /// Send a message to a target.
    Message,
}

impl Action {
    /// Every action, in the order of a summary.
    pub const ALL: [Self; 9] = [
        Self::Create,
        Self::Reload,
        Self::Rename,
        Self::SetUuid,
        Self::Remove,
        Self::Suspend,
        Self::Resume,
        Self::Clear,
        Self::Message,
    ];

    /// Its name, as in a plan's JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Reload => "reload",
            Self::Rename => "rename",
            Self::SetUuid => "set-uuid",
            Self::Remove => "remove",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Clear => "clear",
            Self::Message => "message",
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ActionSet(u16);

impl ActionSet {
    pub(super) fn insert(&mut self, action: Action) {
        self.0 |= 1 << action as u16;
    }

    /// Returns whether it has this action.
    pub(super) fn contains(self, action: Action) -> bool {
        self.0 & (1 << action as u16) != 0
    }
}
