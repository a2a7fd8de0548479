//! Escapes text from outside for a page.

use std::fmt;

use crate::identity::printable;

/// Prints a text that stays text anywhere on a page: it can't be markup, end an attribute, or hide or reverse its
/// neighbours.
pub(crate) struct Text<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in printable(self.0).chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => write!(f, "{character}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_a_text() {
        let hostile = "<script>\"'&\u{202e}\u{1b}[0m\u{0}";
        assert_eq!(Text(hostile).to_string(), "&lt;script&gt;&quot;&#39;&amp;\\u{202e}\\u{1b}[0m\\u{0}");
    }
}
