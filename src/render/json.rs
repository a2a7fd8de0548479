//! Writes plans and their schemas as JSON. Every document carries [`FORMAT_VERSION`].

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::plan::Plan;
use crate::plan::document::Document;

/// The version of every JSON document that dmctl writes.
pub const FORMAT_VERSION: u32 = 1;

/// Returns a plan, without the version, which the caller adds.
pub fn plan(plan: &Plan) -> Document {
    Document::of(plan)
}

/// Returns the schema of a plan as [`plan`] gives it, with its version. A saved plan keeps to the schema, too, and has
/// further fields.
pub fn plan_schema() -> Value {
    versioned::<Document>()
}

/// Returns the schema of a document that is printed with its version.
pub(super) fn versioned<T: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>().to_value();
    let kinds = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    match kinds {
        Some(kinds) => kinds.iter_mut().for_each(add_version),
        None => add_version(&mut schema),
    }
    schema
}

fn add_version(schema: &mut Value) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("format_version".to_string(), version());
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.insert(0, json!("format_version"));
    }
}

fn version() -> Value {
    Value::Object(Map::from_iter([
        ("description".to_string(), json!("The version of this format.")),
        ("const".to_string(), json!(FORMAT_VERSION)),
    ]))
}
