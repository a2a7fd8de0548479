//! The digests in a saved plan: one over its content, one of the host it was made on.

use crate::text::push;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The field with the digest over all other fields.
const FIELD: &str = "digest";

/// The prefix that is hashed with a machine id, which must not be shown itself (machine-id(5)).
const HOST_PREFIX: &[u8] = b"dmctl saved plan, host ";

/// Adds the digest over all other fields.
pub(crate) fn seal(value: &mut Value) {
    let digest = of(value);
    if let Value::Object(fields) = value {
        fields.insert(FIELD.to_string(), json!(digest));
    }
}

/// Removes the digest and checks it. `None` when there is not one.
pub(crate) fn unseal(value: &mut Value) -> Option<bool> {
    let digest = value.as_object_mut()?.remove(FIELD)?;
    Some(digest == of(value))
}

/// Hashes a value. Its fields are sorted by name, so blanks and order in the file do not count.
fn of(value: &Value) -> String {
    let text = serde_json::to_vec(value).unwrap_or_default();
    format!("sha256:{}", hex(&Sha256::digest(text)))
}

/// Hashes a machine id to the 32 hex digits that identify the host in a saved plan.
pub fn host(machine_id: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(HOST_PREFIX);
    hash.update(machine_id.trim().as_bytes());
    hex(&hash.finalize()).get(..32).unwrap_or_default().to_string()
}

/// Writes a digest as hex digits. It is not for keys: the text is not wiped.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        push!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_change_is_seen_and_any_spelling_is_not() {
        let mut sealed = json!({ "a": [1, 2], "b": { "c": "d" } });
        seal(&mut sealed);
        let text = serde_json::to_string_pretty(&sealed).unwrap();
        let mut again: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(unseal(&mut again), Some(true));
        assert_eq!(unseal(&mut again), None);
        let mut altered: Value = serde_json::from_str(&text.replace("\"d\"", "\"e\"")).unwrap();
        assert_eq!(unseal(&mut altered), Some(false));
    }

    #[test]
    fn a_machine_id_is_not_told() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_ne!(host(id), id);
        assert_eq!(host(id), host(&format!("{id}\n")));
        assert_ne!(host(id), host("another"));
    }
}
