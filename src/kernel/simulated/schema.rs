//! Makes the JSON schema of the file of a simulated kernel from the types that read it.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::state::{FORMAT_VERSION, State};

/// The other names under which a mapping's tables are read.
const ALIASES: [(&str, &str); 2] = [("live", "live_table"), ("inactive", "inactive_table")];

/// Returns the schema of a simulated kernel, for editors and scripts.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<State>().to_value();
    if let Some(version) = object(&mut schema, "/properties/format_version") {
        version.insert("const".to_string(), FORMAT_VERSION.into());
    }
    if let Some(mapping) = object(&mut schema, "/definitions/MappingState/properties") {
        for (name, alias) in ALIASES {
            if let Some(table) = mapping.get(name).cloned() {
                mapping.insert(alias.to_string(), table);
            }
        }
    }
    schema
}

fn object<'a>(schema: &'a mut Value, place: &str) -> Option<&'a mut Map<String, Value>> {
    schema.pointer_mut(place).and_then(Value::as_object_mut)
}
