//! A map in its canonical form, which a saved plan keeps and is planned from again.

use serde_json::Value as Json;
use toml::{Table, Value};

use super::SavedError;
use crate::config::{self, Length, Map, Mapping, MappingRow, State};
use crate::identity::Uuid;
use crate::keys::Places;

/// Writes the map as the JSON of a map file with every field, without comments and without keys.
pub fn canonical(map: &Map) -> Json {
    serde_json::to_value(table(map)).unwrap_or_default()
}

/// Reads the canonical form. With `places`, reads the keys that the map names as well.
pub(crate) fn read(map: &Json, places: Option<&Places>) -> Result<Map, SavedError> {
    let no_map = |error: &dyn std::fmt::Display| SavedError::Map(error.to_string());
    let table: Table = serde_json::from_value(map.clone()).map_err(|error| no_map(&error))?;
    let text = toml::to_string(&table).map_err(|error| no_map(&error))?;
    let mut loaded = config::parse_str("the saved plan's map", &text);
    if let Some(places) = places {
        loaded.read_keys(places);
    }
    let problems = loaded.render();
    loaded.map.ok_or(SavedError::Map(problems))
}

/// Checks that the map reads back as it is.
pub(crate) fn check(map: &Map) -> Result<(), SavedError> {
    let wanted = canonical(map);
    if canonical(&read(&wanted, None)?) == wanted {
        Ok(())
    } else {
        Err(SavedError::Map("written down, it says something else".to_string()))
    }
}

fn table(map: &Map) -> Table {
    let mut policy = Table::new();
    policy.insert("prune".to_string(), map.policy.prune.into());
    let allow: Vec<Value> = map.policy.allow.iter().map(|class| class.name().into()).collect();
    policy.insert("allow".to_string(), allow.into());
    let mappings: Table = map
        .mappings
        .iter()
        .map(|(key, mapping)| (key.to_string(), of_mapping(map, mapping).into()))
        .collect();
    Table::from_iter([
        ("format".to_string(), Value::Integer(1)),
        ("owner".to_string(), map.owner.as_str().into()),
        ("policy".to_string(), policy.into()),
        ("mappings".to_string(), mappings.into()),
    ])
}

fn of_mapping(map: &Map, mapping: &Mapping) -> Table {
    let mut table = Table::new();
    let mut put = |field: &str, value: Value| {
        table.insert(field.to_string(), value);
    };
    put("name", mapping.name.plain().into_owned().into());
    if mapping.uuid != Uuid::owned(&map.owner, &mapping.key) {
        put("uuid", mapping.uuid.text().as_str().into());
    }
    let state = match mapping.state {
        State::Active => "active",
        State::Suspended => "suspended",
        State::Absent => "absent",
    };
    put("state", state.into());
    put("readonly", mapping.readonly.into());
    put("protect", mapping.protect.into());
    put("shared", mapping.shared.into());
    put("adopt", mapping.adopt.into());
    if let Some(name) = &mapping.renamed_from {
        put("renamed_from", name.plain().into_owned().into());
    }
    if !mapping.formerly.is_empty() {
        let keys = mapping.formerly.iter().filter_map(Uuid::parts).map(|(_, key)| key.to_string());
        put("formerly", keys.map(Value::from).collect::<Vec<_>>().into());
    }
    let suspend = [("flush", mapping.suspend.flush), ("freeze", mapping.suspend.freeze)]
        .map(|(k, v)| (k.to_string(), v.into()));
    put("suspend", Table::from_iter(suspend).into());
    put("wait", format!("{}ms", mapping.wait.as_millis()).into());
    let boot: Vec<Value> = mapping.boot.iter().map(|option| option.name().into()).collect();
    put("boot", boot.into());
    if !mapping.rows.is_empty() {
        put("targets", mapping.rows.iter().map(of_row).map(Value::from).collect::<Vec<_>>().into());
    }
    table
}

fn of_row(row: &MappingRow) -> Table {
    let mut table = row.target.fields();
    table.insert("type".to_string(), row.target.kind().into());
    if let Some(start) = row.start {
        table.insert("start".to_string(), sectors(start));
    }
    let length = match row.length {
        Length::Sectors(length) => sectors(length),
        Length::Rest => "rest".into(),
    };
    table.insert("length".to_string(), length);
    if !row.messages.is_empty() {
        table.insert(
            "messages".to_string(),
            row.messages.iter().map(|text| Value::from(text.shown())).collect::<Vec<_>>().into(),
        );
    }
    table
}

/// Converts a count of sectors; a device has at most 2^54 of them.
fn sectors(sectors: u64) -> Value {
    Value::Integer(i64::try_from(sectors).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn maps(folder: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
    }

    #[test]
    fn every_example_reads_back_as_it_is() {
        let all = [maps("tests/configs/valid"), maps("examples")].concat();
        assert!(all.len() > 10);
        for path in all {
            let loaded = config::load(std::slice::from_ref(&path));
            let map = loaded.map.unwrap_or_else(|| panic!("{}", path.display()));
            check(&map).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }

    #[test]
    fn every_target_reads_back_as_it_is() {
        for kind in crate::targets::KINDS {
            let text = format!("format = 1\n[mappings.x]\n[[mappings.x.targets]]\n{}", kind.doc.example);
            // An example may use mappings that only a whole map declares.
            let Some(map) = config::parse_str("example", &text).map else { continue };
            let wanted = canonical(&map);
            if wanted.to_string().contains(crate::secret::REDACTED) {
                continue;
            }
            check(&map).unwrap_or_else(|error| panic!("{}: {error}", kind.name));
        }
    }
}
