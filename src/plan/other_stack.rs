//! A mapping of another stack, whose device is in the way of the stack that is planned.

use std::collections::BTreeSet;
use std::fmt;

use crate::config::{Mapping, Rest, State};
use crate::identity::{DevNum, Key};
use crate::kernel::DeviceState;
use crate::observed::{Observed, Seen};
use crate::stack::Reach;

/// A mapping of the map that the planned part leaves out. Its `Display` is the way out: to plan both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherStack {
    /// The key of that mapping.
    pub key: Key,
    /// The keys by which both are selected: those of the planned part, that one, and those whose devices are above it now, though
    /// not by the map, for it can't go before they do. None where the part was not selected by keys.
    pub together: Vec<Key>,
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
    /// Finds the mapping of the rest of a map that a device is.
    pub(super) fn declaring(rest: Option<&Rest>, device: &Seen, observed: &Observed) -> Option<Self> {
        let rest = rest?;
        let mapping = declared(rest, device)?;
        let mut together = rest.selected.clone();
        if !together.is_empty() {
            together.push(mapping.key.clone());
            together.extend(above(rest, mapping, device.listed.number, observed));
        }
        Some(Self { key: mapping.key.clone(), together })
    }
}

fn declared<'r>(rest: &'r Rest, device: &Seen) -> Option<&'r Mapping> {
    rest.declaring(&device.listed.name, device.listed.uuid.as_ref())
}

/// Lists the mappings of the rest whose devices are above a device now, and that the map does not plan with it.
fn above(rest: &Rest, first: &Mapping, number: DevNum, observed: &Observed) -> Vec<Key> {
    let mut planned = BTreeSet::from([&first.key]);
    let mut above = Vec::new();
    let mut reach = Reach::from_iter([number]);
    while let Some(lower) = reach.next() {
        for seen in &observed.devices {
            let uses = |device: &DeviceState| device.table.lower_devices().contains(&lower);
            if !seen.mapped.as_ref().is_some_and(uses) {
                continue;
            }
            reach.extend([seen.listed.number]);
            let Some(mapping) = declared(rest, seen) else { continue };
            if planned.contains(&mapping.key) {
                continue;
            }
            let lowers = mapping.rows.iter().flat_map(|row| row.target.lower_devices(0));
            let is_with = mapping.state != State::Absent
                && lowers
                    .into_iter()
                    .any(|lower| lower.device.key().is_some_and(|key| planned.contains(key)));
            planned.insert(&mapping.key);
            if !is_with {
                above.push(mapping.key.clone());
            }
        }
    }
    above
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
        if self.together.is_empty() {
            return Ok(());
        }
        // With `=`, a key that begins with `-` is no option.
        let option = |key: &Key| {
            if key.as_str().starts_with('-') { format!("--stack={key}") } else { format!("--stack {key}") }
        };
        let options: Vec<String> = self.together.iter().map(option).collect();
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
