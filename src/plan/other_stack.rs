//! A mapping of another stack, whose device is in the way of the stack that is planned.

use std::fmt;

use crate::config::{Mapping, Rest};
use crate::identity::{Key, Name, Uuid};

/// A mapping of the map that the planned part leaves out. Its `Display` is the way out: to plan both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherStack {
    /// The key of that mapping.
    pub key: Key,
    /// The keys that the planned part was selected by; none where it was selected otherwise.
    pub selected: Vec<Key>,
}

/// How a leftover of the owner is removed by a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pruning {
    /// The map would have to turn pruning on.
    Off,
    /// The map would have to turn pruning on, and to be planned as a whole.
    OffInPart,
    /// The map would have to be planned as a whole.
    InWhole,
}

impl OtherStack {
    /// Finds the mapping of the rest of a map that the device of this name and uuid is.
    pub(super) fn declaring(rest: Option<&Rest>, name: &Name, uuid: Option<&Uuid>) -> Option<Self> {
        let rest = rest?;
        let of = |mapping: &Mapping| Self { key: mapping.key.clone(), selected: rest.selected.clone() };
        rest.declaring(name, uuid).map(of)
    }
}

impl Pruning {
    /// How a map with this rest removes a leftover.
    pub(super) fn of(rest: Option<&Rest>) -> Self {
        match rest {
            None => Self::Off,
            Some(rest) if rest.prune => Self::InWhole,
            Some(_) => Self::OffInPart,
        }
    }
}

impl fmt::Display for OtherStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("apply the whole map")?;
        if self.selected.is_empty() {
            return Ok(());
        }
        // With `=`, a key that begins with `-` is no option.
        let option = |key: &Key| {
            if key.as_str().starts_with('-') { format!("--stack={key}") } else { format!("--stack {key}") }
        };
        let options: Vec<String> = self.selected.iter().chain([&self.key]).map(option).collect();
        write!(f, ", or `{}`", options.join(" "))
    }
}

/// `let prune = true remove it`, where that is possible.
impl fmt::Display for Pruning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "let prune = true remove it",
            Self::OffInPart => "let prune = true remove it, in an apply without --stack",
            Self::InWhole => "apply without --stack, so that prune = true removes it",
        })
    }
}
