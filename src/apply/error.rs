//! Why a plan was not carried out, and what is left of it.

use thiserror::Error;

use crate::kernel::KernelError;
use crate::plan::Conflict;

/// Why a plan was not carried out.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// Something stands in the way of the map. Nothing was changed.
    #[error("{}", list("conflicts stand in the way, so nothing was changed", .0.iter().map(|c| format!("{}: {}", c.name, c.reason))))]
    Conflicts(Vec<Conflict>),
    /// A step may not be carried out. Nothing was changed.
    #[error("{}", list("refused, so nothing was changed", .0.iter().cloned()))]
    Refused(Vec<String>),
    /// A device that should be removed is in use. Nothing is changed any more.
    #[error("{name} can't be removed: in use: {by}; everything else was put back")]
    InUse {
        /// The device.
        name: String,
        /// Who uses it.
        by: String,
    },
    /// The kernel could not be read. Nothing was changed.
    #[error(transparent)]
    Read(#[from] KernelError),
    /// Every step was carried out, and a device node does not follow. The devices are as the plan says, so nothing
    /// was put back.
    #[error("the plan is carried out, but a device node could not be brought up to date: {0}")]
    Unsettled(KernelError),
    /// The kernel refused a step, and everything was put back.
    #[error("{step}: {cause}; everything was put back")]
    PutBack {
        /// The step.
        step: String,
        /// The kernel's answer.
        cause: String,
    },
    /// It was told to stop, and everything was put back.
    #[error("stopped before {step}; everything was put back")]
    Interrupted {
        /// The first step that was not begun.
        step: String,
    },
    /// Something failed, and so did putting it back.
    #[error("{}", list(&format!("{step}: {cause}; putting everything back failed too"), left.iter().cloned()))]
    Left {
        /// The step.
        step: String,
        /// What failed.
        cause: String,
        /// What is left as it should not be, and what to do.
        left: Vec<String>,
    },
}

fn list(title: &str, items: impl Iterator<Item = String>) -> String {
    items.fold(format!("{title}:"), |text, item| format!("{text}\n  {item}"))
}

/// What went wrong on the way.
pub struct Failure {
    /// The step.
    pub step: String,
    /// What was wrong with it.
    pub why: Why,
}

/// How it went wrong.
pub enum Why {
    /// The kernel refused it, or took it and did something else.
    Refused(String),
    /// A device to be removed is used by somebody.
    InUse(String, String),
    /// It was told to stop.
    Stopped,
}

impl Failure {
    /// The kernel refused `step`, or took it and did something else.
    pub(super) fn new(step: impl Into<String>, cause: &impl ToString) -> Self {
        Self { step: step.into(), why: Why::Refused(cause.to_string()) }
    }

    /// The error, when all but `left` was put back.
    pub(super) fn with(self, left: Vec<String>) -> ApplyError {
        let Self { step, why } = self;
        if !left.is_empty() {
            let cause = match why {
                Why::Refused(cause) => cause,
                Why::InUse(_, by) => format!("in use: {by}"),
                Why::Stopped => "told to stop".to_string(),
            };
            return ApplyError::Left { step, cause, left };
        }
        match why {
            Why::Refused(cause) => ApplyError::PutBack { step, cause },
            Why::InUse(name, by) => ApplyError::InUse { name, by },
            Why::Stopped => ApplyError::Interrupted { step },
        }
    }
}
