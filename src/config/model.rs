//! The content of a map, once its text is understood.

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
use crate::targets::{MessageText, Target};

/// A whole map: the wanted state in the words of the file, and nothing about the actual state.
#[derive(Clone, Default)]
pub struct Map {
    /// The owner of the devices.
    pub owner: Owner,
    /// The approvals that the map gives beforehand.
    pub policy: Policy,
    /// The mappings that the file declares, those that must be absent included.
    pub mappings: Mappings,
    /// The rest of a larger map, if these are only some of its mappings. Then the other devices of the owner are left as
    /// they are, whatever their state: a mapping of the rest may declare them.
    pub rest: Option<Rest>,
    /// Whether another user could have written it. Then what it names is not opened: the heads of lower devices are unknown.
    pub is_lax: bool,
}

/// Mappings by key, in the order of their keys.
pub type Mappings = IndexMap<Key, Mapping>;

/// The rest of a map of which only a part is planned. The part changes no device of it, whatever its state, but must know
/// it: a device that is in the way may be one that the rest moves or removes.
#[derive(Clone, Default)]
pub struct Rest {
    /// The keys that the part was selected by; none where it was selected otherwise.
    pub selected: Vec<Key>,
    /// Whether the whole map removes owned devices that no mapping declares.
    pub prune: bool,
    /// The mappings that are left out.
    pub mappings: Mappings,
}

impl Rest {
    /// Returns the mapping that the device of this name and uuid is, or becomes when the mapping takes it over.
    pub fn declaring(&self, name: &Name, uuid: Option<&Uuid>) -> Option<&Mapping> {
        let is_of = |mapping: &&Mapping| match uuid {
            Some(uuid) => mapping.uuid == *uuid || mapping.formerly.contains(uuid),
            None => mapping.renamed_from.as_ref() == Some(name) || (mapping.adopt && mapping.name == *name),
        };
        self.mappings.values().find(is_of)
    }
}

/// The `[policy]` of a map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether owned devices that no mapping declares are removed.
    pub prune: bool,
    /// Risk classes approved beforehand.
    pub allow: BTreeSet<Class>,
}

/// A device as the map wants it: its identity, its table and its options.
#[derive(Clone)]
pub struct Mapping {
    /// The identity of the mapping within the owner.
    pub key: Key,
    /// The name of the device.
    pub name: Name,
    /// The uuid of the device: owned unless the map itself gives one.
    pub uuid: Uuid,
    /// The state that the device should be in.
    pub state: State,
    /// Whether the table is loaded read-only.
    pub readonly: bool,
    /// Never removed, recreated or remapped, whatever is allowed.
    pub protect: bool,
    /// Whether the mapping may write to sectors that another mapping of the map writes to, if that one is
    /// `shared` too.
    pub shared: bool,
    /// The name of a device without uuid that is this mapping, to be renamed.
    pub renamed_from: Option<Name>,
    /// The uuids of earlier keys: a device that has one of them is this mapping.
    pub formerly: Box<[Uuid]>,
    /// Whether a device of this name without uuid is taken over.
    pub adopt: bool,
    /// How the device is suspended when it must be.
    pub suspend: Suspend,
    /// How long apply waits for the lower devices.
    pub wait: Duration,
    /// How the device comes up at boot.
    pub boot: BTreeSet<BootOption>,
    /// The rows of the table.
    pub rows: Rows,
    /// The number of the file that defines the mapping, from 0.
    pub file: usize,
}

impl Mapping {
    /// Returns the place where the map defines the mapping.
    pub fn origin(&self) -> Origin {
        Origin::mapping(self.file, self.key.as_str())
    }

    /// Returns the rows with the first sector of each; `None` behind a row that leaves its length out, where the map does not
    /// give it either.
    pub(crate) fn rows_from(&self) -> impl Iterator<Item = (Option<u64>, &MappingRow)> {
        self.rows.iter().scan(Some(0u64), |next, row| {
            let start = next.or(row.start);
            *next = match row.length {
                Length::Sectors(length) => start.map(|start| start.saturating_add(length)),
                Length::Rest => None,
            };
            Some((start, row))
        })
    }

    /// Tells whether the device exists once the map is applied.
    pub(super) fn is_present(&self) -> bool {
        self.state != State::Absent
    }

    /// Tells whether the device is to refuse writes.
    pub const fn access(&self) -> Access {
        Access::from_read_only(self.readonly)
    }
}

/// The state that the device of a mapping should be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// The device exists and serves I/O.
    #[default]
    Active,
    /// The device exists and is suspended.
    Suspended,
    /// The device does not exist.
    Absent,
}

/// The rows of a table, as the map writes them: most tables have one.
pub type Rows = SmallVec<[MappingRow; 1]>;

/// One row of the table of a mapping, as the map writes it.
#[derive(Clone)]
pub struct MappingRow {
    /// The first sector; `None` where it follows from the row before, whose length is not known yet.
    pub start: Option<u64>,
    /// The number of sectors.
    pub length: Length,
    /// The target that serves the sectors.
    pub target: Box<dyn Target>,
    /// The messages sent to the target after each load.
    pub messages: Vec<MessageText>,
}

/// The length of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// The length in sectors, as written.
    Sectors(u64),
    /// Up to the end of the one lower device: resolved when the plan is made.
    Rest,
}

/// A place in the map: the file, and the path of keys within it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The number of the file among those of the map, from 0.
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
