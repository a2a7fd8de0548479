//! The JSON schema of a target of a map: any of the known types by its fields, or a row of any type.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::row_fields::RowFields;
use crate::targets::{KINDS, Kind};

/// The type of a target in the schema: any of the known ones by its fields, or a row of any type.
pub(super) struct TargetSchema;

impl JsonSchema for TargetSchema {
    fn schema_name() -> Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let common = properties(RowFields::json_schema(generator));
        let mut forms: Vec<Value> =
            KINDS.iter().map(|kind| typed(kind, &common, (kind.schema)(generator))).collect();
        forms.push(json!({
            "title": "row",
            "description": "Any target, written as the row that the kernel takes.",
            "type": "object",
            "properties": common,
            "required": ["type", "params"],
            "additionalProperties": false,
        }));
        json_schema!({ "anyOf": forms })
    }
}

/// Returns the schema of one type: its own fields, and those that every target has.
fn typed(kind: &Kind, common: &Map<String, Value>, schema: Schema) -> Value {
    let mut schema = schema.to_value();
    let Some(object) = schema.as_object_mut() else { return schema };
    object.insert("title".to_string(), json!(kind.name));
    object.insert("description".to_string(), json!(kind.doc.summary));
    let fields = object.entry("properties").or_insert_with(|| json!({}));
    if let Some(fields) = fields.as_object_mut() {
        for (name, field) in common.iter().filter(|(name, _)| *name != "params") {
            fields.insert(name.clone(), field.clone());
        }
        fields.insert("type".to_string(), json!({ "const": kind.name, "description": kind.doc.summary }));
    }
    let required = object.entry("required").or_insert_with(|| json!([]));
    if let Some(required) = required.as_array_mut() {
        required.insert(0, json!("type"));
    }
    schema
}

fn properties(schema: Schema) -> Map<String, Value> {
    match schema.to_value().get_mut("properties").map(Value::take) {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    }
}
