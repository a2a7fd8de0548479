//! The JSON shape of a step, and the one place where the reason of a step is put together and taken apart.
//!
//! The shape holds the reason as one text, as documents of every version do, and its parts beside it: `differences` and
//! `refusal`. Only this file knows how they are joined.

use std::borrow::Cow;
use std::collections::HashMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use super::changes::FieldChange;
use super::rows::RowData;
use super::sectors::Sectors;
use super::step::{AND, Difference, Step};
use super::volumes::VolumeData;
use crate::diff;
use crate::plan::{Action, InUse};
use crate::policy::Class;

/// Between why a step is needed and why it is refused.
const REFUSED: &str = "; refused: ";

/// One step. Which of the optional fields are there follows from the action.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename = "Step", expecting = "struct Step")]
struct StepForm<'a> {
    /// What it does.
    action: Action,
    /// The key of the mapping it is for; null for an owned device that no mapping declares and whose uuid
    /// holds no key.
    mapping: Option<SmolStr>,
    /// The name of the device when the step begins.
    name: SmolStr,
    /// The uuid that the device is found by, or gets.
    uuid: Option<SmolStr>,
    /// Its number, `major:minor`, when it exists already.
    number: Option<SmolStr>,
    /// What is at stake.
    class: Class,
    /// Whether it may not be carried out.
    refused: bool,
    /// Why it may not, and what would allow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<Cow<'a, str>>,
    /// Why it is needed; of a refused step, also why it is refused.
    reason: Cow<'a, str>,
    /// The table the device gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table: Option<Cow<'a, [RowData]>>,
    /// Whether that table is loaded read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    readonly: Option<bool>,
    /// The table the device has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old_table: Option<Cow<'a, [RowData]>>,
    /// Whether that table was loaded read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old_readonly: Option<bool>,
    /// How the two tables differ, a sentence each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    differences: Option<Vec<Cow<'a, str>>>,
    /// The same as data, in the same order: one for each of `differences`. A changed key is told with `live` and
    /// `wanted` null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<Cow<'a, FieldChange>>>,
    /// What becomes of the sectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sectors: Option<Cow<'a, Sectors>>,
    /// Whether the device is suspended already before its table is swapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suspended: Option<bool>,
    /// The names of the devices that are suspended while the step is carried out, upper ones first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    suspends: Vec<SmolStr>,
    /// Who uses the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    users: Option<Cow<'a, InUse>>,
    /// The new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<SmolStr>,
    /// The sector whose target is sent a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sector: Option<u64>,
    /// The message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<Cow<'a, str>>,
    /// The mapping that must have its device before metadata on it can be seen, which is then judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unseen: Option<SmolStr>,
    /// The volumes of thin pools that the map would make: the one that the message makes, and those of the table that the pools
    /// have already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<VolumeData>,
}

impl<'a> From<&'a Step> for StepForm<'a> {
    fn from(step: &'a Step) -> Self {
        let texts = |all: &'a Vec<Difference>| all.iter().map(|one| one.text.as_str().into()).collect();
        Self {
            action: step.action,
            mapping: step.mapping.clone(),
            name: step.name.clone(),
            uuid: step.uuid.clone(),
            number: step.number.clone(),
            class: step.class,
            refused: step.is_refused(),
            refusal: step.refusal.as_deref().map(Into::into),
            reason: whole_reason(step),
            table: step.table.as_deref().map(Into::into),
            readonly: step.readonly,
            old_table: step.old_table.as_deref().map(Into::into),
            old_readonly: step.old_readonly,
            differences: step.differences.as_ref().map(texts),
            changes: step.differences.as_deref().and_then(changes),
            sectors: step.sectors.as_deref().map(Cow::Borrowed),
            suspended: step.suspended,
            suspends: step.suspends.clone(),
            users: step.users.as_deref().map(Cow::Borrowed),
            to: step.to.clone(),
            sector: step.sector,
            message: step.message.as_deref().map(Into::into),
            unseen: step.unseen.clone(),
            volumes: step.volumes.clone(),
        }
    }
}

