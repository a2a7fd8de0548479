//! The users of a device, and all that the devices above it are used for: its blast radius.

use std::collections::HashSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::DevNum;
use crate::kernel::{Process, Unseen};
use crate::observed::Observed;
use crate::stack::Reach;

/// The users of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InUse {
    /// How often it is open.
    pub open_count: u32,
    /// Names of the devices that use it: of a device that is not a mapped one, the name that its driver gave it.
    pub holders: Vec<String>,
    /// Where it is mounted.
    pub mounts: Vec<String>,
    /// Whether it is swap space.
    pub swap: bool,
    /// Processes that have it open, or have it mounted in a mount namespace of theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<Process>,
    /// What could not be seen, so that it may have other users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<Unseen>,
    /// What the devices above it are used for, however far up, as in `luks-home is mounted on /home`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub above: Vec<UseAbove>,
}

/// The use of a device further up. A document holds its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum UseAbove {
    /// A device that is mounted, swap space, or both.
    Device {
        /// Its name.
        name: String,
        /// Where it is mounted.
        mounts: Vec<String>,
        /// Whether it is swap space.
        swap: bool,
    },
    /// One that was read from a document.
    Recorded(String),
}

impl fmt::Display for UseAbove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device { name, mounts, swap } => {
                write!(f, "{name} is ")?;
                if !mounts.is_empty() {
                    write!(f, "mounted on {}", mounts.join(", "))?;
                }
                let and = if mounts.is_empty() { "" } else { " and " };
                if *swap { write!(f, "{and}swap space") } else { Ok(()) }
            }
            Self::Recorded(text) => f.write_str(text),
        }
    }
}

impl From<UseAbove> for String {
    fn from(above: UseAbove) -> Self {
        above.to_string()
    }
}

impl From<String> for UseAbove {
    fn from(text: String) -> Self {
        Self::Recorded(text)
    }
}

impl InUse {
    /// Collects the users of the device `number`, with names for numbers. Holders that have `left` are not counted.
    pub fn of(number: DevNum, open_count: u32, left: &HashSet<DevNum>, observed: &Observed) -> Self {
        let gone = u32::try_from(left.len()).unwrap_or(u32::MAX);
        let open_count = open_count.saturating_sub(gone);
        let Some(users) = observed.users(number) else { return Self { open_count, ..Self::default() } };
        let holders: Vec<DevNum> =
            users.holders.iter().copied().filter(|holder| !left.contains(holder)).collect();
        Self {
            open_count,
            holders: holders.iter().map(|holder| observed.name_of(*holder)).collect(),
            mounts: users.mounts.clone(),
            swap: users.swap,
            processes: users.processes.clone(),
            // A closed device has no user, seen or not.
            unseen: users
                .unseen
                .iter()
                .chain(&users.unseen_processes)
                .filter(|_| open_count > 0)
                .cloned()
                .collect(),
            above: above(holders, observed),
        }
    }

    /// Whether the device is open by programs, and not used otherwise.
    pub fn only_open(&self) -> bool {
        let mounted = !self.mounts.is_empty() || self.processes.iter().any(|process| process.mount.is_some());
        self.open_count > 0 && !mounted && !self.swap && self.holders.is_empty() && self.unseen.is_empty()
    }

    /// Describes the users in words: `mounted on /srv, under lv-data, open 2`. Empty for an unused device.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        if !self.mounts.is_empty() {
            parts.push(format!("mounted on {}", self.mounts.join(", ")));
        }
        if self.swap {
            parts.push("swap space".to_string());
        }
        if !self.holders.is_empty() {
            let above: Vec<String> = self.above.iter().map(ToString::to_string).collect();
            let above = above.join("; ");
            let above = if above.is_empty() { above } else { format!(" ({above})") };
            parts.push(format!("under {}{above}", self.holders.join(", ")));
        }
        let (mounted, open): (Vec<&Process>, Vec<&Process>) =
            self.processes.iter().partition(|process| process.mount.is_some());
        parts.extend(Some(mounted_elsewhere(&mounted)).filter(|mounts| !mounts.is_empty()));
        if self.open_count > 0 {
            let by = some_of(&open.iter().map(ToString::to_string).collect::<Vec<_>>());
            parts.push(format!("open {}{}{by}", self.open_count, if by.is_empty() { "" } else { " by " }));
        }
        if !self.unseen.is_empty() {
            let unseen: Vec<String> = self.unseen.iter().map(ToString::to_string).collect();
            parts.push(format!("other users could not be seen ({})", unseen.join("; ")));
        }
        parts.join(", ")
    }
}

/// Lists the uses of devices and of all devices above them, the lowest first.
fn above(holders: Vec<DevNum>, observed: &Observed) -> Vec<UseAbove> {
    let mut found = Vec::new();
    let mut reach = Reach::from_iter(holders);
    while let Some(number) = reach.next() {
        let Some(users) = observed.users(number) else { continue };
        if !users.mounts.is_empty() || users.swap {
            let (name, mounts) = (observed.name_of(number), users.mounts.clone());
            found.push(UseAbove::Device { name, mounts, swap: users.swap });
        }
        reach.extend(users.holders.iter().copied());
    }
    found
}

/// Lists the processes in whose mount namespaces a device is mounted, and where.
fn mounted_elsewhere(processes: &[&Process]) -> String {
    some_of(&processes.iter().map(|process| process.describe()).collect::<Vec<_>>())
}

/// Lists the first few items, and counts the others.
fn some_of(all: &[String]) -> String {
    const MAX_SHOWN: usize = 4;
    let shown = all[..all.len().min(MAX_SHOWN)].join(", ");
    if all.len() > MAX_SHOWN { format!("{shown} and {} more", all.len() - MAX_SHOWN) } else { shown }
}
