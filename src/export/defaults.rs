//! Leaves out the fields of a target that have their default: without them the target reads the same.

use toml::{Table, Value};

use crate::targets::{self, Kind};

/// Returns the fields of a target of the type `kind` without those that have their default.
pub(crate) fn without_defaults(kind: &str, fields: Table) -> Table {
    let Some(kind) = targets::find(kind) else { return fields };
    let mut kept = fields.clone();
    for (field, value) in &fields {
        let mut without = kept.clone();
        without.remove(field);
        if reads_as(kind, &without, &fields) {
            kept = without;
            continue;
        }
        // A list of stripes or paths: a field that is 0 is left out of every entry or of none.
        for inner in zeros(value) {
            let mut without = kept.clone();
            if let Some(value) = without.get_mut(field) {
                drop_zeros(value, &inner);
            }
            if reads_as(kind, &without, &fields) {
                kept = without;
            }
        }
    }
    kept
}

fn reads_as(kind: &Kind, fields: &Table, wanted: &Table) -> bool {
    let text = fields.to_string();
    let read = toml::de::Deserializer::parse(&text).and_then(|parsed| kind.deserialize(parsed));
    read.is_ok_and(|read| read.fields() == *wanted)
}

/// Returns the tables in a value, at every depth.
fn tables(value: &Value) -> Vec<&Table> {
    match value {
        Value::Table(table) => std::iter::once(table).chain(table.values().flat_map(tables)).collect(),
        Value::Array(values) => values.iter().flat_map(tables).collect(),
        _ => Vec::new(),
    }
}

/// Returns the names of the fields that are 0 in a table of the value.
fn zeros(value: &Value) -> Vec<String> {
    let all = tables(value).into_iter().flatten();
    let mut names: Vec<String> =
        all.filter(|(_, value)| **value == Value::Integer(0)).map(|(name, _)| name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

fn drop_zeros(value: &mut Value, name: &str) {
    match value {
        Value::Table(table) => {
            if table.get(name) == Some(&Value::Integer(0)) {
                table.remove(name);
            }
            table.iter_mut().for_each(|(_, value)| drop_zeros(value, name));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| drop_zeros(value, name)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kind: &str, params: &str) -> String {
        let target = targets::parse(kind, params).unwrap();
        Value::from(without_defaults(kind, target.fields())).to_string()
    }

    #[test]
    fn what_goes_without_saying_is_not_written() {
        assert_eq!(written("linear", "8:0 0"), "{ device = \"8:0\" }");
        assert_eq!(written("linear", "8:0 1"), "{ device = \"8:0\", offset = 1 }");
        assert_eq!(
            written("striped", "2 64 8:0 0 8:16 8"),
            "{ chunk = \"32KiB\", stripes = [{ device = \"8:0\" }, { device = \"8:16\", offset = \"4KiB\" }] }"
        );
        assert_eq!(
            written("thin-pool", "8:0 8:16 128 0"),
            "{ metadata = \"8:0\", data = \"8:16\", block_size = \"64KiB\" }"
        );
        assert_eq!(written("future", "8:0 0"), "{ params = [\"8:0\", \"0\"] }");
    }
}
