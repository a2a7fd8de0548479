//! A call that would wait for a suspended device: data, with the sentence where it is shown.

use std::fmt;

use smol_str::SmolStr;

use super::action::Action;
use crate::device::Written;
use crate::identity::{Key, Name};

/// A call that would wait for a suspended device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuspendedBelow {
    /// The target type whose I/O it waits for.
    pub kind: SmolStr,
    /// The lower device that the I/O goes to, as the table names it.
    pub device: Written,
    /// The call.
    pub call: Call,
    /// Whether the suspended device is that lower device, and not one below it.
    pub is_itself: bool,
    /// The name of the suspended device.
    pub name: Name,
    /// The mapping of the map that wants it so.
    pub key: Option<Key>,
    /// Whether the suspended device has an owner.
    pub is_own: bool,
}

/// A call that waits for a lower device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A table is loaded, and resumed for the first time.
    Load,
    /// The device is suspended.
    Suspend,
    /// The table is swapped or removed.
    End,
    /// The device is suspended, for whatever reason, while the target copies data by itself.
    Copy,
    /// A message makes a volume.
    Message,
    /// A volume is activated, which the kernel refuses at once.
    Volume,
}

impl Call {
    /// Whether a step of this action makes the call.
    pub(super) fn is_of(self, action: Action) -> bool {
        match self {
            Self::Load | Self::Volume => matches!(action, Action::Create | Action::Reload),
            Self::Suspend => action == Action::Suspend,
            Self::Copy => matches!(action, Action::Suspend | Action::Reload | Action::Remove),
            Self::End => matches!(action, Action::Reload | Action::Remove),
            Self::Message => action == Action::Message,
        }
    }
}

/// The clauses about the two devices, with the way out.
impl fmt::Display for SuspendedBelow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, device, call, is_itself, name, key, is_own } = self;
        let device = device.described();
        let when = match call {
            Call::Load => "reads it when the table is loaded",
            Call::Suspend => "writes to it when the device is suspended",
            Call::End => "writes to it when the table is taken away",
            Call::Copy => "has copies on their way there, which a suspend waits for",
            Call::Message => "writes to it when a volume is made",
            Call::Volume => "",
        };
        if *call == Call::Volume {
            write!(
                f,
                "{device} is suspended and stays so, and the kernel activates no volume of such a pool; "
            )?;
        } else {
            write!(f, "{device}: {kind} {when}, and ")?;
            if *is_itself {
                f.write_str("that device")?;
            } else {
                write!(f, "`{name}` below it")?;
            }
            f.write_str(" is suspended and stays so, so that the call would never end; ")?;
        }
        let foreign = if *is_own { "" } else { " --foreign" };
        write!(f, "run `dmctl resume {}{foreign}` first", name.word())?;
        match key {
            Some(key) => write!(
                f,
                ", after which the apply suspends it last, or leave out state = \"suspended\" of `{key}`"
            ),
            None => Ok(()),
        }
    }
}
