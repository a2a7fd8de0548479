//! What a rollback could not put back, and the commands that do so by hand.
//!
//! The commands work as they are written, in the order in which the remnants are told: names and inactive slots first,
//! then tables from the bottom up, and removals last.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use super::journal::PriorState;
use crate::access::Access;
use crate::identity::Name;
use crate::kernel::{Id, KernelError};
use crate::table::RawRow;

/// What a rollback left of one device, and why.
#[derive(Debug)]
pub struct Remnant {
    /// The device, and the state in which it is left.
    pub state: RemnantState,
    /// The kernel's answer, if a call failed.
    pub cause: Option<KernelError>,
    /// How the kernel finds the device; `None` for the nodes of all.
    pub id: Option<Id>,
}

/// A state in which a rollback left a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemnantState {
    /// A device node does not lead to its device.
    Node,
    /// The device has still its new name.
    Renamed {
        /// The name it should have.
        from: Name,
        /// The name it has.
        to: Name,
    },
    /// A table is left in the inactive slot.
    InactiveTable {
        /// The name of the device.
        name: Name,
    },
    /// The device has its new table.
    NewTable {
        /// The name of the device.
        name: Name,
        /// Whether it is suspended, and was not.
        suspended: bool,
        /// The rows of the old table, with the numbers that the lower devices have now. `None` when one of these is gone.
        old: Option<Vec<RawRow>>,
    },
    /// The device was removed, and is not as it was.
    Lost {
        /// The device as it was.
        old: Box<Lost>,
        /// What has its place.
        place: Place,
    },
    /// The device had no table before.
    FirstTable {
        /// The name of the device.
        name: Name,
    },
    /// The device is suspended, and was not.
    Suspended {
        /// The name of the device.
        name: Name,
    },
    /// The device is active, and was suspended.
    Active {
        /// The name of the device.
        name: Name,
    },
    /// The device has its old table, and something else is not as it was.
    Unlike {
        /// The name of the device.
        name: Name,
    },
    /// The state of the device can't be read.
    Unreadable {
        /// The name of the device.
        name: Name,
    },
    /// Another program has changed the device meanwhile.
    Changed {
        /// The name of the device.
        name: Name,
    },
    /// A device that was to go when it is closed stays.
    Kept {
        /// The name of the device.
        name: Name,
    },
    /// A new device could not be removed.
    Stays {
        /// The name of the device.
        name: Name,
        /// Whether it has a live table.
        has_table: bool,
    },
}

/// A device that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Its name.
    pub name: Name,
    /// The options that give a new device its uuid and its access.
    options: String,
    /// Whether it refused writes: only a new device can be given that by hand.
    is_readonly: bool,
    /// The rows of its table, with the numbers that the lower devices have now. `None` when one of these is gone.
    pub rows: Option<Vec<RawRow>>,
}

/// What has the place of a removed device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// There is not a device.
    Free,
    /// The device, without a table.
    Empty,
    /// A new device.
    Taken,
}

impl Lost {
    /// Takes what is told of a device that was removed.
    pub(super) fn of(old: &PriorState) -> Self {
        let uuid = old.uuid.as_ref().map(|uuid| format!(" --uuid {}", shell_word(&uuid.text())));
        let is_readonly = old.live.access == Access::ReadOnly;
        let readonly = is_readonly.then_some(" --readonly");
        let options = [uuid.as_deref(), readonly].into_iter().flatten().collect();
        Self { name: old.name.clone(), options, rows: None, is_readonly }
    }
}

impl Remnant {
    /// Describes the device `id`, whose state is `state`, after a call that failed.
    pub(super) fn new(state: RemnantState, id: &Id, cause: Option<KernelError>) -> Self {
        Self { state, cause, id: Some(id.clone()) }
    }

    /// Describes device nodes that do not lead to their devices.
    pub(super) fn nodes(cause: KernelError) -> Self {
        Self { state: RemnantState::Node, cause: Some(cause), id: None }
    }

    /// Adds the rows of the old table.
    pub(super) fn with_rows(mut self, rows: Option<Vec<RawRow>>) -> Self {
        match &mut self.state {
            RemnantState::NewTable { old, .. } => *old = rows,
            RemnantState::Lost { old, .. } => old.rows = rows,
            _ => {}
        }
        self
    }

    /// The name that a device is to get back.
    pub(super) fn wants(&self) -> Option<&Name> {
        match &self.state {
            RemnantState::Renamed { from, .. } => Some(from),
            RemnantState::Lost { old, place: Place::Free } => Some(&old.name),
            _ => None,
        }
    }

    /// The stage of the commands by hand to which this one belongs. `wanted` are the names that devices are to get back.
    pub(super) fn stage(&self, wanted: &HashSet<Name>) -> u8 {
        match &self.state {
            RemnantState::Node | RemnantState::Changed { .. } => 0,
            RemnantState::Stays { name, .. } if wanted.contains(name) => 0,
            RemnantState::Renamed { .. } => 1,
            // A device without a live table has nothing above it, and may hold what others need.
            RemnantState::InactiveTable { .. } | RemnantState::Stays { has_table: false, .. } => 2,
            RemnantState::NewTable { .. } | RemnantState::Lost { .. } | RemnantState::FirstTable { .. } => 3,
            RemnantState::Suspended { .. }
            | RemnantState::Active { .. }
            | RemnantState::Unlike { .. }
            | RemnantState::Unreadable { .. } => 4,
            RemnantState::Kept { .. } | RemnantState::Stays { .. } => 5,
        }
    }
}

