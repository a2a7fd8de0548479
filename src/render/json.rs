//! What dmctl knows, as JSON. Every document carries [`FORMAT_VERSION`].

use serde_json::{Map, Value, json};

use crate::diff;
use crate::plan::{Action, Detail, InUse, Plan, Step};
use crate::sector_map::TypedRow;
use crate::table::Target;
use crate::targets::Style;

/// The version of every JSON document that dmctl writes.
pub const FORMAT_VERSION: u32 = 1;

/// A plan. Whoever prints it adds the version.
#[must_use]
pub fn plan(plan: &Plan) -> Value {
    json!({
        "steps": plan.steps.iter().map(step).collect::<Vec<_>>(),
        "conflicts": plan.conflicts,
        "unknown": plan.unjudged,
        "summary": summary(plan),
        "allow": plan.allow.iter().map(|class| class.name()).collect::<Vec<_>>(),
    })
}

/// Every action with its count, those that do not occur included.
fn summary(plan: &Plan) -> Map<String, Value> {
    const ACTIONS: [Action; 9] = [
        Action::Create,
        Action::Reload,
        Action::Rename,
        Action::SetUuid,
        Action::Remove,
        Action::Suspend,
        Action::Resume,
        Action::Clear,
        Action::Message,
    ];
    let counted = plan.summary();
    let count = |action: &Action| json!(counted.get(action).copied().unwrap_or(0));
    ACTIONS.iter().map(|action| (action.name().to_string(), count(action))).collect()
}

fn step(step: &Step) -> Value {
    let mut reason = step.reason.clone();
    if let Some(refusal) = &step.refused {
        reason = format!("{reason}; refused: {refusal}");
    }
    let mut value = json!({
        "action": step.action.name(),
        "mapping": step.mapping,
        "name": step.name,
        "uuid": step.uuid,
        "number": step.number,
        "class": step.class,
        "refused": step.refused.is_some(),
        "reason": reason,
    });
    let detail = detail(step);
    if let (Value::Object(fields), Value::Object(more)) = (&mut value, detail) {
        fields.extend(more);
    }
    value
}

fn detail(step: &Step) -> Value {
    match &step.detail {
        Detail::Create { table, readonly } => json!({ "table": rows(table), "readonly": readonly }),
        Detail::Reload { table, readonly, old, old_readonly, diff, users, .. } => json!({
            "table": rows(table),
            "readonly": readonly,
            "old_table": targets(old),
            "old_readonly": old_readonly,
            "differences": diff.says,
            "sectors": ranges(&diff.map),
            "users": in_use(users),
        }),
        Detail::Rename { to } => json!({ "to": to }),
        Detail::Remove { old, old_readonly, users } => {
            json!({ "old_table": targets(old), "old_readonly": old_readonly, "users": in_use(users) })
        }
        Detail::Suspend { users, .. } => json!({ "users": in_use(users) }),
        Detail::Message { sector, text, .. } => json!({ "sector": sector, "message": text }),
        Detail::SetUuid | Detail::Resume { .. } | Detail::Clear => json!({}),
    }
}

/// Ranges as pairs: the first sector, and the one after the last.
fn ranges(map: &crate::sector_map::SectorMap) -> Value {
    let pairs =
        |ranges: &[std::ops::Range<u64>]| ranges.iter().map(|r| json!([r.start, r.end])).collect::<Vec<_>>();
    json!({
        "keeps": pairs(&map.keeps),
        "moves": pairs(&map.moves),
        "appears": pairs(&map.appears),
        "vanishes": pairs(&map.vanishes),
    })
}

fn in_use(users: &InUse) -> Value {
    json!({
        "open_count": users.open_count,
        "holders": users.holders,
        "mounts": users.mounts,
        "swap": users.swap,
    })
}

/// A table that is wanted, without keys.
#[must_use]
pub fn rows(table: &[TypedRow]) -> Vec<Value> {
    let row = |row: &TypedRow| {
        json!({
            "start": row.start,
            "length": row.length,
            "type": row.target.kind(),
            "params": row.target.params(Style::Redacted),
        })
    };
    table.iter().map(row).collect()
}

/// A table as the kernel prints it, without keys.
#[must_use]
pub fn targets(table: &[Target]) -> Vec<Value> {
    match diff::understand(table) {
        Ok(typed) => rows(&typed),
        Err(_) => table
            .iter()
            .map(|row| {
                json!({
                    "start": row.start,
                    "length": row.length,
                    "type": row.kind,
                    "params": row.redacted_params(),
                })
            })
            .collect(),
    }
}
