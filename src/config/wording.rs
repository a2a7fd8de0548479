//! Turns what serde found wrong into the words of a map.
//!
//! serde names structs, variants and sequences, and hands on nothing but text. Its messages have a fixed form, so they
//! can be taken apart and worded again: what the field must be, what is there instead, and which key or value is
//! closest to what was written. A value is never repeated: the line is shown anyway, and a key must not be.
//!
//! This file, and beside it [`explain`](super::explain) for a missing field and [`syntax`](super::syntax) for the
//! parser's errors, are the only places that take English apart, and it is serde's and the parser's. What dmctl itself
//! finds wrong passes through serde as a [`Mistake`], in parts.

use std::borrow::Cow;

use crate::mistake::Mistake;
use crate::nearest::nearest;
use crate::redact::{is_entry, is_name_of_key};

/// A message in parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wording {
    pub message: String,
    /// The words at the mark.
    pub label: Option<String>,
    /// The key or value that was probably meant.
    pub nearest: Option<String>,
    /// The advice: what would be right.
    pub help: Option<String>,
}

/// The source of a message.
pub(super) struct Context<'a> {
    /// The kind of table: "a mapping", "a `linear` target".
    pub table: &'a str,
    /// The field, as a path below that table; empty for the table itself.
    pub field: &'a str,
    /// Keys that are legal in that table besides those serde knows.
    pub more: &'a [&'a str],
}

impl Context<'_> {
    /// Tells whether a key may stand in the field: no text that is there is repeated.
    fn may_be_key(&self) -> bool {
        self.field.split(['.', '[']).any(is_name_of_key)
    }

    /// Returns the name of the field, or of the table itself. Below a key a name may be one.
    fn subject(&self) -> String {
        let parts = self.field.split('.');
        if self.field.is_empty() {
            self.table.to_string()
        } else if self.may_be_key() {
            quoted(&parts.take_while(|part| is_entry(part)).collect::<Vec<_>>().join("."))
        } else {
            quoted(self.field)
        }
    }

    /// Returns the length of the longest integer that is repeated, in characters: a longer one may be a key whose quotes
    /// were forgotten.
    fn max_shown(&self) -> usize {
        match self.field.split(['.', '[']).next() {
            _ if self.may_be_key() => 0,
            Some("params" | "messages") => 4,
            _ => 20,
        }
    }
}

/// Words a message that came through serde.
pub(super) fn reword(message: &str, context: &Context<'_>) -> Wording {
    if let Some(mistake) = Mistake::from_serde(message) {
        mistake.into()
    } else if let Some(rest) = message.strip_prefix("unknown field ") {
        unknown_field(rest, context)
    } else if let Some(rest) = message.strip_prefix("unknown variant ") {
        unknown_variant(rest, context)
    } else if let Some(rest) = message.strip_prefix("missing field ") {
        missing_field(rest, context)
    } else if let Some((found, expected)) = mismatch(message) {
        let subject = context.subject();
        let label = format!("this is {}", finding(found, context));
        Wording::new(format!("{subject} must be {}", expectation(expected))).label(label)
    } else if message.starts_with("data did not match any variant") {
        Wording::new(format!("`{}` has none of the forms it can have", context.field))
    } else {
        Wording::new(message.to_string())
    }
}

impl Wording {
    fn new(message: String) -> Self {
        Self { message, label: None, nearest: None, help: None }
    }

    fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }
}

impl From<Mistake> for Wording {
    fn from(Mistake { message, advice, nearest }: Mistake) -> Self {
        Self { nearest, help: advice.map(Cow::into_owned), ..Self::new(message.into_owned()) }
    }
}

fn unknown_field(rest: &str, context: &Context<'_>) -> Wording {
    let mut words = backticked(rest);
    let wrong = if words.is_empty() { "" } else { words.remove(0) };
    // The keys of the surrounding table are suggested as well, unless the wrong key is deeper.
    let nested = context.field.contains(['.', '[']);
    words.extend(context.more.iter().filter(|_| !nested));
    let known = if words.is_empty() { "no keys".to_string() } else { words.join(", ") };
    let place = context.field.rsplit_once('.').map_or("", |(parent, _)| parent);
    let owner = if place.is_empty() { context.table.to_string() } else { quoted(place) };
    let nearest = nearest(wrong, words.iter().copied()).map(ToString::to_string);
    let help = nearest.is_none().then(|| format!("{owner} takes {known}"));
    let label = format!("{owner} has no such key");
    // What was written in the place of a name may be a key itself.
    let message = if context.may_be_key() && !is_entry(wrong) || wrong.bytes().all(is_digit_or_separator) {
        format!("{owner} has an unknown key")
    } else {
        format!("unknown key `{wrong}`")
    };
    Wording { nearest, help, ..Wording::new(message).label(label) }
}

