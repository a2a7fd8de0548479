//! How a plan can be undone, for its review.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Action;
use crate::plan::document::{Document, RowData, Step};

/// What undoes one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Undo {
    /// What to do; null where nothing undoes the step.
    pub action: Option<Action>,
    /// The device, by the name it has then.
    pub name: String,
    /// The table it gets back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Vec<RowData>>,
    /// The name it gets back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What else is to be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Returns how each step of a plan can be undone, the last step first.
pub(crate) fn of(document: &Document) -> Vec<Undo> {
    document.steps.iter().rev().map(of_step).collect()
}

fn of_step(step: &Step) -> Undo {
    let name = step.to.as_ref().unwrap_or(&step.name).clone();
    let mut undo = Undo { action: None, name: name.to_string(), table: None, to: None, note: None };
    match step.action {
        Action::Create => undo.action = Some(Action::Remove),
        Action::Reload | Action::Remove => {
            let reload = step.action == Action::Reload;
            undo.action = Some(if reload { Action::Reload } else { Action::Create });
            undo.table.clone_from(&step.old_table);
            let keys = undo.table.iter().flatten().any(|row| row.params.contains(crate::secret::REDACTED));
            undo.note = keys.then(|| "the table holds a key, which is not saved here".to_string());
        }
        Action::Rename => {
            undo.action = Some(Action::Rename);
            undo.to = Some(step.name.to_string());
        }
        Action::Suspend => undo.action = Some(Action::Resume),
        Action::Resume => undo.action = Some(Action::Suspend),
        Action::SetUuid => undo.note = Some("a uuid, once set, stays".to_string()),
        Action::Clear => undo.note = Some("the table of the inactive slot is gone".to_string()),
        Action::Message => undo.note = Some("what a message did, only another message undoes".to_string()),
    }
    undo
}
