//! The errors of an apply: why a plan was not carried out, and in which state the devices are.

use std::fmt;

use thiserror::Error;

use super::cause::Cause;
use super::refused_step::RefusedStep;
use super::remnant::Remnant;
use super::removal::KeptBy;
use crate::identity::Name;
use crate::kernel::KernelError;
use crate::plan::{Action, Conflict, Step};

/// Why a plan was not carried out.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The map has conflicts. No device was changed.
    #[error("{}", list("there are conflicts, so nothing was changed", .0.iter().map(|c| format!("{}: {}", c.name, c.reason))))]
    Conflicts(Vec<Conflict>),
    /// A step may not be carried out. No device was changed.
    #[error("{}", list("refused, so nothing was changed", .0.iter().map(ToString::to_string)))]
    Refused(Vec<RefusedStep>),
    /// A device that should be removed is in use. All changes were undone.
    #[error("{name} can't be removed: in use: {by}; everything else was put back")]
    InUse {
        /// The name of the device that should be removed.
        name: Name,
        /// The users of the device.
        by: KeptBy,
    },
    /// The kernel could not be read. No device was changed.
    #[error(transparent)]
    Read(#[from] KernelError),
    /// Every step was carried out, but a device node is not up to date. The devices are as planned, so no change was
    /// undone.
    #[error("the plan is carried out, but a device node could not be brought up to date: {0}")]
    Unsettled(KernelError),
    /// The kernel refused a step, and all changes were undone.
    #[error("{step}: {cause}; everything was put back")]
    RolledBack {
        /// The step that failed.
        step: Part,
        /// Why.
        cause: Cause,
    },
    /// The apply was told to stop, and all changes were undone.
    #[error("stopped before {step}; everything was put back")]
    Interrupted {
        /// The first step that was not begun.
        step: Part,
    },
    /// A step failed, and so did undoing the changes.
    #[error("{}", list(&format!("{step}: {cause}; putting everything back failed too"), left.iter().map(ToString::to_string)))]
    Left {
        /// The step that failed.
        step: Part,
        /// Why.
        cause: Cause,
        /// What is left of each device that is not as before, in the order in which the commands that help work.
        left: Vec<Remnant>,
    },
}

/// A part of an apply, as its errors name it: `reload data`, `verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A step.
    Step {
        /// The action.
        action: Action,
        /// The name of the device.
        name: Name,
    },
    /// The look at every device at the end.
    Verify,
}

impl Part {
    pub(super) fn of(step: &Step) -> Self {
        Self::Step { action: step.action(), name: step.name.clone() }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step { action, name } => write!(f, "{} {name}", action.name()),
            Self::Verify => f.write_str("verify"),
        }
    }
}

fn list(title: &str, items: impl Iterator<Item = String>) -> String {
    items.fold(format!("{title}:"), |text, item| format!("{text}\n  {item}"))
}

/// The failure of a step.
pub(crate) struct Failure {
    pub step: Part,
    pub cause: Cause,
}

impl Failure {
    /// Creates the failure of a step.
    pub(super) fn new(step: &Step, cause: impl Into<Cause>) -> Self {
        Self { step: Part::of(step), cause: cause.into() }
    }

    /// Turns the failure into an error, once all changes except those of `left` were undone.
    pub(super) fn with(self, left: Vec<Remnant>) -> ApplyError {
        let Self { step, cause } = self;
        if !left.is_empty() {
            return ApplyError::Left { step, cause, left };
        }
        match cause {
            Cause::InUse { name, by } => ApplyError::InUse { name, by: *by },
            Cause::Stopped => ApplyError::Interrupted { step },
            Cause::Unapproved(refused) => ApplyError::Refused(vec![*refused]),
            Cause::Contradicted(conflict) => ApplyError::Conflicts(vec![*conflict]),
            cause => ApplyError::RolledBack { step, cause },
        }
    }
}
