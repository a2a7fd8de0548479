//! Writes the reference manual of the targets, `docs/targets.md`, from their documentation, their traits and the schema
//! of their fields.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::targets::{ANY_WORD, KINDS, Kind, MessageRisk, Mode, Traits};
use crate::text::{push, push_line};

/// The most levels of nested fields; every target has fewer.
const MAX_DEPTH: usize = 8;

/// The text before the first target.
const PREFACE: &str = "\
# Targets

A row of a table is written as its `type`, the fields of that type, and four keys that every row has:

| key | meaning |
|---|---|
| `type` | which target |
| `start` | the first sector it serves; left out, it follows the row before |
| `length` | how many sectors; left out or `\"rest\"`, up to the end of the device below, for the targets that have one |
| `messages` | what is sent to the target after each load of its table; `dmctl message` sends one at once |

A **size** is an integer, or text with a unit such as `\"10GiB\"`; an integer counts sectors of 512 bytes, or bytes where
the table says so. A **device** is a path, `major:minor`, `UUID=`, `PARTUUID=`, `LABEL=` or `PARTLABEL=` with a value, or
`@key` for another mapping of the map. An **argument** is an integer or one word. Words in brackets such as `reload` and
`remap` are risk classes.

Any target may instead be written as the row it is, with `params` in place of the fields: a text, or a list of its words. A
type that is not listed here can only be written so, and its words are compared one by one.
";

/// Returns the manual, in Markdown.
pub fn targets() -> String {
    let mut kinds: Vec<&Kind> = KINDS.iter().collect();
    kinds.sort_by_key(|kind| kind.name);
    let mut out = PREFACE.to_string();
    for kind in kinds {
        push!(out, "\n{}", section(kind));
    }
    out
}

/// Adds the chapter of a target.
fn section(kind: &Kind) -> String {
    let doc = &kind.doc;
    let mut out = format!("## {}\n\n{}\n\n", kind.name, doc.summary);
    out += &table(&fields(kind));
    let mut fact = |name: &str, value: &str| {
        push_line!(out, "- **{name}**: {value}");
    };
    fact("A change", doc.changes);
    fact("What loading writes", doc.writes);
    fact("Kernel", &format!("since {}.", doc.since));
    let traits = traits(kind.traits);
    if !traits.is_empty() {
        fact("Table", &format!("{}.", traits.join("; ")));
    }
    out += &messages(kind.traits);
    push!(out, "\n```toml\n[[mappings.NAME.targets]]\n{}\n```\n", doc.example);
    out
}

/// Lists the demands of the kernel on tables with a target.
fn traits(traits: Traits) -> Vec<&'static str> {
    let mode = match traits.mode {
        Mode::Any => None,
        Mode::ReadOnly => Some("always loaded read-only"),
        Mode::Writable => Some("never loaded read-only"),
    };
    let rules = [
        (traits.singleton, "it must be the only target of its table"),
        (traits.immutable, "once live, only a table of the same type can take its place"),
        (traits.suspend_before_load, "the device is suspended before a new table is loaded"),
        (traits.secret, "it may hold a key, which dmctl never shows"),
    ];
    mode.into_iter().chain(rules.into_iter().filter(|(on, _)| *on).map(|(_, rule)| rule)).collect()
}

/// Lists the messages that a target takes.
fn messages(traits: Traits) -> String {
    if traits.messages.is_empty() {
        return String::new();
    }
    let mut out = "\n| message | class | what the kernel does |\n|---|---|---|\n".to_string();
    for form in traits.messages {
        let word =
            if form.word == ANY_WORD { "a setting of the policy" } else { &format!("`{}`", form.word) };
        let arguments = form.arguments.replace('|', "\\|");
        let arguments = if arguments.is_empty() { arguments } else { format!(" `{arguments}`") };
        let risk = match form.risk {
            MessageRisk::Class(class) => format!("`{class}`"),
            MessageRisk::Never(why) => format!("not sent: {why}"),
        };
        push_line!(out, "| {word}{arguments} | {risk} | {} |", form.does);
    }
    out
}

/// A field of a target, or of a table inside one.
struct Field {
    /// The path to the field: `stripes[].device`.
    name: String,
    /// The values it takes.
    takes: String,
    /// The default, which holds when the field is left out.
    default: String,
    /// The meaning of the field and of its values.
    meaning: String,
}

fn table(fields: &[Field]) -> String {
    if fields.is_empty() {
        return "It has no fields.\n\n".to_string();
    }
    let mut out = "| field | type | default | meaning |\n|---|---|---|---|\n".to_string();
    for Field { name, takes, default, meaning } in fields {
        push_line!(out, "| `{name}` | {takes} | {default} | {meaning} |");
    }
    out + "\n"
}

/// Returns the fields of a target, those without a default first.
fn fields(kind: &Kind) -> Vec<Field> {
    let mut generator: SchemaGenerator = SchemaSettings::draft2020_12().into_generator();
    let schema = (kind.schema)(&mut generator).to_value();
    let reader = Reader { definitions: generator.definitions() };
    let mut fields = Vec::new();
    reader.collect(&schema, "", 0, &mut fields);
    fields
}

/// Reads schemas that refer to definitions.
struct Reader<'a> {
    definitions: &'a Map<String, Value>,
}

