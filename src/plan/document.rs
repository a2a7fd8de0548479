//! A plan as plain data: what is printed as JSON, kept in a saved plan, and drawn in every format.
//!
//! It holds text and numbers only, and no key: rows are taken in their redacted form. What is drawn is
//! drawn from this, so a plan that was read from a file looks like the one that was written there.

mod changes;
mod rows;
mod sectors;
mod step;
mod step_form;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};

pub use changes::{FieldChange, FieldValue};
pub use rows::{Lower, RowData};
use schemars::JsonSchema;
pub use sectors::Sectors;
use serde::{Deserialize, Serialize};
pub use step::{Difference, Step};
pub use volumes::{VolumeData, VolumeFate};

use super::{Action, Plan};
use crate::identity::{Key, Name};
use crate::policy::Class;

/// A plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "dmctl plan")]
pub struct Document {
    /// The steps, in the order in which they are carried out.
    pub steps: Vec<Step>,
    /// The conflicts of the map as a whole: nothing is applied while there are any.
    pub conflicts: Vec<Remark>,
    /// Devices that can't be judged, and are left alone.
    pub unknown: Vec<Remark>,
    /// What the map asks for and the kernel would take and ignore.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<Remark>,
    /// Facts that no step changes, and that the reader should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Remark>,
    /// Devices that have the name of an absent mapping, and are not the device of that mapping: they stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namesakes: Vec<Remark>,
    /// Devices that are degraded or failed, or of which that can't be told. Only where there is nothing to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unwell: Vec<Remark>,
    /// How many steps of each action there are; those that do not occur are 0.
    pub summary: BTreeMap<Action, usize>,
    /// The risk classes that are allowed beyond those that always are.
    pub allow: BTreeSet<Class>,
}

/// Something to be said of a mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remark {
    /// Its key.
    pub mapping: String,
    /// Its name.
    pub name: String,
    /// What is to be said.
    pub reason: String,
}

impl Document {
    /// The data of a plan.
    pub fn of(plan: &Plan) -> Self {
        let counted = plan.summary();
        Self {
            steps: plan.steps.iter().map(Step::of).collect(),
            conflicts: plan
                .conflicts
                .iter()
                .map(|c| Remark::new(&c.mapping, &c.name, c.reason.to_string()))
                .collect(),
            unknown: plan
                .unjudged
                .iter()
                .map(|u| Remark::new(&u.mapping, &u.name, u.reason.to_string()))
                .collect(),
            ignored: plan
                .ignored
                .iter()
                .map(|i| Remark::new(&i.mapping, &i.name, i.value.to_string()))
                .collect(),
            warnings: plan
                .warnings
                .iter()
                .map(|w| Remark::new(&w.mapping, &w.name, w.fact.to_string()))
                .collect(),
            namesakes: plan
                .namesakes
                .iter()
                .map(|n| Remark::new(&n.mapping, &n.name, n.to_string()))
                .collect(),
            unwell: plan.unwell.iter().map(|u| Remark::new(&u.mapping, &u.name, u.to_string())).collect(),
            summary: Action::ALL
                .iter()
                .map(|action| (*action, counted.get(action).copied().unwrap_or(0)))
                .collect(),
            allow: plan.allow.clone(),
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.conflicts.is_empty()
    }

    /// The steps that may not be carried out.
    pub fn refused(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.is_refused())
    }

    /// Sums the plan up in a line: `Nothing to do.`, or the counts behind `Plan: `.
    pub fn summary_line(&self) -> String {
        if self.is_empty() { "Nothing to do.".to_string() } else { format!("Plan: {}.", self.counts()) }
    }

    /// Counts the steps by action, the refused ones and the conflicts: `2 create, 1 refused`. Empty for an empty plan.
    pub(crate) fn counts(&self) -> String {
        let mut parts: Vec<String> = self
            .summary
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(action, count)| format!("{count} {}", action.name()))
            .collect();
        let refused = self.refused().count();
        if refused > 0 {
            parts.push(format!("{refused} refused"));
        }
        if !self.conflicts.is_empty() {
            let count = self.conflicts.len();
            parts.push(format!("{count} {}", if count == 1 { "conflict" } else { "conflicts" }));
        }
        parts.join(", ")
    }
}

impl Remark {
    fn new(mapping: &Key, name: &Name, reason: String) -> Self {
        Self { mapping: mapping.to_string(), name: name.plain().into_owned(), reason }
    }
}
