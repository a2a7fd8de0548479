//! A step that a plan has and that may not be carried out.

use std::fmt;

use crate::identity::Name;
use crate::plan::{Action, Reason, Refusal, Stake, Step};
use crate::policy::Class;

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
