//! The JSON schema of a map, made of the same types that read it.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::fields::MapFields;

/// Returns the schema of a map, as editors take it.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<MapFields>().to_value();
    without_null(&mut schema);
    if let Some(mappings) = schema.pointer_mut("/properties/mappings").and_then(Value::as_object_mut) {
        mappings.insert("propertyNames".to_string(), json!({ "pattern": "^[A-Za-z0-9_.-]{1,64}$" }));
    }
    schema
}

/// Removes null from what the schema allows: TOML does not have it, an optional field is left out instead.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("default") == Some(&Value::Null) {
                object.remove("default");
            }
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = &types[..] {
                    let only = only.clone();
                    object.insert("type".to_string(), only);
                }
            }
            if let Some(Value::Array(forms)) = object.get_mut("anyOf") {
                forms.retain(|form| *form != json!({ "type": "null" }));
            }
            object.values_mut().for_each(without_null);
        }
        Value::Array(array) => array.iter_mut().for_each(without_null),
        _ => {}
    }
}
