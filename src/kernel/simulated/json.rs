//! Reads and prints the text of a state file. Errors show the form of a line and never a value in it.

use std::io::Write as _;
use std::mem;

use super::state::{FORMAT_VERSION, State};
use crate::excerpt::Excerpt;
use crate::files::WipedBuffer;
use crate::identity::{printable, printable_json};

impl State {
    /// Reads the text of a state file. `origin` names the file in errors. The state itself is checked when a
    /// [`Simulated`](super::Simulated) is made of it.
    pub fn parse(text: &str, origin: &str) -> Result<Self, String> {
        let state: Self = serde_json::from_str(text).map_err(|error| {
            let place = only_fields(&Excerpt::of_place(text, error.line(), error.column()));
            format!(
                "{origin}:{}:{}: {}{place}",
                error.line(),
                error.column(),
                printable(&without_values(&error))
            )
        })?;
        if state.format_version != FORMAT_VERSION {
            return Err(format!(
                "{origin}: format_version is {}, this dmctl knows {FORMAT_VERSION}",
                state.format_version
            ));
        }
        Ok(state)
    }

    /// Prints the text of a state file; the same state gives the same text.
    pub fn to_json(&self) -> String {
        let mut sorted = self.clone();
        sorted.block_devices.sort_by_key(|disk| disk.number);
        sorted.mappings.sort_by(|one, two| one.name.cmp(&two.name));
        sorted.pools.sort_by_key(|pool| (pool.metadata, pool.sector));
        // A state can't fail to serialize: the keys of its maps are text, and no field has an error of its own.
        let mut text = WipedBuffer::default();
        let _ = serde_json::to_writer_pretty(&mut text, &sorted);
        let _ = text.write_all(b"\n");
        printable_json(mem::take(&mut *text.text()))
    }
}

/// Returns the message of serde without text from the file: a misplaced row could hold a key.
fn without_values(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    match (message.find("string \""), message.rfind(", expected ")) {
        (Some(value), Some(expected)) if value < expected => {
            format!("{}text{}", &message[..value], &message[expected..])
        }
        (Some(value), _) => format!("{}text", &message[..value]),
        (None, _) => message.to_string(),
    }
}

/// Reduces the line of an error to its form and the names of fields: any other text could hold a key.
fn only_fields(excerpt: &Excerpt) -> Excerpt {
    let text = excerpt.text.as_str();
    let ends_a_field =
        |rest: &str| rest.strip_prefix('"').is_some_and(|rest| rest.trim_start().starts_with(':'));
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(rest.len());
        let step = word.max(first.len_utf8());
        if word > 0 && shown.ends_with('"') && ends_a_field(&rest[word..]) {
            shown.push_str(&rest[..word]);
        } else {
            let plain = |c: char| c == ' ' || "{}[],:\".".contains(c);
            shown.extend(rest[..step].chars().map(|c| if plain(c) { c } else { '*' }));
        }
        rest = &rest[step..];
    }
    // A character of several bytes has become one byte, so the mark is counted in characters.
    let before = text[..excerpt.mark.start].chars().count();
    let marked = text[excerpt.mark.clone()].chars().count();
    Excerpt { line: excerpt.line, column: excerpt.column, mark: before..before + marked, text: shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::DevNum;
    use crate::kernel::Version;
    use crate::kernel::simulated::Disk;
    use crate::secret::Secret;

    const SMALL: &str = r#"{
        "format_version": 1,
        "block_devices": [ { "number": "8:0", "sectors": 2048 } ],
        "mappings": [
            { "name": "b", "number": "254:1", "live_table": [] },
            { "name": "a", "number": "254:0",
              "live": [ { "start": 0, "length": 8, "type": "linear", "params": "8:0 0" } ] }
        ]
    }"#;

    #[test]
    fn what_is_left_out_has_the_value_of_an_untouched_device() {
        let state = State::parse(SMALL, "x").unwrap();
        assert_eq!(state.block_devices[0], Disk::new(DevNum::new(8, 0), 2048));
        assert_eq!(state.kernel.ioctl_version, Version(4, 47, 0));
        assert_eq!(state.mappings[0].live, Some(Vec::new()));
    }

    #[test]
    fn printing_is_sorted_and_reads_back_the_same() {
        let text = State::parse(SMALL, "x").unwrap().to_json();
        let again = State::parse(&text, "x").unwrap();
        assert_eq!(again.mappings[0].name, "a");
        assert_eq!(again.to_json(), text);
    }

    #[test]
    fn an_error_has_its_place_and_never_the_text_of_a_row() {
        let misplaced = r#"{ "format_version": 1,
            "mappings": [ { "name": "a", "number": "254:0", "live": ["0 8 crypt aes 00ff 0 8:0 0"] } ] }"#;
        let message = State::parse(misplaced, "state.json").unwrap_err();
        assert!(message.starts_with("state.json:2:"), "{message}");
        assert!(message.contains("expected struct Row"), "{message}");
        assert!(!message.contains("00ff") && !message.contains("aes"), "{message}");
        assert!(message.contains("\"live\": [\"* * ***** *** **** * *:* *\"]"), "{message}");
        assert!(message.ends_with('^'), "{message}");
        for (text, says) in [
            (r#"{"format_version": 2}"#, "format_version is 2"),
            (r#"{"format_version": 1, "disks": []}"#, "unknown field `disks`"),
            (r#"{"format_version": 1, "kernel": {"ioctl_version": "4.x.0"}}"#, "as `4.47.0`"),
            (
                r#"{"format_version": 1, "block_devices": [{"number": "8:0", "sectors": 1, "head": "0g"}]}"#,
                "hexadecimal",
            ),
            ("{", "EOF"),
            ("", "EOF"),
        ] {
            let message = State::parse(text, "x").unwrap_err();
            assert!(message.contains(says), "{text}: {message}");
        }
    }

    #[test]
    fn a_state_never_shows_its_tables_when_debugged() {
        let mut state = State::parse(SMALL, "x").unwrap();
        state.mappings[1].live.as_mut().unwrap()[0].params = Secret::new("aes 00ff00ff 0 8:0 0".into());
        assert!(!format!("{state:?}").contains("00ff"));
    }
}