impl From<StepForm<'_>> for Step {
    fn from(form: StepForm<'_>) -> Self {
        let need = need(&form).to_string().into();
        let (table, old_table) = (form.table.map(Cow::into_owned), form.old_table.map(Cow::into_owned));
        let differences = form.differences.map(|texts| match form.changes {
            Some(changes) if changes.len() == texts.len() => {
                let changes = changes.into_iter().map(|change| Some(change.into_owned()));
                texts.into_iter().zip(changes).map(difference).collect()
            }
            _ => {
                let (wanted, live) =
                    (table.as_deref().unwrap_or_default(), old_table.as_deref().unwrap_or_default());
                let mut in_rows = changes_in_rows(wanted, live);
                texts
                    .into_iter()
                    .map(|text| (in_rows.remove(text.as_ref()), text))
                    .map(|(change, text)| difference((text, change)))
                    .collect()
            }
        });
        Self {
            action: form.action,
            mapping: form.mapping,
            name: form.name,
            uuid: form.uuid,
            number: form.number,
            class: form.class,
            refusal: form.refused.then(|| form.refusal.map(Cow::into_owned).unwrap_or_default()),
            need,
            table,
            readonly: form.readonly,
            old_table,
            old_readonly: form.old_readonly,
            differences,
            sectors: form.sectors.map(|sectors| Box::new(sectors.into_owned())),
            suspended: form.suspended,
            suspends: form.suspends,
            users: form.users.map(|users| Box::new(users.into_owned())),
            to: form.to,
            sector: form.sector,
            message: form.message.map(Cow::into_owned),
            unseen: form.unseen,
            volumes: form.volumes,
        }
    }
}

fn difference((text, change): (Cow<'_, str>, Option<FieldChange>)) -> Difference {
    Difference { text: text.into_owned(), change }
}

/// Joins why the step is needed and why it is refused.
fn whole_reason(step: &Step) -> Cow<'_, str> {
    match &step.refusal {
        Some(refusal) => format!("{}{REFUSED}{refusal}", step.reason()).into(),
        None => step.reason(),
    }
}

/// Takes the refusal and the differences off the reason.
fn need<'f>(form: &'f StepForm<'_>) -> &'f str {
    let reason = form.reason.as_ref();
    let refusal = form.refusal.as_deref().filter(|_| form.refused);
    let whole =
        refusal.and_then(|refusal| reason.strip_suffix(refusal)?.strip_suffix(REFUSED)).unwrap_or(reason);
    let differences = form.differences.as_deref().unwrap_or_default().join(AND);
    let need = whole.strip_prefix(differences.as_str()).unwrap_or(whole);
    if differences.is_empty() { need } else { need.strip_prefix(AND).unwrap_or(need) }
}

/// Returns the differences as data, where all of them are told as data.
fn changes(differences: &[Difference]) -> Option<Vec<Cow<'_, FieldChange>>> {
    let changes: Option<Vec<_>> =
        differences.iter().map(|difference| difference.change.as_ref().map(Cow::Borrowed)).collect();
    changes.filter(|changes| !changes.is_empty())
}

/// Returns the changes that the rows of two tables tell, by their sentences. A plan of an older version has the sentences
/// without the changes.
fn changes_in_rows(wanted: &[RowData], live: &[RowData]) -> HashMap<String, FieldChange> {
    let mut differences: Vec<diff::Difference> = wanted
        .iter()
        .filter_map(|row| {
            let start = row.start;
            match live.binary_search_by_key(&start, |live| live.start) {
                Ok(place) => diff::Difference::length(start, live[place].length, row.length),
                Err(_) => Some(diff::Difference::RowBegins { start, kind: row.kind.clone() }),
            }
        })
        .collect();
    if wanted.len() != live.len() {
        differences.push(diff::Difference::RowCount { live: live.len(), wanted: wanted.len() });
    }
    differences.iter().map(|difference| (difference.to_string(), FieldChange::of(difference))).collect()
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StepForm::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StepForm::deserialize(deserializer).map(Self::from)
    }
}

impl JsonSchema for Step {
    fn schema_name() -> Cow<'static, str> {
        StepForm::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        StepForm::json_schema(generator)
    }
}
