//! One step of a document. What makes it needed, what differs and why it is refused are apart here; the JSON shape, in
//! which one text holds them all, is that of `step_form`.

use std::borrow::Cow;

use smol_str::{SmolStr, ToSmolStr};

use super::changes::FieldChange;
use super::rows::RowData;
use super::sectors::Sectors;
use super::volumes::VolumeData;
use crate::diff::{self, TableDiff};
use crate::identity::Uuid;
use crate::plan::{self, Action, InUse, Operation};
use crate::policy::Class;

/// Between the parts of a reason.
pub(super) const AND: &str = "; ";

/// One step. Which of the optional fields are set follows from the action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The action.
    pub action: Action,
    /// The key of the mapping; `None` for an orphan whose uuid does not hold a key.
    pub mapping: Option<SmolStr>,
    /// The name of the device when the step begins.
    pub name: SmolStr,
    /// The uuid by which the device is found, or which it gets.
    pub uuid: Option<SmolStr>,
    /// The number of the device, `major:minor`, when it exists already.
    pub number: Option<SmolStr>,
    /// The risk class.
    pub class: Class,
    /// Why the step may not be carried out, and what would allow it; `None` for a step that may be carried out.
    pub refusal: Option<String>,
    /// Why the step is needed, beyond its differences. Empty where the differences are the whole reason.
    pub need: Cow<'static, str>,
    /// The table the device gets.
    pub table: Option<Vec<RowData>>,
    /// Whether that table is loaded read-only.
    pub readonly: Option<bool>,
    /// The table the device has.
    pub old_table: Option<Vec<RowData>>,
    /// Whether that table was loaded read-only.
    pub old_readonly: Option<bool>,
    /// The differences of the two tables.
    pub differences: Option<Vec<Difference>>,
    /// The effect on the sectors.
    pub sectors: Option<Box<Sectors>>,
    /// Whether the device is suspended already before its table is swapped.
    pub suspended: Option<bool>,
    /// The names of the devices that are suspended while the step is carried out, upper ones first.
    pub suspends: Vec<SmolStr>,
    /// The users of the device.
    pub users: Option<Box<InUse>>,
    /// The new name.
    pub to: Option<SmolStr>,
    /// The sector whose target is sent a message.
    pub sector: Option<u64>,
    /// The message.
    pub message: Option<String>,
    /// The mapping that must have its device before metadata on it can be seen, which is then judged.
    pub unseen: Option<SmolStr>,
    /// The volumes of thin pools that the map would make.
    pub volumes: Vec<VolumeData>,
}

/// One difference between the two tables of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The sentence.
    pub text: String,
    /// The field and both values. `None` where a plan of an older version does not tell them.
    pub change: Option<FieldChange>,
}

impl Difference {
    fn of(difference: &diff::Difference) -> Self {
        Self { text: difference.to_string(), change: Some(FieldChange::of(difference)) }
    }

    /// Whether the rows of both tables, one above the other, show the difference already.
    pub fn is_in_rows(&self) -> bool {
        self.change.as_ref().is_some_and(FieldChange::is_in_rows)
    }
}

impl Step {
    pub(super) fn of(step: &plan::Step) -> Self {
        let head = Self {
            action: step.action(),
            mapping: step.mapping.as_ref().map(|key| key.text().clone()),
            name: step.name.plain_text(),
            uuid: step.uuid.as_ref().map(Uuid::text),
            number: step.number.map(|number| number.to_smolstr()),
            class: step.class,
            refusal: step.refused.as_ref().map(ToString::to_string),
            need: step.reason.text(),
            table: None,
            readonly: None,
            old_table: None,
            old_readonly: None,
            differences: None,
            sectors: None,
            suspended: None,
            suspends: suspends(step),
            users: None,
            to: None,
            sector: None,
            message: None,
            unseen: step.reason.unseen.as_ref().map(|key| key.text().clone()),
            volumes: VolumeData::of(&step.reason),
        };
        match &step.operation {
            Operation::Create(create) => Self {
                table: Some(RowData::wanted(&create.table)),
                readonly: Some(create.access.is_read_only()),
                ..head
            },
            Operation::Reload(reload) => Self {
                need: step.reason.beyond_differences(),
                table: Some(RowData::wanted(&reload.table)),
                readonly: Some(reload.access.is_read_only()),
                old_table: Some(RowData::live(&reload.old.rows)),
                old_readonly: Some(reload.old.access.is_read_only()),
                differences: Some(differences(&reload.diff)),
                sectors: Some(Box::new(Sectors::of(&reload.diff.map))),
                suspended: Some(reload.suspended),
                users: Some(Box::new(reload.users.clone())),
                ..head
            },
            Operation::Remove(removal) => Self {
                old_table: Some(RowData::live(&removal.old.rows)),
                old_readonly: Some(removal.old.access.is_read_only()),
                users: Some(Box::new(removal.users.clone())),
                ..head
            },
            Operation::Suspend { users, .. } => Self { users: Some(users.clone()), ..head },
            Operation::Rename { to } => Self { to: Some(to.plain_text()), ..head },
            Operation::Message(message) => {
                Self { sector: Some(message.sector), message: Some(message.text.to_string()), ..head }
            }
            Operation::SetUuid | Operation::Resume { .. } | Operation::Clear => head,
        }
    }

    /// Whether the step may not be carried out.
    pub fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    /// Returns why the step is needed: its differences, and the need beyond them.
    pub fn reason(&self) -> Cow<'_, str> {
        let differences = self.differences.as_deref().unwrap_or_default();
        if differences.is_empty() {
            return self.need.as_ref().into();
        }
        let texts = differences.iter().map(|difference| difference.text.as_str());
        let need = Some(self.need.as_ref()).filter(|need| !need.is_empty());
        texts.chain(need).collect::<Vec<_>>().join(AND).into()
    }

    /// Returns the size of the device before the step, in sectors, when it has a table then. `None` too where only a
    /// first load tells it.
    pub fn size_before(&self) -> Option<u64> {
        self.old_table.as_deref().map(size)
    }

    /// Returns the size of the device after the step, in sectors, when it has a table then.
    pub fn size_after(&self) -> Option<u64> {
        self.table.as_deref().filter(|table| !table.iter().any(|row| row.provisional)).map(size)
    }
}

/// Names the devices that are suspended while a step is carried out.
fn suspends(step: &plan::Step) -> Vec<SmolStr> {
    let origin = match &step.operation {
        Operation::Message(message) => {
            message.prepares.as_ref().and_then(|prepares| prepares.origin.as_ref())
        }
        _ => None,
    };
    let held = step.held().iter().map(|held| held.name.plain_text());
    held.chain(origin.map(|(key, _)| key.text().clone())).collect()
}

fn differences(diff: &TableDiff) -> Vec<Difference> {
    diff.differences.iter().map(Difference::of).collect()
}

/// Returns the size of the device that a table makes, in sectors.
fn size(table: &[RowData]) -> u64 {
    table.last().map_or(0, RowData::end)
}
