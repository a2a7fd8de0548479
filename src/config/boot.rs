//! How a mapping comes up at boot: the words that `crypttab` has for the same.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A word of `boot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum BootOption {
    /// The boot goes on without it.
    #[serde(rename = "nofail")]
    NoFail,
    /// It comes up only when something asks for it, such as a mount.
    #[serde(rename = "noauto")]
    NoAuto,
    /// It needs the network.
    #[serde(rename = "_netdev")]
    NetDev,
    /// It comes up in the initramfs, and stays until the very end.
    #[serde(rename = "x-initrd.attach")]
    InitrdAttach,
}

/// The error for a word that is not a boot option.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{}` is not a boot option: it is one of nofail, noauto, _netdev, x-initrd.attach", .0.escape_debug())]
pub struct NoBootOption(pub String);

impl BootOption {
    /// Every boot option, in the order in which errors list them.
    pub const ALL: [Self; 4] = [Self::NoFail, Self::NoAuto, Self::NetDev, Self::InitrdAttach];

    /// Returns the word that a map uses for the option.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoFail => "nofail",
            Self::NoAuto => "noauto",
            Self::NetDev => "_netdev",
            Self::InitrdAttach => "x-initrd.attach",
        }
    }
}

impl fmt::Display for BootOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for BootOption {
    type Err = NoBootOption;

    fn from_str(text: &str) -> Result<Self, NoBootOption> {
        let found = Self::ALL.into_iter().find(|option| option.name() == text);
        found.ok_or_else(|| NoBootOption(text.to_string()))
    }
}
