//! A plan as plain data: what is printed as JSON, kept in a saved plan, and drawn in every format.
//!
//! It holds text and numbers only, and no key: rows are taken in their redacted form. What is drawn is
//! drawn from this, so a plan that was read from a file looks like the one that was written there.

mod changes;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

pub use changes::{FieldChange, FieldValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, ToSmolStr};

use super::{Action, InUse, Operation, Plan};
use crate::diff::{self, TableDiff};
use crate::identity::Uuid;
use crate::policy::Class;
use crate::sector_map::SectorMap;
use crate::table::RawRow;
use crate::table::Row;
use crate::targets::Style;

/// A plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "dmctl plan")]
pub struct Document {
    /// The steps, in the order in which they are carried out.
    pub steps: Vec<Step>,
    /// What stands in the way of the map as a whole: nothing is applied while it does.
    pub conflicts: Vec<Remark>,
    /// Devices that can't be judged, and are left alone.
    pub unknown: Vec<Remark>,
    /// What the map asks for and the kernel would take and ignore.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<Remark>,
    /// How many steps of each action there are; those that do not occur are 0.
    pub summary: BTreeMap<Action, usize>,
    /// The risk classes that are allowed beyond those that always are.
    pub allow: BTreeSet<Class>,
}

/// One step. Which of the optional fields are there follows from the action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// What it does.
    pub action: Action,
    /// The key of the mapping it is for; null for an owned device that no mapping declares and whose uuid
    /// holds no key.
    pub mapping: Option<SmolStr>,
    /// The name of the device when the step begins.
    pub name: SmolStr,
    /// The uuid that the device is found by, or gets.
    pub uuid: Option<SmolStr>,
    /// Its number, `major:minor`, when it exists already.
    pub number: Option<SmolStr>,
    /// What is at stake.
    pub class: Class,
    /// Whether it may not be carried out.
    pub refused: bool,
    /// Why it may not, and what would allow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Why it is needed; of a refused step, also why it is refused.
    pub reason: Cow<'static, str>,
    /// The table the device gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Vec<RowData>>,
    /// Whether that table is loaded read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readonly: Option<bool>,
    /// The table the device has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_table: Option<Vec<RowData>>,
    /// Whether that table was loaded read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_readonly: Option<bool>,
    /// How the two tables differ, a sentence each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differences: Option<Vec<String>>,
    /// The same as data, in the same order: one for each of `differences`. A changed key is told with `live` and
    /// `wanted` null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<FieldChange>>,
    /// What becomes of the sectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sectors: Option<Box<Sectors>>,
    /// Whether the device is suspended already before its table is swapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<bool>,
    /// Who uses the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Box<InUse>>,
    /// The new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<SmolStr>,
    /// The sector whose target is sent a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sector: Option<u64>,
    /// The message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// One row of a table. Keys are left out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename = "Row", expecting = "struct Row")]
pub struct RowData {
    /// The first sector it serves.
    pub start: u64,
    /// How many sectors.
    pub length: u64,
    /// The type of the target.
    #[serde(rename = "type")]
    pub kind: SmolStr,
    /// Its parameters as the kernel takes them.
    pub params: SmolStr,
    /// Its parameters with the devices as the map writes them, where that says more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<SmolStr>,
    /// What it stands on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lowers: Vec<Lower>,
}

/// A lower device of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Lower {
    /// As the map or the kernel writes it.
    pub device: SmolStr,
    /// Its number; null for a device that does not exist yet.
    pub number: Option<SmolStr>,
    /// The first sector that is used of it.
    pub start: u64,
    /// How many sectors are used; null when the target uses what it wants.
    pub length: Option<u64>,
}

/// What becomes of the sectors of a device. Each range is a pair: its first sector, and the one after its
/// last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sectors {
    /// These lead where they led before.
    pub keeps: Vec<(u64, u64)>,
    /// These lead elsewhere, or read differently.
    pub moves: Vec<(u64, u64)>,
    /// These are new.
    pub appears: Vec<(u64, u64)>,
    /// These are gone.
    pub vanishes: Vec<(u64, u64)>,
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
                .map(|u| Remark::new(&u.mapping, &u.name, u.reason.clone()))
                .collect(),
            ignored: plan
                .ignored
                .iter()
                .map(|i| Remark::new(&i.mapping, &i.name, i.reason.clone()))
                .collect(),
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
        self.steps.iter().filter(|step| step.refused)
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

// A document holds the reason of a step as one text, as documents of every version do. Its parts are in fields of their
// own beside it, and these two stand between them: what is put together here is taken apart here, by those fields.

/// Between the parts of a reason.
const AND: &str = "; ";

/// Between why a step is needed and why it is refused.
const REFUSED: &str = "; refused: ";