impl fmt::Display for Remnant {
    /// Describes the device and names the command that helps. The rows of a table follow on lines of their own, with keys
    /// replaced.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is marked as another subsystem's is changed only on request.
        let is_foreign = matches!(&self.id, Some(Id::Uuid(uuid)) if uuid.subsystem().is_some());
        let (why, foreign) = (Why(self.cause.as_ref()), if is_foreign { " --foreign" } else { "" });
        match &self.state {
            RemnantState::Node => write!(
                f,
                "a device node below /dev/mapper is missing or wrong{why}; `dmctl repair` puts the nodes of devices right"
            ),
            RemnantState::Renamed { from, to } => {
                write!(
                    f,
                    "{from} is called {to}{why}; `dmctl rename {} {}{foreign}` renames it",
                    to.word(),
                    from.word()
                )
            }
            RemnantState::InactiveTable { name } => {
                write!(
                    f,
                    "{name} keeps a table in its inactive slot{why}; `dmctl clear {}{foreign}` drops it",
                    name.word()
                )
            }
            RemnantState::NewTable { name, suspended, old } => {
                let state = if *suspended { " and is suspended" } else { "" };
                write!(f, "{name} has its new table{state}{why}; `dmctl apply` goes on from here")?;
                match old.as_deref().map(Rows) {
                    None => Ok(()),
                    Some(rows) if rows.hide_a_key() => {
                        f.write_str("; its old table holds a key, which is not shown")
                    }
                    Some(rows) => {
                        write!(
                            f,
                            ", and `dmctl reload {}{foreign}` gives it its old table:{rows}",
                            name.word()
                        )
                    }
                }
            }
            RemnantState::Lost { old, place } => old.fmt_at(f, *place, &why, foreign),
            RemnantState::FirstTable { name } => {
                write!(f, "{name} had no table, and has one now{why}; `dmctl apply` goes on from here")
            }
            RemnantState::Suspended { name } => {
                write!(f, "{name} is suspended{why}; `dmctl resume {}{foreign}` resumes it", name.word())
            }
            RemnantState::Active { name } => {
                write!(
                    f,
                    "{name} is not suspended as it was{why}; `dmctl suspend {}{foreign}` suspends it",
                    name.word()
                )
            }
            RemnantState::Unlike { name } => {
                write!(
                    f,
                    "{name} has its old table, and is not as it was{why}; `dmctl info {}` shows it",
                    name.word()
                )
            }
            RemnantState::Unreadable { name } => {
                write!(
                    f,
                    "the state of {name} can't be read{why}; `dmctl info {}` shows whether it exists",
                    name.word()
                )
            }
            RemnantState::Changed { name } => write!(
                f,
                "{name} was changed by another program meanwhile, and is left as it is; `dmctl info {}` shows it",
                name.word()
            ),
            RemnantState::Kept { name } => write!(
                f,
                "{name} was to go away when it is closed, and stays{why}; `dmctl remove {} --deferred{foreign}` lets it go",
                name.word()
            ),
            RemnantState::Stays { name, .. } => {
                write!(
                    f,
                    "{name} is there and should not be{why}; `dmctl remove {}{foreign}` removes it",
                    name.word()
                )
            }
        }
    }
}

impl Lost {
    fn fmt_at(&self, f: &mut fmt::Formatter<'_>, place: Place, why: &Why<'_>, foreign: &str) -> fmt::Result {
        let Self { name, options, rows, is_readonly } = self;
        let word = name.word();
        let rows = match rows.as_deref().map(Rows) {
            _ if place == Place::Taken => {
                return write!(
                    f,
                    "{name} was removed, and a new device has its place{why}; once the cause is gone, `dmctl apply` goes \
                     on from here"
                );
            }
            Some(Rows([])) => {
                return write!(
                    f,
                    "{name} had no table, and is removed{why}; `dmctl apply` goes on from here"
                );
            }
            Some(rows) if !rows.hide_a_key() => rows,
            Some(_) => {
                return write!(
                    f,
                    "{name} was removed, and can't be made again as it was{why}; its table holds a key, which is not \
                     shown: `dmctl apply` with the map that it is from makes it"
                );
            }
            None => {
                return write!(
                    f,
                    "{name} was removed, and can't be made again as it was{why}; a lower device is not back either: \
                     `dmctl apply` goes on from here"
                );
            }
        };
        let create = format!("`dmctl create {word}{options}{foreign}` makes it from its old table:{rows}");
        match (place, is_readonly) {
            (Place::Empty, true) => write!(
                f,
                "{name} was removed, and is there again without a table{why}; once `dmctl remove {word}{foreign}` has removed \
                 that, {create}"
            ),
            (Place::Empty, false) => write!(
                f,
                "{name} was removed, and is there again without a table{why}; once the cause is gone, `dmctl apply` goes \
                 on from here, and `dmctl reload {word}{foreign}` gives it its old table:{rows}"
            ),
            (Place::Free | Place::Taken, _) => {
                write!(f, "{name} was removed, and can't be made again as it was{why}; {create}")
            }
        }
    }
}

/// Why a call failed, behind a colon.
struct Why<'a>(Option<&'a KernelError>);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

/// The rows of a table, one a line.
struct Rows<'a>(&'a [RawRow]);

impl Rows<'_> {
    fn hide_a_key(&self) -> bool {
        self.0.iter().any(|row| row.redacted_params() != row.params())
    }
}

impl fmt::Display for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|row| write!(f, "\n    {row}"))
    }
}

/// Returns a uuid as one word of a shell's command.
fn shell_word(text: &str) -> Cow<'_, str> {
    shlex::try_quote(text).unwrap_or(Cow::Borrowed(text))
}
