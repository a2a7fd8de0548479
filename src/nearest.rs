//! Finds the word that the writer of a wrong word most likely meant.

use strsim::damerau_levenshtein;

/// Longer words, in bytes, are not typing mistakes; comparing them would only take time.
const MAX_LENGTH: usize = 64;

/// Returns the candidate closest to `word`, if one is close enough: about a third of it may differ.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_LENGTH {
        return None;
    }
    let allowed = word.chars().count().max(3) / 3;
    candidates
        .into_iter()
        .filter_map(|candidate| distance(word, candidate, allowed).map(|distance| (distance, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Counts the edits between two words, if there are at most `allowed`; `-` for `_` and a capital for a small
/// letter do not count.
fn distance(word: &str, candidate: &str, allowed: usize) -> Option<usize> {
    // A word cut short or drawn out (`dev`, `devices`) is meant more often than the number of its edits suggests.
    let stem = |long: &str, short: &str| short.len() >= 3 && long.starts_with(short);
    if stem(word, candidate) || stem(candidate, word) {
        return Some(usize::from(word != candidate));
    }
    if word.len().abs_diff(candidate.len()) > allowed {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    Some(damerau_levenshtein(&plain(word), &plain(candidate))).filter(|distance| *distance <= allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_mistakes_are_understood() {
        let fields = ["device", "offset", "length", "start"];
        assert_eq!(nearest("ofset", fields), Some("offset"));
        assert_eq!(nearest("offfset", fields), Some("offset"));
        assert_eq!(nearest("Device", fields), Some("device"));
        assert_eq!(nearest("dev", fields), Some("device"));
        assert_eq!(nearest("lenght", fields), Some("length"));
        assert_eq!(nearest("colour", fields), None);
        assert_eq!(nearest(&"x".repeat(1000), fields), None);
        assert_eq!(nearest("snapshot-orign", ["snapshot_origin"]), Some("snapshot_origin"));
    }
}
