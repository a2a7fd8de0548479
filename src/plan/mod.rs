//! The plan: the steps that make a kernel equal to a map, in the order in which they are carried out.
//!
//! Planning is pure. It is given a map and what was read of a kernel ([`crate::observed`]) and asks
//! neither of them anything more; the same input gives the same plan, ties broken by name.
//!
//! [`repair`] finds what a crash left, where there is no map.
//!
//! `matching` finds the device of each mapping, `changes` compares the two from the bottom of the stacks
//! up, `steps` says what must happen, `order` in which order, and `risk` what is at stake.

mod actions;
mod changes;
mod claims;
mod deactivation;
pub mod document;
mod handover;
mod mappings;
mod matching;
mod noted;
mod order;
mod overlap;
mod own;
mod preparation;
pub mod repair;
mod resolve;
mod risk;
mod sorting;
mod stacks;
mod steps;
mod usage;
mod waits;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Map;
use crate::diff::{self, TableDiff};
use crate::identity::{DevNum, Key, Name, Uuid};
use crate::kernel::{Id, KernelError, ReadKernel, Suspend};
use crate::observed::Observed;
use crate::policy::Class;
use crate::table::ReadTable;
use crate::table::Row;

pub use changes::{Change, Changes, Standing};
pub use deactivation::{Deactivation, deactivate};
pub use usage::InUse;

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
    /// All of them.
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
    #[must_use]
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

/// The message to Device Mapper itself that lets a device stay which was to go away when it is closed
/// (`message_for_md` in `drivers/md/dm-ioctl.c`).
pub const CANCEL_REMOVAL: &str = "@cancel_deferred_remove";

/// One step.
#[derive(Clone)]
pub struct Step {
    /// What it does.
    pub action: Action,
    /// The mapping it is for; none for an owned device that no mapping declares and whose key is no key.
    pub mapping: Option<Key>,
    /// The name of the device when the step begins.
    pub name: Name,
    /// The uuid the device is found by, or gets in this step; none where it is found by its name.
    pub uuid: Option<Uuid>,
    /// Its number, when it exists already.
    pub number: Option<DevNum>,
    /// What is at stake.
    pub class: Class,
    /// Why it may not be carried out, if so.
    pub refused: Option<Refusal>,
    /// Why it is needed.
    pub reason: Cow<'static, str>,
    /// What differs by action.
    pub detail: Detail,
}

/// What differs by action.
#[derive(Clone)]
pub enum Detail {
    /// Of [`Action::Create`].
    Create {
        /// The table it gets. Its devices have numbers as far as they exist.
        table: Arc<[Row]>,
        /// Whether the table is loaded read-only.
        readonly: bool,
    },
    /// Of [`Action::Reload`].
    Reload {
        /// The table it gets.
        table: Arc<[Row]>,
        /// Whether that is loaded read-only.
        readonly: bool,
        /// The table it has.
        old: ReadTable,
        /// Whether that was loaded read-only.
        old_readonly: bool,
        /// What differs.
        diff: Arc<TableDiff>,
        /// How the device is suspended for the swap.
        suspend: Suspend,
        /// Whether it is suspended before the step.
        suspended: bool,
        /// Who uses it.
        users: Box<InUse>,
    },
    /// Of [`Action::Rename`].
    Rename {
        /// The new name.
        to: Name,
    },
    /// Of [`Action::SetUuid`].
    SetUuid,
    /// Of [`Action::Remove`].
    Remove {
        /// The table it has.
        old: ReadTable,
        /// Whether that was loaded read-only.
        old_readonly: bool,
        /// Who uses it.
        users: Box<InUse>,
    },
    /// Of [`Action::Suspend`].
    Suspend {
        /// How.
        how: Suspend,
        /// Who uses it.
        users: Box<InUse>,
    },
    /// Of [`Action::Resume`].
    Resume {
        /// Whether a table waits in the inactive slot, which must not become live.
        clear: bool,
    },
    /// Of [`Action::Clear`].
    Clear,
    /// Of [`Action::Message`].
    Message {
        /// The sector whose target is spoken to.
        sector: u64,
        /// What it is told.
        text: String,
        /// Set when it goes to a lower device, to make it ready for a table.
        prepares: Option<Box<Preparation>>,
    },
}

/// What a message to a lower device makes ready. That it is ready already is no failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preparation {
    /// The volume that is copied. Whoever serves it is suspended meanwhile.
    pub copies: Option<u32>,
    /// The mapping that serves that volume, with its uuid, when it is one of the map.
    pub origin: Option<(Key, Uuid)>,
}

/// Why a step may not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Its class is not allowed; `--allow` with this class would.
    Policy(Class),
    /// The mapping is protected; nothing would.
    Protected,
    /// The device is in use.
    InUse {
        /// Who uses it, in words.
        by: String,
        /// Whether nobody but programs has it open, which may be for a moment.
        passing: bool,
    },
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Policy(class) => write!(f, "needs --allow {class}"),
            Self::Protected => f.write_str("the mapping is protected"),
            Self::InUse { by, .. } => write!(f, "in use: {by}"),
        }
    }
}