impl<'a> Reader<'a> {
    /// Adds the properties of `schema`, and those of the tables inside them.
    fn collect(&self, schema: &Value, prefix: &str, depth: usize, fields: &mut Vec<Field>) {
        let Some(properties) = schema["properties"].as_object() else { return };
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let optional = properties.keys().map(String::as_str).filter(|name| !required.contains(name));
        for name in required.iter().copied().chain(optional) {
            let property = &properties[name];
            let path = format!("{prefix}{name}");
            fields.push(Field {
                takes: self.takes(property, depth),
                default: if required.contains(&name) { "required".into() } else { self.default(property) },
                meaning: self.meaning(property),
                name: path.clone(),
            });
            if depth < MAX_DEPTH {
                let (inner, suffix) = self.inside(property);
                self.collect(inner, &format!("{path}{suffix}."), depth + 1, fields);
            }
        }
    }

    /// Returns `schema` without its references, its null alternative and its list, and the `[]` that a path gets for a
    /// list.
    fn inside<'b>(&'b self, schema: &'b Value) -> (&'b Value, &'static str) {
        let schema = self.present(schema);
        match schema.get("items") {
            Some(items) => (self.present(items), "[]"),
            None => (schema, ""),
        }
    }

    /// Returns `schema` without references and without the null alternative.
    fn present<'b>(&'b self, schema: &'b Value) -> &'b Value {
        let mut schema = schema;
        for _ in 0..MAX_DEPTH {
            schema = match (name(schema), alternatives(schema).as_slice()) {
                (Some(name), _) => self.definitions.get(name).unwrap_or(&Value::Null),
                (None, [only]) => only,
                _ => return schema,
            };
        }
        schema
    }

    /// Describes the values of `schema` in a few words.
    fn takes(&self, schema: &Value, depth: usize) -> String {
        if let Some(word) = name(schema).and_then(known) {
            return word.to_string();
        }
        if depth > MAX_DEPTH {
            return "a value".to_string();
        }
        let mut words: Vec<String> =
            alternatives(schema).into_iter().map(|schema| self.takes(schema, depth + 1)).collect();
        words.dedup();
        if !words.is_empty() {
            return words.join(" or ");
        }
        let schema = self.present(schema);
        if let Some(values) = values(schema) {
            let values: Vec<String> = values.into_iter().map(|value| format!("`{value}`")).collect();
            return values.join(", ");
        }
        match kind_of(schema) {
            Some("array") => format!("list: {}", self.takes(&schema["items"], depth + 1)),
            Some("object") if schema["additionalProperties"].is_object() => {
                format!(
                    "table of names, each with {}",
                    self.takes(&schema["additionalProperties"], depth + 1)
                )
            }
            Some("object") => "table".to_string(),
            Some("string") => "text".to_string(),
            Some("integer") => "integer".to_string(),
            Some("boolean") => "true or false".to_string(),
            _ if !alternatives(schema).is_empty() => self.takes(schema, depth + 1),
            _ => "a value".to_string(),
        }
    }

    /// Describes the default of an optional field. A flag is off by default, even when its schema does not tell.
    fn default(&self, schema: &Value) -> String {
        match &schema["default"] {
            Value::Null if kind_of(self.present(schema)) == Some("boolean") => "`false`".to_string(),
            Value::Null => "unset".to_string(),
            Value::String(text) => format!("`{text}`"),
            Value::Array(list) if list.is_empty() => "none".to_string(),
            Value::Object(table) if table.is_empty() => "none".to_string(),
            value => format!("`{value}`"),
        }
    }

    /// Returns the meaning of a field, and of each of its values that has a description.
    fn meaning(&'a self, schema: &'a Value) -> String {
        let mut all = text(schema).unwrap_or_default();
        let variants = self.inside(schema).0["oneOf"].as_array();
        for variant in variants.into_iter().flatten() {
            if let (Some(value), Some(meaning)) = (variant["const"].as_str(), text(variant)) {
                push!(all, " `{value}`: {meaning}");
            }
        }
        all.trim().to_string()
    }
}

/// Returns the name of the definition that `schema` refers to.
fn name(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

/// Returns the plain words for some definitions.
fn known(definition: &str) -> Option<&'static str> {
    match definition {
        "Device" => Some("device"),
        "Sectors" => Some("size in sectors"),
        "Bytes" => Some("size in bytes"),
        "Argument" => Some("argument"),
        _ => None,
    }
}

/// Returns the description of `schema` in one line, escaped for a cell.
fn text(schema: &Value) -> Option<String> {
    let text = schema["description"].as_str()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|"))
}

/// Returns the alternatives of `schema` without null. Values of an enumeration are not alternatives.
fn alternatives(schema: &Value) -> Vec<&Value> {
    let lists = ["anyOf", "oneOf"].into_iter().filter_map(|list| schema[list].as_array());
    let all = lists.flatten().filter(|schema| schema["type"] != "null");
    if values(schema).is_some() { Vec::new() } else { all.collect() }
}

/// Returns the values of an enumeration.
fn values(schema: &Value) -> Option<Vec<&str>> {
    let listed = schema["enum"].as_array().map(|values| values.iter().filter_map(Value::as_str).collect());
    let described = || {
        let variants = schema["oneOf"].as_array()?;
        variants.iter().map(|variant| variant["const"].as_str()).collect()
    };
    listed.or_else(described).or_else(|| schema["const"].as_str().map(|value| vec![value]))
}

/// Returns the type of `schema`, other than null.
fn kind_of(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        kind => kind.as_str(),
    }
}
