//! The law of a map: it is refused with its place, or it plans, its units are in their folder, and no text of it moves a
//! cursor or shows a key.

use std::path::{Component, Path};

use super::text::Keys;
use super::{kernels, plan};
use crate::boot::{self, Stage, UnitFile};
use crate::config::{self, Map};
use crate::keys::KeySource;

/// Holds a map to the law.
pub(super) fn hold(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let loaded = config::parse_str("map.toml", &text);
    let drawn = loaded.render();
    let keys = keys(&text, loaded.map.as_ref());
    keys.check("the diagnostics", &drawn);
    assert_eq!(loaded.map.is_none(), loaded.diagnostics.errors() > 0, "{drawn}");
    let Some(map) = loaded.map else {
        return assert!(drawn.contains("map.toml"), "without a place: {drawn}");
    };
    units(&map, &keys);
    if let Some(kernel) = kernels::with_the_disks_of(&map) {
        plan::planned(&kernel, &map, &keys);
    }
}

/// The keys of a map: those that it holds, and where it is refused each text behind `hex =`.
pub(super) fn keys(text: &str, map: Option<&Map>) -> Keys {
    let Some(map) = map else {
        let written = text.split("hex = \"").skip(1).filter_map(|rest| rest.split('"').next());
        let digits = |word: &&str| word.bytes().all(|byte| byte.is_ascii_hexdigit());
        return Keys::of(written.filter(digits), text);
    };
    let rows = map.mappings.values().flat_map(|mapping| &mapping.rows);
    let mut secrets: Vec<String> = Vec::new();
    for row in rows {
        secrets.extend(
            row.messages.iter().filter_map(|message| key_of_message(message.reveal())).map(str::to_string),
        );
        for slot in row.target.clone().keys_mut() {
            if let KeySource::Hex(secret) = &slot.key.source {
                secrets.push(secret.reveal().to_string());
            }
        }
    }
    Keys::of(secrets.iter().map(String::as_str), text)
}

/// Returns the key in a message to dm-crypt, `key set KEY` (`crypt_message` in `drivers/md/dm-crypt.c`).
fn key_of_message(message: &str) -> Option<&str> {
    let words: Vec<&str> = message.split_whitespace().collect();
    match words.as_slice() {
        [key, set, material, ..] if key.eq_ignore_ascii_case("key") && set.eq_ignore_ascii_case("set") => {
            Some(material).copied().filter(|material| !material.starts_with(':'))
        }
        _ => None,
    }
}

/// Checks the units of a map: each is in the folder of a generator, in a folder of its own at most, and each line is a
/// setting.
fn units(map: &Map, keys: &Keys) {
    for stage in [Stage::System, Stage::Initrd] {
        for (path, file) in boot::units(map, stage) {
            let parts: Vec<Component<'_>> = Path::new(&path).components().collect();
            let inside = parts.iter().all(|part| matches!(part, Component::Normal(_)));
            assert!(inside && parts.len() <= 2, "a unit outside of its folder: {path:?}");
            keys.check("the path of a unit", &path);
            let (UnitFile::Text(text) | UnitFile::Link(text)) = file;
            keys.check("a unit", &text);
        }
    }
}