fn unknown_variant(rest: &str, context: &Context<'_>) -> Wording {
    let words = backticked(rest);
    let (wrong, known) = words.split_first().map_or(("", &words[..]), |(wrong, known)| (*wrong, known));
    let nearest = nearest(wrong, known.iter().copied()).map(ToString::to_string);
    let help = Some(format!("it is one of {}", known.join(", ")));
    let wording = if context.may_be_key() && nearest.is_none() {
        Wording::new(format!("{} has a value that it can't have", context.subject()))
    } else {
        Wording::new(format!("`{}` can't be `{wrong}`", context.field))
    };
    Wording { nearest, help, ..wording.label("not one of its values") }
}

fn missing_field(rest: &str, context: &Context<'_>) -> Wording {
    let name = backticked(rest).first().copied().unwrap_or_default().to_string();
    let owner = if context.field.is_empty() { context.table.to_string() } else { quoted(context.field) };
    Wording::new(format!("`{name}` is missing")).label(format!("{owner} needs `{name}`"))
}

/// Splits `invalid type: FOUND, expected WANTED`, and the same about a value or a length, into its two
/// halves.
fn mismatch(message: &str) -> Option<(&str, &str)> {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    // The found value may itself be text with this word in it; the expected part is not.
    rest.rsplit_once(", expected ").or(Some((rest, "something else")))
}

/// Describes the found value, without the value itself where it is text, or a number that may be a key.
fn finding(found: &str, context: &Context<'_>) -> String {
    let (kind, value) = found.split_once(' ').unwrap_or((found, ""));
    match kind {
        "integer" => match backticked(value).first() {
            Some(number) if number.len() <= context.max_shown() => format!("the integer {number}"),
            _ => "an integer".to_string(),
        },
        "string" | "character" => "text".to_string(),
        "boolean" => format!("the boolean {}", backticked(value).first().unwrap_or(&"")),
        "floating" => "a fraction".to_string(),
        "sequence" => "an array".to_string(),
        "map" | "struct" => "a table, or a date".to_string(),
        _ => "something else".to_string(),
    }
}

/// Describes the expected value.
fn expectation(expected: &str) -> String {
    match expected {
        "a string" | "string" | "str" => "text in quotes".to_string(),
        "a boolean" | "bool" => "true or false".to_string(),
        "a sequence" => "an array".to_string(),
        "a map" | "map" => "a table".to_string(),
        "u8" => format!("an integer from 0 to {}", u8::MAX),
        "u16" => format!("an integer from 0 to {}", u16::MAX),
        "u32" => format!("an integer from 0 to {}", u32::MAX),
        "u64" | "usize" => "an integer from 0 on".to_string(),
        "i32" | "i64" => "an integer".to_string(),
        other if other.starts_with("struct ") => "a table".to_string(),
        other if other.starts_with("enum ") => "text in quotes".to_string(),
        other => other.to_string(),
    }
}

fn quoted(field: &str) -> String {
    format!("`{field}`")
}

fn is_digit_or_separator(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'+' | b'.')
}

/// Iterates over the words between backticks.
fn backticked(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mistake::to_serde;

    fn said(message: &str) -> Wording {
        reword(message, &Context { table: "a `linear` target", field: "device", more: &["length"] })
    }

    #[test]
    fn an_unknown_key_names_the_nearest_one() {
        let wording = said("unknown field `lenght`, expected `device` or `offset`");
        assert_eq!(wording.message, "unknown key `lenght`");
        assert_eq!((wording.nearest.as_deref(), wording.help), (Some("length"), None));
        let wording = said("unknown field `colour`, expected `device` or `offset`");
        assert_eq!(wording.help.unwrap(), "a `linear` target takes device, offset, length");
        let nested = Context { table: "a `x` target", field: "stripes[1].colour", more: &["length"] };
        let wording = reword("unknown field `colour`, expected `device` or `offset`", &nested);
        assert_eq!(wording.help.unwrap(), "`stripes[1]` takes device, offset");
    }

    #[test]
    fn a_wrong_type_says_what_is_expected_and_repeats_no_text() {
        let wording = said("invalid type: string \"0011, expected x\", expected a boolean");
        assert_eq!(wording.message, "`device` must be true or false");
        assert_eq!(wording.label.unwrap(), "this is text");
        assert_eq!(
            said("invalid value: integer `-1`, expected u32").label.unwrap(),
            "this is the integer -1"
        );
    }

    #[test]
    fn other_messages_are_kept() {
        let target = Context { table: "a `linear` target", field: "", more: &[] };
        assert_eq!(
            reword("missing field `device`", &target).label.unwrap(),
            "a `linear` target needs `device`"
        );
        let mistake = Mistake::new("`x` is not a key").advice("write another").nearest(Some("y"));
        let error: serde::de::value::Error = to_serde(mistake);
        let wording = said(&error.to_string());
        assert_eq!(wording.message, "`x` is not a key");
        assert_eq!((wording.nearest.as_deref(), wording.help.as_deref()), (Some("y"), Some("write another")));
        assert_eq!(said("this is format 2: write 1"), Wording::new("this is format 2: write 1".to_string()));
        let wording = said("unknown variant `wirteback`, expected one of `writeback`, `passthrough`");
        assert_eq!(wording.nearest.as_deref(), Some("writeback"));
        assert_eq!(wording.help.unwrap(), "it is one of writeback, passthrough");
    }
}
