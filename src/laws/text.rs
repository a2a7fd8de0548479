//! What no text that is shown may hold: characters that move a cursor or hide, and key words.

use std::fmt::Display;

use crate::identity::hides;

/// The shortest word that is looked for, in bytes: a shorter one is found in a number by chance.
const MIN_KEY: usize = 12;

/// The key words of an input: each is there once, so that a text with one of them shows a key.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<String>);

impl Keys {
    /// Keeps those of `words` that are long enough to be recognised, and are nowhere else in `input`.
    pub(super) fn of<'w>(words: impl IntoIterator<Item = &'w str>, input: &str) -> Self {
        let input = input.to_ascii_lowercase();
        let words = words.into_iter().map(str::to_ascii_lowercase);
        Self(
            words.filter(|word| word.len() >= MIN_KEY && input.matches(word.as_str()).count() == 1).collect(),
        )
    }

    /// The keys of both.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Checks a text that is shown: it holds none of the keys, and no character that moves a cursor or hides. `origin`
    /// names the text where it does.
    pub(super) fn check(&self, origin: &str, text: &str) {
        is_plain(origin, text);
        self.hidden(origin, text);
    }

    /// Returns what was read of a kernel, or checks the error.
    pub(super) fn read<T, E: Display>(&self, result: Result<T, E>) -> Option<T> {
        result.inspect_err(|error| self.check("an error of a kernel", &error.to_string())).ok()
    }

    /// Checks that a text that is not shown holds none of the keys.
    pub(super) fn hidden(&self, origin: &str, text: &str) {
        let text = text.to_ascii_lowercase();
        let shown = self.0.iter().find(|word| text.contains(word.as_str()));
        assert!(shown.is_none(), "{origin} shows the key {shown:?}: {text}");
    }
}

/// Checks that a text moves no cursor but by its line ends, and hides nothing.
pub(super) fn is_plain(origin: &str, text: &str) {
    let hidden = text.chars().find(|c| *c != '\n' && hides(*c));
    assert!(hidden.is_none(), "{origin} holds {hidden:?} as it is: {text:?}");
}

/// The words of a row that are keys, by the grammar of the kernel's own documents: the second word of a table of
/// dm-crypt (`admin-guide/device-mapper/dm-crypt.rst`), and what follows the second colon of a hash or a cipher of
/// dm-integrity (`dm-integrity.rst`). The name of a key in a keyring is not one.
pub(super) fn key_words<'p>(kind: &str, params: &'p str) -> Vec<&'p str> {
    let mut words = params.split_whitespace();
    match kind {
        "crypt" | "inlinecrypt" => words.nth(1).filter(|key| !key.starts_with(':')).into_iter().collect(),
        "integrity" => words.filter_map(keyed_algorithm).collect(),
        _ => Vec::new(),
    }
}

/// Returns the key of an algorithm, `internal_hash:hmac(sha256):KEY`.
fn keyed_algorithm(word: &str) -> Option<&str> {
    let (field, algorithm) = word.split_once(':')?;
    let keyed = matches!(field, "internal_hash" | "journal_crypt" | "journal_mac");
    algorithm.split_once(':').filter(|_| keyed).map(|(_, key)| key)
}
