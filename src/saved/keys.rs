//! Keys that a map holds in clear: they are not saved, only recognised again by a slow digest.

use std::fs;
use std::path::{Path, PathBuf};

use pbkdf2::pbkdf2_hmac;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::SavedError;
use super::digest::hex;
use crate::config::Map;
use crate::files::Attempt;
use crate::identity::printable_path;
use crate::keys::KeySource;

/// The count of rounds of the digest (PBKDF2): a key made of a word must not be cheap to guess from it.
const ROUNDS: u32 = 20_000;

/// The most rounds that a file may ask for.
const MAX_ROUNDS: u32 = 1_000_000;

/// A salted digest that recognises keys and does not reveal them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyDigest {
    salt: String,
    rounds: u32,
    pbkdf2_sha256: String,
}

impl KeyDigest {
    /// Makes the digest of keys, with a random salt.
    pub(crate) fn new(material: &Zeroizing<String>) -> Result<Self, SavedError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|error| SavedError::Random(error.to_string()))?;
        Ok(Self::with(hex(&salt), ROUNDS, material))
    }

    fn with(salt: String, rounds: u32, material: &Zeroizing<String>) -> Self {
        let mut out = [0; 32];
        pbkdf2_hmac::<Sha256>(material.as_bytes(), salt.as_bytes(), rounds, &mut out);
        Self { salt, rounds, pbkdf2_sha256: hex(&out) }
    }

    /// Whether the digest is of these keys.
    pub(crate) fn is_of(&self, material: &Zeroizing<String>) -> bool {
        (1..=MAX_ROUNDS).contains(&self.rounds)
            && Self::with(self.salt.clone(), self.rounds, material) == *self
    }
}

/// Returns the keys that the map holds itself, each with its place; empty when it holds none.
pub(crate) fn in_clear(map: &Map) -> Zeroizing<String> {
    // The full capacity at once: a text that grows leaves copies of itself behind.
    let mut size = 0;
    visit_clear_keys(map, |place, hex| size += place.len() + hex.len() + 2);
    let mut material = Zeroizing::new(String::with_capacity(size));
    visit_clear_keys(map, |place, hex| {
        material.push_str(place);
        material.push('=');
        material.push_str(hex);
        material.push('\n');
    });
    material
}

/// Calls `visit` with the place and the text of each key, and of each message that holds one.
fn visit_clear_keys(map: &Map, mut visit: impl FnMut(&str, &str)) {
    for (key, mapping) in &map.mappings {
        for (index, row) in mapping.rows.iter().enumerate() {
            let mut target = row.target.clone();
            for slot in target.keys_mut() {
                if let KeySource::Hex(secret) = &slot.key.source {
                    visit(&format!("{key} {index} {}", slot.field), secret.reveal());
                }
            }
            for (number, text) in row.messages.iter().enumerate().filter(|(_, text)| text.holds_key()) {
                visit(&format!("{key} {index} messages {number}"), text.reveal());
            }
        }
    }
}

/// Returns the absolute paths of the files of a map, if all of them can be read again.
pub(crate) fn files(files: &[PathBuf]) -> Result<Vec<PathBuf>, SavedError> {
    let whole = |path: &PathBuf| {
        let again = fs::metadata(path).is_ok_and(|metadata| metadata.is_file() || metadata.is_dir());
        if path == Path::new("-") || !again {
            let name = if path == Path::new("-") {
                "standard input".into()
            } else {
                format!("`{}`", printable_path(path))
            };
            return Err(SavedError::KeysFromNowhere(name));
        }
        fs::canonicalize(path).map_err(|error| SavedError::File {
            attempt: Attempt::Read.to_string(),
            path: path.clone(),
            error,
        })
    };
    files.iter().map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f";

    fn map(key: &str) -> Map {
        let text = format!(
            "format = 1\n[mappings.x]\ntargets = [{{ type = \"crypt\", cipher = \"aes-cbc-essiv:sha256\", \
             key = {{ hex = \"{key}\" }}, device = \"/dev/sda\", length = 8 }}]"
        );
        let loaded = config::parse_str("map", &text);
        let problems = loaded.render();
        loaded.map.unwrap_or_else(|| panic!("{problems}"))
    }

    #[test]
    fn keys_are_recognised_and_not_told() {
        let (one, other) = (in_clear(&map(KEY)), in_clear(&map(&KEY.replace("0f", "ff"))));
        let digest = KeyDigest::new(&one).unwrap();
        assert!(digest.is_of(&one) && !digest.is_of(&other));
        assert_ne!(digest, KeyDigest::new(&one).unwrap(), "the salt is another each time");
        let saved =
            format!("{} {}", serde_json::to_string(&digest).unwrap(), super::super::canonical(&map(KEY)));
        assert!(!saved.contains(KEY));
    }

    #[test]
    fn what_can_be_read_once_only_is_refused() {
        assert!(matches!(files(&["-".into()]), Err(SavedError::KeysFromNowhere(_))));
        assert!(matches!(files(&["/dev/null".into()]), Err(SavedError::KeysFromNowhere(_))));
    }
}
