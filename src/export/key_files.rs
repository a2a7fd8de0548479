//! The files that must hold the keys that an export leaves out: one for each key of a mapping.
//!
//! Two rows of a mapping may have two keys, as after a re-encryption that was interrupted: each gets a file of its own.
//! Equal keys of a mapping share one. A key that is withheld can't be compared, so it shares none.

use std::collections::BTreeSet;
use std::iter;

use super::note::Note;
use crate::identity::Key;
use crate::keys::{Encoding, KeySource, SlotForm};
use crate::secret::Secret;
use crate::targets::Target;

/// The folder of the files.
const FOLDER: &str = "/etc/dmctl/keys";

/// The names of the files, each given out once.
#[derive(Debug, Default)]
pub(crate) struct KeyFiles {
    /// The keys of all mappings: each is the name of the first file of its own mapping.
    mappings: BTreeSet<String>,
    given: BTreeSet<String>,
}

/// A key, and the file that must hold it.
struct KeyFile {
    /// The key; `None` when it is withheld.
    key: Option<Secret>,
    /// The fields that it was found in.
    fields: BTreeSet<&'static str>,
    bytes: Option<usize>,
    path: String,
}

impl KeyFiles {
    /// Keeps the key of each mapping as the name of a file of its own.
    pub(crate) fn of<'a>(mappings: impl IntoIterator<Item = &'a Key>) -> Self {
        let mappings = mappings.into_iter().map(ToString::to_string).collect();
        Self { mappings, given: BTreeSet::new() }
    }

    /// Replaces each key that the rows of a mapping hold by the path of a file, and returns a note about each file. A
    /// word that may be a key has no such form: it is withheld, and one note tells of all of them.
    pub(crate) fn hide<'a>(
        &mut self,
        mapping: &Key,
        rows: impl IntoIterator<Item = &'a mut dyn Target>,
    ) -> Vec<Note> {
        let mut files: Vec<KeyFile> = Vec::new();
        let mut words = None;
        for slot in rows.into_iter().flat_map(Target::keys_mut) {
            if !matches!(slot.key.source, KeySource::Hex(_) | KeySource::Withheld) {
                continue;
            }
            if slot.form == SlotForm::Word {
                slot.key.source = KeySource::Withheld;
                words = Some(Note::KeyWord);
                continue;
            }
            let held = slot.key.material().cloned();
            let place = files.iter().position(|file| file.holds(held.as_ref())).unwrap_or_else(|| {
                let path = format!("{FOLDER}/{}", self.name(mapping, slot.field));
                files.push(KeyFile { key: held, fields: BTreeSet::new(), bytes: slot.key.bytes(), path });
                files.len() - 1
            });
            files[place].fields.insert(slot.field);
            let path = files[place].path.clone();
            slot.key.source = KeySource::File { path, encoding: Encoding::Raw };
        }
        files.into_iter().map(KeyFile::note).chain(words).collect()
    }

    /// Returns a name that no other file has: the key of the mapping for the field `key`, with the field behind it for
    /// another one, and a number where that is taken.
    fn name(&mut self, mapping: &Key, field: &str) -> String {
        let own = mapping.to_string();
        let first = if field == "key" { own.clone() } else { format!("{own}-{}", field.replace('.', "-")) };
        let numbered = (2u64..).map(|number| format!("{first}-{number}"));
        let is_free =
            |name: &String| !self.given.contains(name) && (*name == own || !self.mappings.contains(name));
        // Each number makes another name, so one is free.
        let name = iter::once(first.clone()).chain(numbered).find(is_free).unwrap_or(first);
        self.given.insert(name.clone());
        name
    }
}

impl KeyFile {
    fn holds(&self, key: Option<&Secret>) -> bool {
        self.key.as_ref().zip(key).is_some_and(|(one, other)| one.same_hex(other))
    }

    fn note(self) -> Note {
        Note::Key { fields: self.fields.into_iter().collect(), bytes: self.bytes, path: self.path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets;

    const ONE: &str = "11111111111111111111111111111111";
    const TWO: &str = "22222222222222222222222222222222";

    /// Hides the keys of a mapping whose rows have these keys, and returns the file of each row, and the notes.
    fn hidden(files: &mut KeyFiles, mapping: &str, keys: &[&str]) -> (Vec<String>, Vec<String>) {
        let row = |key: &&str| targets::parse("crypt", &format!("aes-cbc-plain {key} 0 8:0 0")).unwrap();
        let mut rows: Vec<_> = keys.iter().map(row).collect();
        let notes = files.hide(&Key::new(mapping).unwrap(), rows.iter_mut().map(AsMut::as_mut));
        let file = |target: &dyn Target| {
            let file = target.fields()["key"]["file"].as_str().unwrap().to_string();
            file.strip_prefix("/etc/dmctl/keys/").unwrap().to_string()
        };
        (rows.iter().map(AsRef::as_ref).map(file).collect(), notes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_key_has_a_file_and_equal_keys_have_one() {
        let mut files = KeyFiles::default();
        let (names, notes) = hidden(&mut files, "c", &[ONE, TWO, ONE, TWO]);
        assert_eq!(names, ["c", "c-2", "c", "c-2"]);
        assert_eq!(notes.len(), 2, "{notes:?}");
        let (names, notes) = hidden(&mut files, "d", &[ONE, ONE, ONE, ONE]);
        assert_eq!((names, notes.len()), (vec!["d".to_string(); 4], 1));
    }

    #[test]
    fn a_key_that_is_withheld_shares_no_file() {
        let secret = crate::secret::REDACTED;
        let (names, notes) = hidden(&mut KeyFiles::default(), "c", &[secret, secret, ONE]);
        assert_eq!((names, notes.len()), (vec!["c".into(), "c-2".into(), "c-3".into()], 3));
    }

    #[test]
    fn no_two_mappings_share_a_file() {
        let keys = ["c-2", "c", "c-key"].map(|key| Key::new(key).unwrap());
        let mut files = KeyFiles::of(&keys);
        assert_eq!(hidden(&mut files, "c", &[ONE, TWO]).0, ["c", "c-3"]);
        assert_eq!(hidden(&mut files, "c-2", &[ONE, TWO]).0, ["c-2", "c-2-2"]);
    }

    #[test]
    fn two_fields_with_one_key_share_a_file() {
        let row = format!("8:1 0 32 J 2 internal_hash:hmac(sha256):{ONE} journal_mac:hmac(sha256):{ONE}");
        let mut target = targets::parse("integrity", &row).unwrap();
        let notes = KeyFiles::default().hide(&Key::new("tags").unwrap(), [target.as_mut()]);
        let [note] = notes.as_slice() else { panic!("{notes:?}") };
        let text = note.to_string();
        assert!(text.contains("internal_hash.key and journal_mac.key of this device (16 bytes)"), "{text}");
        assert!(text.contains("/etc/dmctl/keys/tags-internal_hash-key"), "{text}");
    }
}
