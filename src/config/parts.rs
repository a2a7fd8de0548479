//! Takes a map apart: the text before its mappings, and each mapping by itself.
//!
//! The tree that the parser makes of a text takes many times the memory of the map that comes of it. Where every
//! mapping has headers of its own, `[mappings.KEY]` and those below it, the text of each is a document as well, and
//! the tree of only one has to be there at a time.
//!
//! Text of several lines, or an array, may hold a line that looks like a header. The part before it does not
//! have an end then and is not TOML, so a reader that can parse all parts can be sure that they are parts.

use std::collections::HashSet;

/// The parts of a text.
pub(super) struct Parts<'i> {
    /// The text before the first mapping.
    pub head: &'i str,
    /// The key of each mapping, and all of its text.
    pub mappings: Vec<(&'i str, &'i str)>,
}

impl<'i> Parts<'i> {
    /// Takes a text apart; returns `None` when its headers don't allow that.
    pub(crate) fn of(text: &'i str) -> Option<Self> {
        let lines = text.match_indices("\n[").map(|(at, _)| at + 1);
        let headers = text.starts_with('[').then_some(0).into_iter().chain(lines);
        let mut mappings: Vec<(&str, usize)> = Vec::new();
        for at in headers {
            match (key(&text[at..]), mappings.last()) {
                (Some(key), Some((last, _))) if key == *last => {}
                (Some(key), _) => mappings.push((key, at)),
                (None, None) => {}
                (None, Some(_)) => return None,
            }
        }
        let head = &text[..mappings.first()?.1];
        let mut keys = HashSet::with_capacity(mappings.len());
        if !mappings.iter().all(|(key, _)| keys.insert(*key)) {
            return None;
        }
        let ends = mappings.iter().skip(1).map(|(_, at)| *at).chain([text.len()]);
        let part = |((key, start), end): (&(&'i str, usize), usize)| (*key, &text[*start..end]);
        Some(Self { head, mappings: mappings.iter().zip(ends).map(part).collect() })
    }
}

/// Returns the key of the mapping in the header at the start of `text`.
fn key(text: &str) -> Option<&str> {
    let path = text.strip_prefix('[')?;
    let path = path.strip_prefix('[').unwrap_or(path).strip_prefix("mappings.")?;
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let (key, rest) = path.split_at(path.find(|c| !is_bare(c))?);
    (!key.is_empty() && rest.starts_with([']', '.'])).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<Vec<(&str, &str)>> {
        Parts::of(text).map(|parts| [("", parts.head)].into_iter().chain(parts.mappings).collect())
    }

    #[test]
    fn a_mapping_has_all_its_headers() {
        assert_eq!(
            parts("format = 1\n[policy]\n[mappings.a]\n[[mappings.a.targets]]\nx = 1\n[mappings.b-2]")
                .unwrap(),
            [
                ("", "format = 1\n[policy]\n"),
                ("a", "[mappings.a]\n[[mappings.a.targets]]\nx = 1\n"),
                ("b-2", "[mappings.b-2]")
            ]
        );
        assert_eq!(parts("[mappings.a]\n").unwrap(), [("", ""), ("a", "[mappings.a]\n")]);
    }

    #[test]
    fn what_is_not_in_parts_is_left_whole() {
        for text in [
            "format = 1\nmappings.a.x = 1\n",
            "[mappings]\na.x = 1\n",
            "[mappings.\"a\"]\n",
            "[mappings.a]\n[policy]\n",
            "[mappings.a]\n[mappings.b]\n[mappings.a.x]\n",
            "[mappings.a]\n[mappings]\n",
            "[mappings.a",
            "",
        ] {
            assert!(parts(text).is_none(), "{text}");
        }
    }
}
