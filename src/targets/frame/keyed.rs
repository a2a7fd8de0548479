//! What targets with keys have in common: how a key is printed, compared and hidden.
//!
//! A row that holds a key may hold it in the wrong place. So no message about such a row repeats a word of
//! it, and a key is hidden by its form, not by its place in the row.

use super::incomparable::{Incomparable, UnknownKey};
use super::{Change, Differences, Effect, ParamsError, Printer, Problems, Words};
use crate::device::Device;
use crate::keys::{Key, KeySizes, KeySource};
use crate::secret::REDACTED;

/// The hex digits of the shortest key in use.
const KEY_DIGITS: usize = 16;

/// Adds the key as a word of its own.
pub(crate) fn print(out: &mut Printer, key: &Key) {
    match (&key.source, key.material()) {
        (KeySource::None, _) => out.word("-"),
        (KeySource::Keyring(keyring), _) => out.word(keyring),
        (_, Some(secret)) => out.secret(secret),
        (_, None) => out.word(REDACTED),
    };
}

/// Adds the hex digits of the key, as a word or a part of one.
pub(crate) fn print_hex<'p>(out: &'p mut Printer, key: &Key) -> &'p mut Printer {
    match key.material() {
        Some(secret) => out.secret(secret),
        None => out.word(REDACTED),
    }
}

/// Takes the next word as a key.
pub(crate) fn parse(words: &mut Words<'_>) -> Result<Key, ParamsError> {
    let word = words.next("the key")?;
    Key::parse(word).map_err(|error| words.wrong(error.to_string()))
}

/// Takes the next word as a device. Unlike [`Words::device`], the error doesn't show the word.
pub(crate) fn device(words: &mut Words<'_>) -> Result<Device, ParamsError> {
    let word = words.next("the device")?;
    to_device(words, word)
}

/// Reads `word`, the one taken last or a part of it, as a device. The error does not show it.
pub(crate) fn to_device(words: &Words<'_>, word: &str) -> Result<Device, ParamsError> {
    Device::parse(word).map_err(|_| {
        words.wrong(
            "no device stands where one should (a path, `major:minor`, `UUID=...`, `@key`); the word isn't shown, \
             it may be a key",
        )
    })
}

/// Wants the key to have a length that its cipher takes, where both are known. `what` takes the key.
pub(crate) fn check(key: &Key, sizes: &KeySizes, field: &str, what: &str, problems: &mut Problems) {
    let Some(bytes) = key.bytes().filter(|bytes| !sizes.accepts(*bytes)) else { return };
    if bytes == 0 {
        problems.at(field, format!("{what} needs a key: it takes {sizes}"));
    } else {
        problems.at(field, format!("the key has {bytes} bytes, {what} takes {sizes}"));
    }
}

/// Refuses a random key where the target reads with it what it wrote before the device was made.
pub(crate) fn refuse_random(key: &Key, field: &str, problems: &mut Problems) {
    if key.is_random() {
        problems.at(field, "a key that is drawn at random is for `crypt` alone");
    }
}

/// Compares two keys, and shows neither. A key that was left out of the file of a simulated kernel passes for
/// the one that is wanted: the file holds only that a key is there.
pub(crate) fn compare(differences: &mut Differences, field: &str, wanted: &Key, live: &Key) {
    // Drawn when the device was made, and unknown since.
    if wanted.is_random() {
        return;
    }
    let unread = |key: &Key| {
        !matches!(key.source, KeySource::None | KeySource::Keyring(_)) && key.material().is_none()
    };
    if unread(wanted) || (unread(live) && live.source != KeySource::Withheld) {
        let key = match wanted.source {
            KeySource::Withheld => UnknownKey::Placeholder,
            _ => UnknownKey::NotRead,
        };
        return differences.unknown(Incomparable::Key { field: field.to_string(), key });
    }
    let same = match (wanted.material(), live.material()) {
        (Some(_), None) if live.source == KeySource::Withheld => true,
        (Some(wanted), Some(live)) => wanted.same_hex(live),
        _ => wanted.source == live.source,
    };
    if !same {
        differences.push(field, Effect::Remap, Change::Key);
    }
}

