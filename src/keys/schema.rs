//! The JSON schema of the forms in which a map writes a key.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{KeySource, MAX_KEY};

impl JsonSchema for KeySource {
    fn schema_name() -> Cow<'static, str> {
        "KeySource".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "where the key comes from",
            "oneOf": [
                {
                    "type": "object",
                    "properties": {
                        "file": { "type": "string", "pattern": "^/[^\\x00-\\x1f\\x7f-\\x9f]*$", "description": "a file that holds the key, all of it and nothing else, and that only its owner can read" },
                        "encoding": { "enum": ["raw", "hex"], "default": "raw", "description": "whether the file holds the bytes themselves, or hex digits" }
                    },
                    "required": ["file"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "properties": {
                        "keyring": { "type": "string", "pattern": "^(logon|user|encrypted|trusted):[^\\s\\\\]+$", "description": "type and description of a key in a keyring of the kernel" },
                        "bytes": { "type": "integer", "minimum": 1, "maximum": MAX_KEY, "description": "how long the key is" }
                    },
                    "required": ["keyring", "bytes"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "properties": {
                        "credential": { "type": "string", "pattern": "^[!-.0-9;-\\[\\]-~]{1,255}$", "description": "the name of a credential that systemd hands to the service" }
                    },
                    "required": ["credential"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "properties": {
                        "random": { "type": "integer", "minimum": 1, "maximum": MAX_KEY, "description": "how many bytes are drawn at random whenever the device is made, for swap and scratch: what is on it is gone each time" }
                    },
                    "required": ["random"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "properties": {
                        "hex": { "type": "string", "pattern": "^([0-9A-Fa-f]{2})+$", "description": "the key itself; only in a file that only its owner can read" }
                    },
                    "required": ["hex"],
                    "additionalProperties": false
                }
            ]
        })
    }
}
