//! Text from outside dmctl, made safe to show.

use std::borrow::Cow;
use std::path::Path;

use zeroize::Zeroizing;

use crate::text::push;

/// Whether a character could move a cursor, turn the writing direction or stay invisible.
pub(crate) fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Escapes in a text from outside every character that could move a cursor, turn the writing direction or stay
/// invisible.
pub fn printable(text: &str) -> Cow<'_, str> {
    // Every text that is shown passes here, and most are plain.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    if text.contains(hides) {
        let mut escaped = String::with_capacity(text.len() + 8);
        for c in text.chars() {
            if hides(c) { escaped.extend(c.escape_unicode()) } else { escaped.push(c) }
        }
        Cow::Owned(escaped)
    } else {
        Cow::Borrowed(text)
    }
}

/// Writes a path for a sentence: a line end in it would begin a line of its own. Every path that is shown passes here.
pub(crate) fn printable_path(path: &Path) -> Cow<'_, str> {
    match path.to_string_lossy() {
        Cow::Borrowed(text) => printable(text),
        Cow::Owned(text) => Cow::Owned(printable(&text).into_owned()),
    }
}

/// Escapes the same characters in a JSON document, whose data stays the same: JSON has them in strings alone, and
/// writes any character of a string as `\uNNNN`, or as two of these beyond the first plane.
pub(crate) fn printable_json(document: String) -> String {
    let hides = |c: char| c != '\n' && hides(c);
    if !document.contains(hides) {
        return document;
    }
    // It may hold a key: a copy is wiped, and one that grows would leave others. An escape has six bytes.
    let document = Zeroizing::new(document);
    let mut escaped = String::with_capacity(document.len() * 6);
    for c in document.chars() {
        if hides(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                push!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::super::Name;
    use super::*;

    #[test]
    fn a_json_document_keeps_its_data() {
        for text in ["a\u{9b}2J\u{202e}b\n\u{7f}", "ü\u{e0041}\"", "plain"] {
            let document = format!("{{\n  \"name\": {}\n}}", serde_json::to_string(text).unwrap());
            let escaped = printable_json(document);
            assert!(!escaped.chars().any(|c| c != '\n' && hides(c)), "{escaped:?}");
            let read: serde_json::Value = serde_json::from_str(&escaped).unwrap();
            assert_eq!(read["name"], text);
        }
    }

    #[test]
    fn a_path_stays_on_its_line() {
        let shown = |path: &[u8]| printable_path(Path::new(OsStr::from_bytes(path))).into_owned();
        assert_eq!(shown(b"/a\nerror: b"), r"/a\u{a}error: b");
        assert_eq!(shown("/\u{9b}2J\u{202e}/ü".as_bytes()), r"/\u{9b}2J\u{202e}/ü");
        assert_eq!(shown(b"/\xff\x1b"), "/\u{fffd}\\u{1b}");
    }

    #[test]
    fn text_from_outside_cannot_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(Name::from_kernel(b"a\x1b\xff").to_string(), "a\\x1b\\xff");
        assert_eq!(Name::from_kernel(b"a\xffb").kernel(), "a\\xffb");
    }
}