/// Replaces every key in the parameters, for targets that have the key in their second word.
pub(crate) fn redact_second(params: &str) -> String {
    redact_words(params, |index, word| {
        if index == 1
            && !matches!(Key::parse(word), Ok(Key { source: KeySource::None | KeySource::Keyring(_), .. }))
        {
            return REDACTED.to_string();
        }
        redact_digits(word)
    })
}

/// Replaces words one by one.
pub(crate) fn redact_words(params: &str, replace: impl Fn(usize, &str) -> String) -> String {
    let words: Vec<String> =
        params.split_whitespace().enumerate().map(|(index, word)| replace(index, word)).collect();
    words.join(" ")
}

/// Replaces what looks like a key in a word, between its colons.
pub(crate) fn redact_digits(word: &str) -> String {
    let parts: Vec<&str> =
        word.split(':').map(|part| if looks_like_key(part) { REDACTED } else { part }).collect();
    parts.join(":")
}

/// Returns whether this is a long run of hex digits and not a number of sectors.
fn looks_like_key(text: &str) -> bool {
    text.len() >= KEY_DIGITS
        && text.bytes().all(|b| b.is_ascii_hexdigit())
        && (text.len() > 20 || text.bytes().any(|b| b.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn differences(wanted: &Key, live: &Key) -> Differences {
        let mut differences = Differences::default();
        compare(&mut differences, "key", wanted, live);
        differences
    }

    #[test]
    fn keys_are_equal_whatever_the_case_of_their_digits() {
        let key = |word: &str| Key::parse(word).unwrap();
        assert!(differences(&key("00ffAB"), &key("00FFab")).is_equal());
        assert!(differences(&key(":32:user:a"), &key(":32:user:a")).is_equal());
        assert!(differences(&key("-"), &key("-")).is_equal());
        for (wanted, live) in
            [("00ff", "00fe"), ("00ff", "-"), (":32:user:a", ":32:user:b"), ("00ff", ":2:user:a")]
        {
            let differences = differences(&key(wanted), &key(live));
            assert_eq!(differences.effect(), Some(Effect::Remap), "{wanted} {live}");
            assert!(!format!("{differences:?}").contains("00ff"));
        }
    }

    #[test]
    fn a_key_that_is_not_known_is_never_judged() {
        let hex = Key::from(KeySource::Hex(Secret::new("00ff".to_string())));
        let withheld = Key::parse(REDACTED).unwrap();
        let credential = Key::from(KeySource::Credential { name: "c".to_string() });
        for (wanted, live) in [(&withheld, &hex), (&credential, &hex), (&withheld, &withheld)] {
            let differences = differences(wanted, live);
            assert!(differences.unknown.is_some() && differences.fields.is_empty());
        }
        // What a file leaves out is the hex of some key, so neither none nor one of a keyring.
        assert!(differences(&hex, &withheld).is_equal());
        for other in ["-", ":2:user:a"] {
            assert!(!differences(&Key::parse(other).unwrap(), &withheld).is_equal());
        }
    }

    #[test]
    fn keys_are_hidden_wherever_they_stand() {
        let key = "00112233445566778899aabbccddeeff";
        for params in [
            format!("aes {key} 0 1:0 0"),
            format!("{key} aes 0 1:0 0"),
            format!("aes 0 {key} 1:0 0"),
            format!("aes :{key} 0 1:0 0"),
            format!("aes :32:logon:{key} 0 1:0 0 1 {key}"),
            format!("aes {key}"),
            format!("aes {}0 x", key.to_uppercase()),
        ] {
            let shown = redact_second(&params);
            assert!(!shown.to_lowercase().contains("aabbcc"), "{shown}");
        }
        assert_eq!(redact_second("aes :32:logon:disk:1 0 1:0 8"), "aes :32:logon:disk:1 0 1:0 8");
        assert_eq!(
            redact_second("cipher_null-ecb - 0 1:0 18014398509481983"),
            "cipher_null-ecb - 0 1:0 18014398509481983"
        );
        assert_eq!(redact_second("aes short 0"), "aes <secret> 0");
        assert_eq!(redact_second(""), "");
    }
}