impl Step {
    /// How the kernel is asked about the device: by uuid, for names can move.
    #[must_use]
    pub fn id(&self) -> Id {
        match &self.uuid {
            Some(uuid) if self.action != Action::SetUuid => Id::Uuid(uuid.clone()),
            _ => Id::Name(self.name.clone()),
        }
    }

    /// Whether it lets a device stay which was to go away when it is closed.
    #[must_use]
    pub fn calls_off_removal(&self) -> bool {
        matches!(&self.detail, Detail::Message { text, .. } if text == CANCEL_REMOVAL)
    }

    /// The devices that its device stands on before the step, and no more afterwards.
    #[must_use]
    pub fn leaves(&self, observed: &Observed) -> BTreeSet<DevNum> {
        let waiting = || {
            let seen = self.number.and_then(|number| observed.by_number(number));
            seen.map(|seen| &*seen.waiting).unwrap_or_default()
        };
        match &self.detail {
            Detail::Reload { old, table, .. } => {
                let mut left = diff::lower_devices(old);
                left.extend(diff::lower_devices(waiting()));
                for row in table.iter() {
                    for lower in row.target.lower_devices(row.length) {
                        lower.device.number.map(|number| left.remove(&number));
                    }
                }
                left
            }
            Detail::Remove { old, .. } => {
                let mut left = diff::lower_devices(old);
                left.extend(diff::lower_devices(waiting()));
                left
            }
            Detail::Clear | Detail::Resume { clear: true } => {
                let mut left = diff::lower_devices(waiting());
                let seen = self.number.and_then(|number| observed.by_number(number));
                if let Some(mapped) = seen.and_then(|seen| seen.mapped.as_ref()) {
                    left = &left - &diff::lower_devices(&mapped.table);
                }
                left
            }
            _ => BTreeSet::new(),
        }
    }
}

/// Something that stands in the way of the map as a whole: nothing is applied while it does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Conflict {
    /// The mapping that can't be had.
    pub mapping: Key,
    /// Its name.
    pub name: Name,
    /// What stands in the way, and the way out.
    pub reason: String,
}

/// A device that can't be judged, and is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unjudged {
    /// The mapping.
    pub mapping: Key,
    /// Its name.
    pub name: Name,
    /// Why not.
    pub reason: String,
}

/// A value that the kernel would take and ignore, so that no plan can bring it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// The mapping.
    pub mapping: Key,
    /// Its name.
    pub name: Name,
    /// Which value, and what would bring it.
    pub reason: String,
}

/// A plan.
#[derive(Clone, Default)]
pub struct Plan {
    /// The steps, in an order in which they can be carried out one by one.
    pub steps: Vec<Step>,
    /// For each step, by their places, those before it that it waits for. What does not wait for each other can
    /// be carried out side by side.
    pub waits: Vec<Vec<usize>>,
    /// What stands in the way.
    pub conflicts: Vec<Conflict>,
    /// Devices that are left alone.
    pub unjudged: Vec<Unjudged>,
    /// What is asked for and stays as it is.
    pub ignored: Vec<Ignored>,
    /// The classes that are allowed beyond those that always are.
    pub allow: BTreeSet<Class>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.conflicts.is_empty()
    }

    /// The steps that may not be carried out.
    pub fn refused(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.refused.is_some())
    }

    /// Whether all that keeps it from being carried out may pass by itself: programs that have a device open.
    #[must_use]
    pub fn awaits_a_close(&self) -> bool {
        let passing = |step: &Step| matches!(step.refused, Some(Refusal::InUse { passing: true, .. }));
        self.conflicts.is_empty() && self.refused().next().is_some() && self.refused().all(passing)
    }

    /// How many steps of each action there are.
    #[must_use]
    pub fn summary(&self) -> BTreeMap<Action, usize> {
        let mut summary = BTreeMap::new();
        for step in &self.steps {
            *summary.entry(step.action).or_insert(0) += 1;
        }
        summary
    }
}

/// Plans with a kernel that can only be read: what `plan`, `status` and the start of `apply` do.
pub fn plan(kernel: &dyn ReadKernel, map: &Map, allow: &BTreeSet<Class>) -> Result<Plan, KernelError> {
    let observed = Observed::read(kernel, map)?;
    let changes = Changes::find(map, &observed);
    observed.learn_users(kernel, changes.touched().chain(changes.noted.entered.iter().copied()))?;
    Ok(make(&changes, &observed, allow))
}

/// Plans from what was read and compared: pure.
#[must_use]
pub fn make(changes: &Changes<'_>, observed: &Observed, allow: &BTreeSet<Class>) -> Plan {
    let allow = changes.map.policy.allow.union(allow).copied().collect();
    let (unsorted, mut conflicts) = steps::of(changes, observed);
    let removes = unsorted.actions.any(&[Action::Remove]);
    let (mut steps, waits) = order::sort(unsorted, changes, observed, &mut conflicts);
    conflicts.extend(changes.conflicts.iter().cloned());
    conflicts.extend(claims::conflicts(changes, observed));
    conflicts.extend(handover::conflicts(changes, observed));
    conflicts.sort();
    conflicts.dedup();
    risk::judge(&mut steps, removes, changes, observed, &allow);
    let unjudged = changes.unjudged();
    Plan { steps, waits, conflicts, unjudged, ignored: changes.ignored(), allow }
}
