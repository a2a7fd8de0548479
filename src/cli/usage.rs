//! Tells of words that are not an order. Their text is clap's, which quotes a word as it is: a line end or a hidden character
//! in it is escaped before that.

use clap::error::{ContextKind, ContextValue};

use super::exit::Exit;
use crate::identity::{hides, printable};

/// Prints help and version as data, and anything else that is not an order as wrong usage.
pub(super) fn unparsed(error: clap::Error) -> Exit {
    let error = escaped(error);
    // A reader that has gone away has read enough.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}

/// Escapes the words that an error quotes.
fn escaped(mut error: clap::Error) -> clap::Error {
    let quoted: Vec<_> = error.context().filter_map(|(kind, value)| Some((kind, plain(value)?))).collect();
    if !quoted.is_empty() {
        // What is suggested quotes the word once more.
        error.remove(ContextKind::Suggested);
    }
    for (kind, value) in quoted {
        error.insert(kind, value);
    }
    error
}

/// Returns the escaped form of a value that has to be.
fn plain(value: &ContextValue) -> Option<ContextValue> {
    let plain = |text: &String| printable(text).into_owned();
    match value {
        ContextValue::String(text) if text.contains(hides) => Some(ContextValue::String(plain(text))),
        ContextValue::Strings(all) if all.iter().any(|text| text.contains(hides)) => {
            Some(ContextValue::Strings(all.iter().map(plain).collect()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::Args;
    use super::*;

    const HOSTILE: &str = "a\nerror: z\u{1b}[2J\u{9b}2J\u{202e}";

    /// Counts the errors of a command line, none of which may act.
    fn refused(words: &[&str]) -> usize {
        let Err(error) = Args::of(&words.iter().map(Into::into).collect::<Vec<_>>()) else { return 0 };
        let error = escaped(error);
        for text in [error.to_string(), error.render().to_string()] {
            let acts = |c: char| c != '\n' && hides(c);
            assert!(!text.contains(acts) && !text.contains("\nerror: z"), "{words:?}: {text:?}");
        }
        let text = error.to_string();
        assert!(!text.contains("error: z") || text.contains(r"error: z\u{1b}[2J"), "{words:?}: {text}");
        1
    }

    #[test]
    fn no_word_of_a_command_line_adds_a_line_or_acts() {
        let command = Args::whole();
        let mut count = 0;
        for verb in command.get_subcommands() {
            let name = verb.get_name();
            for option in verb.get_arguments().filter_map(clap::Arg::get_long) {
                count += refused(&["dmctl", name, &format!("--{option}={HOSTILE}")]);
                count += refused(&["dmctl", name, &format!("--{option}"), &format!("x,{HOSTILE}"), "a"]);
                count += refused(&["dmctl", name, &format!("--{option}"), "\n", "\n"]);
            }
            for short in verb.get_arguments().filter_map(clap::Arg::get_short) {
                count += refused(&["dmctl", name, &format!("-{short}{HOSTILE}")]);
            }
            count += refused(&["dmctl", name, &format!("--{HOSTILE}")]);
            count += refused(&["dmctl", name, &format!("-{HOSTILE}")]);
            count += refused(&["dmctl", name, HOSTILE, HOSTILE, HOSTILE, HOSTILE]);
        }
        count += refused(&["dmctl", HOSTILE]);
        assert!(count > 300, "{count}");
    }
}
