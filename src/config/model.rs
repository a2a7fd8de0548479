//! What a map says, once its text is understood.

use std::collections::BTreeSet;
use std::time::Duration;

use indexmap::IndexMap;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::boot::BootOption;
use crate::access::Access;
use crate::identity::{Key, Name, Owner, Uuid};
use crate::kernel::Suspend;
use crate::policy::Class;
use crate::targets::Target;

/// A whole map: what should be, in the words of the file, and nothing about what is.
#[derive(Clone, Default)]
pub struct Map {
    /// Whose devices these are.
    pub owner: Owner,
    /// What the map approves beforehand.
    pub policy: Policy,
    /// The mappings.
    pub mappings: Mappings,
}

/// Mappings by key, in the order of their keys.
pub type Mappings = IndexMap<Key, Mapping>;

/// The `[policy]` of a map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether owned devices that no mapping declares are removed.
    pub prune: bool,
    /// Risk classes approved beforehand.
    pub allow: BTreeSet<Class>,
}

/// One mapping.
#[derive(Clone)]
pub struct Mapping {
    /// Its identity within the owner.
    pub key: Key,
    /// The name of its device.
    pub name: Name,
    /// The uuid of its device: owned unless the map writes one itself.
    pub uuid: Uuid,
    /// What should become of it.
    pub state: State,
    /// Whether its table is loaded read-only.
    pub readonly: bool,
    /// Never removed, recreated or remapped, whatever is allowed.
    pub protect: bool,
    /// May write to sectors that another mapping of the map writes to, if that one says so too.
    pub shared: bool,
    /// The name of a device without uuid that is this mapping.
    pub renamed_from: Option<Name>,
    /// Whether a device of this name without uuid is taken over.
    pub adopt: bool,
    /// How it is suspended when it must be.
    pub suspend: Suspend,
    /// How long apply waits for its lower devices.
    pub wait: Duration,
    /// How it comes up at boot.
    pub boot: BTreeSet<BootOption>,
    /// Its table.
    pub rows: Rows,
    /// Which of the map's files defines it, from 0.
    pub file: usize,
}

impl Mapping {
    /// Where the map defines it.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin::mapping(self.file, self.key.as_str())
    }

    /// Tells whether its device exists once the map is applied.
    pub(super) fn is_present(&self) -> bool {
        self.state != State::Absent
    }

    /// Tells whether its device is to refuse writes.
    #[must_use]
    pub const fn access(&self) -> Access {
        Access::from_read_only(self.readonly)
    }
}

/// What should become of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// It exists and serves I/O.
    #[default]
    Active,
    /// It exists and holds I/O back.
    Suspended,
    /// It does not exist.
    Absent,
}

/// The rows of a table, as the map writes them: most tables have one.
pub type Rows = SmallVec<[MappingRow; 1]>;

/// One row of the table of a mapping, as the map writes it.
#[derive(Clone)]
pub struct MappingRow {
    /// The first sector; none where it follows from the row before, whose length is not known yet.
    pub start: Option<u64>,
    /// How many sectors.
    pub length: Length,
    /// What serves them.
    pub target: Box<dyn Target>,
    /// Sent after each load.
    pub messages: Vec<String>,
}

/// The length of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// As written.
    Sectors(u64),
    /// Up to the end of the one lower device: resolved when the plan is made.
    Rest,
}

/// Where in the map something stands: the file, and the path of keys within it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Which of the map's files, from 0.
    pub file: usize,
    /// The keys from the top of the file.
    pub path: Vec<Place>,
}

/// One step of the path to a place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A key of a table.
    Key(SmolStr),
    /// An index of an array.
    Index(usize),
}
