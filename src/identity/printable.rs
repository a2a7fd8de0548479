//! Text from outside dmctl, made safe to show.

use std::borrow::Cow;

/// Escapes in a text from outside every character that could move a cursor, turn the writing direction or stay
/// invisible.
pub fn printable(text: &str) -> Cow<'_, str> {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
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

#[cfg(test)]
mod tests {
    use super::super::Name;
    use super::*;

    #[test]
    fn text_from_outside_cannot_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(Name::from_kernel(b"a\xffb").kernel(), "a\\xffb");
    }
}
