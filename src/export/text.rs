//! Writes a map as the text of a map file.

use toml::{Table, Value};

use super::defaults;
use super::note::Note;
use crate::config::{Length, Mapping, MappingRow, State};
use crate::identity::{Key, Name, Owner, Uuid, printable};
use crate::targets::Mode;
use crate::text::push_line;
use crate::text::wrap;
use crate::units::Sectors;

/// The longest line of a row, in columns; a longer row becomes a table. Comments are wrapped there.
const MAX_COLUMNS: usize = 110;

/// A mapping with the comments above it.
pub(crate) struct Commented<'a> {
    pub mapping: &'a Mapping,
    pub notes: &'a [Note],
}

/// Writes the file: comments, the mappings, and comments at the end.
pub(crate) fn write(
    head: &[String],
    owner: Option<&Owner>,
    mappings: &[Commented<'_>],
    tail: &[String],
) -> String {
    let mut text = String::new();
    comments(&mut text, head);
    line(&mut text, "format = 1");
    if let Some(owner) = owner {
        line(&mut text, &format!("owner = {}", Value::from(owner.as_str())));
    }
    let default = Owner::default();
    for commented in mappings {
        text.push('\n');
        mapping(&mut text, owner.unwrap_or(&default), commented);
    }
    if !tail.is_empty() {
        text.push('\n');
        comments(&mut text, tail);
    }
    text
}

fn line(text: &mut String, line: &str) {
    push_line!(text, "{line}");
}

fn comments(text: &mut String, notes: &[impl ToString]) {
    for note in notes {
        for part in wrap(&printable(&note.to_string()), Some(MAX_COLUMNS - 2)) {
            line(text, format!("# {part}").trim_end());
        }
    }
}

fn mapping(text: &mut String, owner: &Owner, Commented { mapping, notes }: &Commented<'_>) {
    comments(text, notes);
    let key = quoted(&mapping.key);
    let rows: Vec<Table> = mapping.rows.iter().map(row).collect();
    let lines: Vec<String> = rows.iter().map(|row| format!("  {},", Value::from(row.clone()))).collect();
    let short = lines.iter().all(|line| line.chars().count() <= MAX_COLUMNS);
    let fields = fields(owner, mapping);
    if short || !fields.is_empty() {
        line(text, &format!("[mappings.{key}]"));
    }
    for (field, value) in &fields {
        line(text, &format!("{field} = {value}"));
    }
    if short {
        line(text, "targets = [");
        for row in &lines {
            line(text, row);
        }
        line(text, "]");
        return;
    }
    for (place, row) in rows.into_iter().enumerate() {
        if place > 0 || !fields.is_empty() {
            text.push('\n');
        }
        line(text, &format!("[[mappings.{key}.targets]]"));
        for (field, value) in row {
            line(text, &assignment(&field, &value));
        }
    }
}

/// Returns the fields of a mapping beside its rows, without those that have their default.
fn fields(owner: &Owner, mapping: &Mapping) -> Vec<(&'static str, Value)> {
    let mut fields = Vec::new();
    if Name::new(mapping.key.as_str()).ok().as_ref() != Some(&mapping.name) {
        fields.push(("name", mapping.name.plain().into_owned().into()));
    }
    if mapping.uuid != Uuid::owned(owner, &mapping.key) {
        fields.push(("uuid", mapping.uuid.text().as_str().into()));
    }
    if mapping.state == State::Suspended {
        fields.push(("state", "suspended".into()));
    }
    let implied = mapping.rows.iter().any(|row| row.target.traits().mode == Mode::ReadOnly);
    for (field, is_set) in
        [("readonly", mapping.readonly && !implied), ("shared", mapping.shared), ("adopt", mapping.adopt)]
    {
        if is_set {
            fields.push((field, true.into()));
        }
    }
    fields
}

fn row(row: &MappingRow) -> Table {
    let mut table = Table::new();
    table.insert("type".to_string(), row.target.kind().into());
    if let Length::Sectors(length) = row.length {
        table.insert("length".to_string(), sectors(length));
    }
    table.extend(defaults::without_defaults(row.target.kind(), row.target.fields()));
    table
}

/// Writes a size in the largest unit that divides it.
fn sectors(sectors: u64) -> Value {
    Value::try_from(Sectors(sectors)).unwrap_or(Value::Integer(0))
}

/// Writes `field = value`. A list that is too long for a line gets a line for each of its values.
fn assignment(field: &str, value: &Value) -> String {
    let short = format!("{field} = {value}");
    match value {
        Value::Array(values) if short.chars().count() > MAX_COLUMNS => {
            let values: Vec<String> = values.iter().map(|value| format!("  {value},\n")).collect();
            format!("{field} = [\n{}]", values.concat())
        }
        _ => short,
    }
}

/// Quotes a key that contains a dot: in TOML it would be a path of two tables.
fn quoted(key: &Key) -> String {
    if key.as_str().contains('.') { format!("\"{key}\"") } else { key.to_string() }
}
