//! The errors of an apply: why a plan was not carried out, and in which state the devices are.

use std::fmt;

use thiserror::Error;

use super::remnant::Remnant;
use super::removal::KeptBy;
use crate::identity::Name;
use crate::kernel::KernelError;
use crate::plan::{Action, Conflict, Reason, Refusal, Stake, Step};
use crate::policy::Class;
use crate::targets::Leaving;

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
        /// What failed.
        step: Part,
        /// The kernel's answer.
        cause: String,
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
        /// What failed.
        step: Part,
        /// The kernel's answer.
        cause: String,
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

/// A step that may not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedStep {
    /// The action.
    pub action: Action,
    /// The name of the device.
    pub name: Name,
    /// The risk class.
    pub class: Class,
    /// Why the step is needed.
    pub reason: Reason,
    /// Why it may not be carried out.
    pub refusal: Refusal,
}

impl RefusedStep {
    /// Refuses a step that would format what was found blank only once the devices below were there.
    pub(super) fn to_format(step: &Step, otherwise: &'static str) -> Self {
        let class = Class::Format;
        let reason = Reason { stake: Some(Stake::Formats(otherwise)), unseen: None, ..step.reason.clone() };
        Self {
            action: step.action(),
            name: step.name.clone(),
            class,
            reason,
            refusal: Refusal::Policy(class),
        }
    }

    /// Returns the refusal of a step, if it has one.
    pub(super) fn of(step: &Step) -> Option<Self> {
        let refusal = step.refused.clone()?;
        let (name, reason) = (step.name.clone(), step.reason.clone());
        Some(Self { action: step.action(), name, class: step.class, reason, refusal })
    }
}

/// The step, why it is needed, and behind a semicolon what would allow it.
impl fmt::Display for RefusedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} [{}]: {}; ", self.action.name(), self.name, self.class, self.reason)?;
        match &self.refusal {
            Refusal::Policy(class) => write!(f, "allow it with --allow {class}"),
            Refusal::Protected => f.write_str("its mapping says protect = true, which no flag overrides"),
            Refusal::InUse(users) => write!(f, "it is in use: {}", users.describe()),
        }
    }
}

fn list(title: &str, items: impl Iterator<Item = String>) -> String {
    items.fold(format!("{title}:"), |text, item| format!("{text}\n  {item}"))
}

/// The failure of a step.
pub(crate) struct Failure {
    pub step: Part,
    /// The cause of the failure.
    pub why: Why,
}

/// The cause of a failure.
pub(crate) enum Why {
    /// The kernel refused the step, or accepted it and did something else.
    Refused(String),
    /// A device to be removed is in use: its name, and its users.
    InUse(Name, Box<KeptBy>),
    /// The apply was told to stop.
    Stopped,
    /// Metadata that could not be seen before is missing, and formatting it is not allowed.
    Unapproved(Box<RefusedStep>),
    /// Metadata that could not be seen before contradicts the table.
    Contradicted(Box<Conflict>),
    /// The new table of this device would leave behind what no other device has.
    Leaves(Name, Box<Leaving>),
}

impl Failure {
    /// Creates the failure of a step that the kernel refused, or accepted while it did something else.
    pub(super) fn new(step: Part, cause: &impl ToString) -> Self {
        Self { step, why: Why::Refused(cause.to_string()) }
    }

    /// Turns the failure into an error, once all changes except those of `left` were undone.
    pub(super) fn with(self, left: Vec<Remnant>) -> ApplyError {
        let Self { step, why } = self;
        if !left.is_empty() {
            let cause = match why {
                Why::Refused(cause) => cause,
                Why::InUse(_, by) => format!("in use: {by}"),
                Why::Stopped => "told to stop".to_string(),
                Why::Unapproved(refused) => refused.to_string(),
                Why::Contradicted(conflict) => conflict.reason.to_string(),
                Why::Leaves(name, leaving) => leaving.describe(&name.plain()),
            };
            return ApplyError::Left { step, cause, left };
        }
        match why {
            Why::Refused(cause) => ApplyError::RolledBack { step, cause },
            Why::InUse(name, by) => ApplyError::InUse { name, by: *by },
            Why::Stopped => ApplyError::Interrupted { step },
            Why::Unapproved(refused) => ApplyError::Refused(vec![*refused]),
            Why::Contradicted(conflict) => ApplyError::Conflicts(vec![*conflict]),
            Why::Leaves(name, leaving) => {
                ApplyError::RolledBack { step, cause: leaving.describe(&name.plain()) }
            }
        }
    }
}
