//! Says what serde found wrong in the words of a map.
//!
//! serde speaks of structs, variants and sequences. Its messages have a fixed form, so what they say can
//! be taken apart and said again: what the field must be, what stands there instead, and which key or
//! value is closest to what was written. A value is never repeated: the line is shown anyway, and a key
//! must not be.

use super::nearest::nearest;

/// A message in parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wording {
    /// What is wrong.
    pub message: String,
    /// What stands at the mark.
    pub label: Option<String>,
    /// What would be right.
    pub help: Vec<String>,
}

/// Where a message comes from.
pub(super) struct Context<'a> {
    /// What the table is: "a mapping", "a `linear` target".
    pub table: &'a str,
    /// The field, as a path below that table; empty for the table itself.
    pub field: &'a str,
    /// Keys that are legal in that table besides those serde knows.
    pub more: &'a [&'a str],
}

/// Says `message` again.
pub(super) fn reword(message: &str, context: &Context<'_>) -> Wording {
    if let Some(rest) = message.strip_prefix("unknown field ") {
        unknown_field(rest, context)
    } else if let Some(rest) = message.strip_prefix("unknown variant ") {
        unknown_variant(rest, context)
    } else if let Some(rest) = message.strip_prefix("missing field ") {
        missing_field(rest, context)
    } else if let Some((found, expected)) = mismatch(message) {
        let subject = if context.field.is_empty() { context.table } else { &quoted(context.field) };
        Wording {
            message: format!("{subject} must be {}", expectation(expected)),
            label: Some(format!("this is {}", finding(found))),
            help: Vec::new(),
        }
    } else if message.starts_with("data did not match any variant") {
        Wording {
            message: format!("`{}` has none of the forms it can have", context.field),
            label: None,
            help: Vec::new(),
        }
    } else {
        split_advice(message)
    }
}

fn unknown_field(rest: &str, context: &Context<'_>) -> Wording {
    let mut words = backticked(rest);
    let wrong = if words.is_empty() { "" } else { words.remove(0) };
    // The keys of the table around it stand beside its own, unless the wrong key stands deeper.
    let nested = context.field.contains(['.', '[']);
    words.extend(context.more.iter().filter(|_| !nested));
    let known = if words.is_empty() { "no keys".to_string() } else { words.join(", ") };
    let place = context.field.rsplit_once('.').map_or("", |(parent, _)| parent);
    let owner = if place.is_empty() { context.table.to_string() } else { quoted(place) };
    Wording {
        message: format!("unknown key `{wrong}`"),
        label: Some(format!("{owner} has no such key")),
        help: vec![match nearest(wrong, words.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("{owner} takes {known}"),
        }],
    }
}

fn unknown_variant(rest: &str, context: &Context<'_>) -> Wording {
    let words = backticked(rest);
    let (wrong, known) = words.split_first().map_or(("", &words[..]), |(wrong, known)| (*wrong, known));
    let meant = nearest(wrong, known.iter().copied()).map(|meant| format!("did you mean `{meant}`?"));
    Wording {
        message: format!("`{}` can't be `{wrong}`", context.field),
        label: Some("not one of its values".to_string()),
        help: meant.into_iter().chain([format!("it is one of {}", known.join(", "))]).collect(),
    }
}

fn missing_field(rest: &str, context: &Context<'_>) -> Wording {
    let name = backticked(rest).first().copied().unwrap_or_default().to_string();
    let owner = if context.field.is_empty() { context.table.to_string() } else { quoted(context.field) };
    Wording {
        message: format!("`{name}` is missing"),
        label: Some(format!("{owner} needs `{name}`")),
        help: Vec::new(),
    }
}

/// The two halves of `invalid type: FOUND, expected WANTED`, and of the same about a value or a length.
fn mismatch(message: &str) -> Option<(&str, &str)> {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    // What was found may itself be text with this word in it; what is expected is not.
    rest.rsplit_once(", expected ").or(Some((rest, "something else")))
}

/// What stands there, without the value where it is text.
fn finding(found: &str) -> String {
    let (kind, value) = found.split_once(' ').unwrap_or((found, ""));
    match kind {
        "integer" => format!("the integer {}", backticked(value).first().unwrap_or(&"")),
        "string" | "character" => "text".to_string(),
        "boolean" => format!("the boolean {}", backticked(value).first().unwrap_or(&"")),
        "floating" => "a fraction".to_string(),
        "sequence" => "an array".to_string(),
        "map" | "struct" => "a table, or a date".to_string(),
        _ => "something else".to_string(),
    }
}

/// What should stand there.
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

/// A message that is said already. Where it goes on with advice, that is the help.
pub(super) fn split_advice(message: &str) -> Wording {
    const ADVICE: [(&str, &str); 3] =
        [("; did you mean ", "did you mean "), (": write ", "write "), (": use ", "use ")];
    let mut parts = Wording { message: message.to_string(), label: None, help: Vec::new() };
    for (border, begins) in ADVICE {
        if let Some((message, advice)) = parts.message.split_once(border) {
            parts.help.push(format!("{begins}{advice}"));
            parts.message = message.to_string();
        }
    }
    parts
}

fn quoted(field: &str) -> String {
    format!("`{field}`")
}

/// The words between backticks.
fn backticked(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> Wording {
        reword(message, &Context { table: "a `linear` target", field: "device", more: &["length"] })
    }

    #[test]
    fn an_unknown_key_names_the_nearest_one() {
        let wording = said("unknown field `lenght`, expected `device` or `offset`");
        assert_eq!(wording.message, "unknown key `lenght`");
        assert_eq!(wording.help, ["did you mean `length`?"]);
        let wording = said("unknown field `colour`, expected `device` or `offset`");
        assert_eq!(wording.help, ["a `linear` target takes device, offset, length"]);
        let nested = Context { table: "a `x` target", field: "stripes[1].colour", more: &["length"] };
        let wording = reword("unknown field `colour`, expected `device` or `offset`", &nested);
        assert_eq!(wording.help, ["`stripes[1]` takes device, offset"]);
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
        let wording = said("`x` is no key: write another; did you mean `y`?");
        assert_eq!(wording.message, "`x` is no key");
        assert_eq!(wording.help, ["did you mean `y`?", "write another"]);
        let wording = said("unknown variant `wirteback`, expected one of `writeback`, `passthrough`");
        assert_eq!(wording.help, ["did you mean `writeback`?", "it is one of writeback, passthrough"]);
    }
}
