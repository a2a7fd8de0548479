//! Writes a map as the text of a map file.

use std::borrow::Cow;

use toml::{Table, Value};

use super::defaults;
use super::note::Note;
use crate::config::{Length, Mapping, MappingRow, State};
use crate::identity::{Key, Name, Owner, Uuid, hides, printable};
use crate::targets::Mode;
use crate::text::{push, push_line, wrap};
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
    push_line!(text, "{}", escaped(line));
}

/// Escapes the hidden characters of a line, which only strings have. A string that takes each character for itself
/// becomes one with escapes.
fn escaped(line: &str) -> Cow<'_, str> {
    if !line.contains(hides) {
        return Cow::Borrowed(line);
    }
    let mut escaped = String::with_capacity(line.len() + 8);
    let mut rest = line;
    while let Some(at) = rest.find(['"', '\'']) {
        let (before, string) = rest.split_at(at);
        escaped.push_str(before);
        let Quoted { quotes, end } = Quoted::at(string);
        let (string, after) = string.split_at(end);
        if string.contains(hides) {
            escape_string(&mut escaped, string, quotes);
        } else {
            escaped.push_str(string);
        }
        rest = after;
    }
    escaped.push_str(rest);
    Cow::Owned(escaped)
}

/// Writes a string of TOML as one in double quotes, with escapes.
fn escape_string(escaped: &mut String, string: &str, quotes: usize) {
    let is_literal = string.starts_with('\'');
    let content = string.get(quotes..string.len() - quotes).unwrap_or_default();
    // Between three quotes, a line end at the begin is no part of it.
    let content = if quotes == 3 { content.strip_prefix('\n').unwrap_or(content) } else { content };
    escaped.push('"');
    let mut characters = content.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' if !is_literal => {
                escaped.push(c);
                escaped.extend(characters.next());
            }
            '"' | '\\' => escaped.extend(['\\', c]),
            c if hides(c) => push!(escaped, "\\U{:08X}", u32::from(c)),
            c => escaped.push(c),
        }
    }
    escaped.push('"');
}

/// A string at the begin of a text.
struct Quoted {
    /// How many quotes it has before and behind it: three where it holds quotes or line ends.
    quotes: usize,
    /// Its length, with its quotes.
    end: usize,
}

impl Quoted {
    fn at(text: &str) -> Self {
        let quote = text.chars().next().unwrap_or_default();
        let is_quote = |c: &char| *c == quote;
        let quotes = if text.chars().take(3).filter(is_quote).count() == 3 { 3 } else { 1 };
        let mut characters = text.char_indices().skip(quotes);
        while let Some((at, c)) = characters.next() {
            if c == '\\' && quote == '"' {
                characters.next();
            } else if c == quote {
                let run = text[at..].chars().take_while(is_quote).count();
                if run >= quotes {
                    // Of more than three the last three end it.
                    return Self { quotes, end: at + if quotes == 3 { run.min(5) } else { 1 } };
                }
            }
        }
        Self { quotes, end: text.len() }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_escaped_and_stay_the_same_data() {
        for line in [
            "name = \"a\u{202e}\\\"b\"",
            "name = 'a\\x\u{202e}\"'",
            "targets = [{ type = \"x\", params = ['\u{200b}', \"'\u{200b}\"] }]",
            "plain = 'a\\b'",
            "params = [\"\"\"2'\"x\"\"\", \"0\", \"\u{feff}\", '0\"0']",
            "params = [\"\"\"2'\"\u{feff}\\\\\\\"x\"\"\"\"\", '', \"\", \"\u{feff}\"]",
            "params = [\'\'\'2'\"\u{feff}\\x\'\'\'\', \'\', \"\u{feff}\"]",
            "params = [\"\"\"\n\n'\"\u{feff}\"\"\"]",
        ] {
            let text = escaped(line);
            assert!(!text.contains(hides), "{text}");
            assert_eq!(toml::from_str::<Table>(&text).unwrap(), toml::from_str(line).unwrap(), "{text}");
        }
    }
}
