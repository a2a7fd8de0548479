//! Finds the value of `dm-mod.create=` in a text: in the parameter as `export --format dm-init` writes it, and in a whole
//! command line.

use std::ops::Range;

use super::concise::SyntaxError;

/// The parameter. The kernel takes `_` for `-` in it (`dash2underscore` in `kernel/params.c`).
const PARAMETERS: [&str; 2] = ["dm-mod.create=", "dm_mod.create="];

/// The devices in a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// Their place in the text, in bytes.
    pub at: Range<usize>,
    /// Whether they stand in a command line, where a backslash is a character like any other.
    pub in_command_line: bool,
}

/// Finds the devices: the value of the parameter, without its quotes, or the whole text.
pub(super) fn find(text: &str) -> Result<Value, SyntaxError> {
    let before = |at: usize| text[..at].chars().next_back();
    let mut places = PARAMETERS
        .iter()
        .flat_map(|name| text.match_indices(name))
        .filter(|(at, _)| before(*at).is_none_or(|c| c.is_whitespace() || is_quote(c)));
    let Some((at, name)) = places.next() else {
        let from = text.len() - text.trim_start().len();
        return Ok(Value {
            at: unquoted(text, from..text.trim_end().len().max(from))?,
            in_command_line: false,
        });
    };
    if let Some((second, name)) = places.next() {
        return Err(SyntaxError {
            at: second..second + name.len(),
            message: "the parameter is there twice".to_string(),
            help: "the kernel takes one of them: leave the other out".to_string(),
        });
    }
    let from = at + name.len();
    let around = before(at).filter(|c| is_quote(*c)).map(|quote| (at - 1, from, quote));
    let inside = text[from..].chars().next().filter(|c| is_quote(*c)).map(|quote| (from, from + 1, quote));
    let at = match around.or(inside) {
        Some((opening, begin, quote)) => {
            let length = text[begin..].find(quote).ok_or_else(|| alone(opening))?;
            begin..begin + length
        }
        // A shell took the quotes off.
        None => unquoted(text, from..text.trim_end().len())?,
    };
    Ok(Value { at, in_command_line: true })
}

/// Takes quotes off a part of the text that has one at either end.
fn unquoted(text: &str, at: Range<usize>) -> Result<Range<usize>, SyntaxError> {
    let part = &text[at.clone()];
    let first = part.chars().next().filter(|c| is_quote(*c));
    let last = part.chars().next_back().filter(|c| is_quote(*c));
    match (first, last) {
        (Some(first), Some(last)) if first == last && part.len() > 1 => Ok(at.start + 1..at.end - 1),
        (Some(_), _) => Err(alone(at.start)),
        (None, Some(_)) => Err(alone(at.end - 1)),
        (None, None) => Ok(at),
    }
}

fn alone(at: usize) -> SyntaxError {
    SyntaxError {
        at: at..at + 1,
        message: "this quote has no other".to_string(),
        help: "write the text between two quotes, or without any".to_string(),
    }
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: &str = "a,,0,rw,0 8 zero";

    #[test]
    fn the_value_is_found_wherever_it_stands() {
        for text in [
            format!("dm-mod.create=\"{DEVICE}\"\n"),
            format!("dm-mod.create='{DEVICE}'"),
            format!("dm_mod.create={DEVICE}"),
            format!("root=/dev/dm-0 dm-mod.create=\"{DEVICE}\" quiet \"x=a b\""),
            format!("quiet \"dm-mod.create={DEVICE}\" root=/dev/dm-0"),
            format!("\"{DEVICE}\""),
            format!(" {DEVICE}\n"),
        ] {
            assert_eq!(&text[find(&text).unwrap().at], DEVICE, "{text}");
        }
    }

    #[test]
    fn a_quote_alone_is_marked() {
        for (text, at) in [
            ("dm-mod.create=\"a,,,,0 8 zero", 14..15),
            ("\"dm-mod.create=a,,,,0 8 zero", 0..1),
            ("dm-mod.create=a,,,,0 8 zero\"", 27..28),
            ("a,,,,0 8 zero'", 13..14),
            ("\"a,,,,0 8 zero'", 0..1),
        ] {
            assert_eq!(find(text).unwrap_err().at, at, "{text}");
        }
        assert!(find("dm-mod.create=a dm-mod.create=b").unwrap_err().message.contains("twice"));
        assert!(find("\"").is_err() && find("").is_ok() && find(" \n").is_ok());
    }
}