impl Step {
    fn of(step: &super::Step) -> Self {
        let refusal = step.refused.as_ref().map(ToString::to_string);
        let reason = match &refusal {
            Some(refusal) => format!("{}{REFUSED}{refusal}", step.reason).into(),
            None => step.reason.text(),
        };
        let head = Self {
            action: step.action(),
            mapping: step.mapping.as_ref().map(|key| key.text().clone()),
            name: step.name.plain_text(),
            uuid: step.uuid.as_ref().map(Uuid::text),
            number: step.number.map(|number| number.to_smolstr()),
            class: step.class,
            refused: refusal.is_some(),
            refusal,
            reason,
            table: None,
            readonly: None,
            old_table: None,
            old_readonly: None,
            differences: None,
            changes: None,
            sectors: None,
            suspended: None,
            users: None,
            to: None,
            sector: None,
            message: None,
        };
        match &step.operation {
            Operation::Create(create) => Self {
                table: Some(RowData::wanted(&create.table)),
                readonly: Some(create.access.is_read_only()),
                ..head
            },
            Operation::Reload(reload) => Self {
                table: Some(RowData::wanted(&reload.table)),
                readonly: Some(reload.access.is_read_only()),
                old_table: Some(RowData::live(&reload.old.rows)),
                old_readonly: Some(reload.old.access.is_read_only()),
                differences: Some(reload.diff.differences.iter().map(ToString::to_string).collect()),
                changes: field_changes(&reload.diff),
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
                Self { sector: Some(message.sector), message: Some(message.text.clone()), ..head }
            }
            Operation::SetUuid | Operation::Resume { .. } | Operation::Clear => head,
        }
    }

    /// Why it is needed, without why it is refused.
    pub fn need(&self) -> &str {
        self.refusal
            .as_ref()
            .and_then(|refusal| self.reason.strip_suffix(refusal.as_str())?.strip_suffix(REFUSED))
            .unwrap_or(&self.reason)
    }

    /// Why it is needed beyond the differences of its tables: what is at stake. The whole need where there are none.
    pub fn need_beyond_differences(&self) -> &str {
        let differences = self.differences.as_deref().unwrap_or_default().join(AND);
        let rest = self.need().strip_prefix(differences.as_str()).unwrap_or(self.need());
        rest.strip_prefix(AND).unwrap_or(rest)
    }

    /// The size of the device before the step, in sectors, when it has a table then.
    pub fn size_before(&self) -> Option<u64> {
        self.old_table.as_deref().map(size)
    }

    /// The size of the device after the step, in sectors, when it has a table then.
    pub fn size_after(&self) -> Option<u64> {
        self.table.as_deref().map(size)
    }
}

/// The differences of two tables as data; nothing when there are none.
fn field_changes(diff: &TableDiff) -> Option<Vec<FieldChange>> {
    let changes: Vec<FieldChange> = diff.differences.iter().map(FieldChange::of).collect();
    Some(changes).filter(|changes| !changes.is_empty())
}

/// The size of the device that a table makes, in sectors.
fn size(table: &[RowData]) -> u64 {
    table.last().map_or(0, RowData::end)
}

impl RowData {
    /// The rows of a table that is wanted.
    pub fn wanted(table: &[Row]) -> Vec<Self> {
        table.iter().map(Self::of).collect()
    }

    /// The rows of a table as the kernel prints it.
    pub fn live(table: &[RawRow]) -> Vec<Self> {
        match diff::understand(table) {
            Ok(typed) => Self::wanted(&typed),
            Err(_) => table.iter().map(Self::raw).collect(),
        }
    }

    fn of(row: &Row) -> Self {
        let params = SmolStr::from(row.target.params(Style::Redacted));
        let shown = Some(SmolStr::from(row.target.params(Style::Shown))).filter(|shown| *shown != params);
        let lowers = row
            .target
            .lower_devices(row.length)
            .iter()
            .map(|lower| Lower {
                device: lower.device.text(),
                number: lower.device.number.map(|number| number.to_smolstr()),
                start: lower.start,
                length: lower.length,
            })
            .collect();
        Self { start: row.start, length: row.length, kind: row.target.kind().into(), params, shown, lowers }
    }

    fn raw(row: &RawRow) -> Self {
        Self {
            start: row.start,
            length: row.length,
            kind: row.kind.as_str().into(),
            params: row.redacted_params().into(),
            shown: None,
            lowers: Vec::new(),
        }
    }

    /// The first sector after it.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// The parameters for a person.
    pub fn shown(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.params)
    }

    /// The row as the kernel takes it, but for its keys: `start length type params`.
    pub fn line(&self) -> String {
        format!("{} {} {} {}", self.start, self.length, self.kind, self.params).trim_end().to_string()
    }
}

impl Sectors {
    fn of(map: &SectorMap) -> Self {
        let pairs = |ranges: &[Range<u64>]| ranges.iter().map(|range| (range.start, range.end)).collect();
        Self {
            keeps: pairs(&map.keeps),
            moves: pairs(&map.moves),
            appears: pairs(&map.appears),
            vanishes: pairs(&map.vanishes),
        }
    }
}

impl Remark {
    fn new(mapping: &crate::identity::Key, name: &crate::identity::Name, reason: String) -> Self {
        Self { mapping: mapping.to_string(), name: name.plain().into_owned(), reason }
    }
}
