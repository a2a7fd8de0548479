//! Reads the concise form, and locates its errors.
//!
//! It is one pass over the text, whatever it holds. Text that dmsetup accepts and reads in another sense is refused: a
//! minor number with other characters in it, and a `#` in a row, behind which dmsetup drops the rest.

use std::mem;
use std::ops::Range;

use zeroize::{Zeroize as _, Zeroizing};

use super::Spec;

/// An error in a text, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// The place, in bytes.
    pub at: Range<usize>,
    /// The rule that the text breaks.
    pub message: String,
    /// How to keep the rule.
    pub help: String,
}

/// A device with the places of its parts, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedSpec {
    /// The device as it was read.
    pub spec: Spec,
    /// The place of its name.
    pub name: Range<usize>,
    /// The places of its rows.
    pub rows: Vec<Range<usize>>,
}

impl LocatedSpec {
    /// Wipes the rows, which may hold keys.
    pub(crate) fn wipe(&mut self) {
        self.spec.rows.zeroize();
    }
}

/// A field of a device, unescaped, with its place.
#[derive(Debug, Default)]
pub(crate) struct Field {
    /// It may hold a key.
    pub(crate) text: Zeroizing<String>,
    pub(crate) at: Range<usize>,
}

impl Field {
    fn push(&mut self, character: char) {
        let length = self.text.len() + character.len_utf8();
        if length > self.text.capacity() {
            let mut grown = Zeroizing::new(String::with_capacity(length * 2));
            grown.push_str(&self.text);
            self.text = grown;
        }
        self.text.push(character);
    }
}

/// Reads the devices; an empty text has none.
///
/// # Errors
///
/// The first error of each device, or the one error that ends the text.
pub fn read(text: &str) -> Result<Vec<LocatedSpec>, Vec<SyntaxError>> {
    read_as(text, Backslash::Escapes)
}

/// Reads the devices of a command line, where nothing is escaped.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn read_plain(text: &str) -> Result<Vec<LocatedSpec>, Vec<SyntaxError>> {
    read_as(text, Backslash::Plain)
}

/// The meaning of a backslash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backslash {
    /// It takes the character behind it as it is.
    Escapes,
    /// It is a character like any other.
    Plain,
}

fn read_as(text: &str, backslash: Backslash) -> Result<Vec<LocatedSpec>, Vec<SyntaxError>> {
    let (devices, error) = split(text, backslash);
    if let Some(error) = error {
        return Err(vec![error]);
    }
    let (mut wrong, mut placed) = (Vec::new(), Vec::new());
    for fields in devices {
        match device(fields) {
            Ok(device) => placed.push(device),
            Err(error) => wrong.push(error),
        }
    }
    if wrong.is_empty() {
        return Ok(placed);
    }
    placed.iter_mut().for_each(LocatedSpec::wipe);
    Err(wrong)
}

/// Returns every field of a text, whether or not it can be read.
pub(crate) fn fields(text: &str, backslash: Backslash) -> impl Iterator<Item = Field> {
    split(text, backslash).0.into_iter().flatten()
}

/// Splits the text by `;` into devices and by `,` into fields. Behind the fourth comma a line end separates rows as
/// well. An error ends the text.
fn split(text: &str, backslash: Backslash) -> (Vec<Vec<Field>>, Option<SyntaxError>) {
    let mut devices = Vec::new();
    let mut fields = vec![Field::default()];
    let mut wrong = None;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let next = at + character.len_utf8();
        let in_rows = fields.len() > 4;
        let Some(field) = fields.last_mut() else { break };
        match character {
            ';' => {
                devices
                    .push(std::mem::replace(&mut fields, vec![Field { at: next..next, ..Field::default() }]));
            }
            ',' => fields.push(Field { at: next..next, ..Field::default() }),
            '\n' if in_rows => fields.push(Field { at: next..next, ..Field::default() }),
            '\\' if backslash == Backslash::Escapes => {
                let Some((at, escaped)) = characters.next() else {
                    wrong = Some(SyntaxError {
                        at: at..next,
                        message: "the text ends in a backslash".to_string(),
                        help: "a backslash takes the character behind it as it is: write two for one"
                            .to_string(),
                    });
                    break;
                };
                field.push(escaped);
                field.at.end = at + escaped.len_utf8();
            }
            // Blanks before a field do not belong to it.
            blank if blank.is_whitespace() && field.text.is_empty() => field.at = next..next,
            other => {
                field.push(other);
                field.at.end = next;
            }
        }
    }
    devices.push(fields);
    devices.retain(|fields| fields.len() > 1 || !fields[0].text.is_empty());
    (devices, wrong)
}

fn device(fields: Vec<Field>) -> Result<LocatedSpec, SyntaxError> {
    let whole = fields[0].at.start..fields[fields.len() - 1].at.end;
    let count = fields.len();
    let mut fields = fields.into_iter();
    let mut next = || fields.next().unwrap_or_default();
    let (mut name, mut uuid, minor, flags) = (next(), next(), next(), next());
    let fail = |at: Range<usize>, message: String, help: &str| {
        Err(SyntaxError { at, message, help: help.to_string() })
    };
    if name.text.is_empty() {
        return fail(whole, "this device has no name".to_string(), FORM);
    }
    if count < 5 {
        return fail(whole, format!("a device has at least five fields, this one has {count}"), FORM);
    }
    let number = minor.text.trim_end();
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let minor = match number.parse::<u32>() {
        _ if number.is_empty() => None,
        Ok(minor) if digits && minor < 1 << 20 => Some(minor),
        _ => {
            let message = "this is not a minor number".to_string();
            return fail(minor.at, message, "write 0 to 1048575, or nothing for any");
        }
    };
    let read_only = match flags.text.trim_end() {
        "" | "rw" => false,
        "ro" => true,
        _ => {
            return fail(flags.at, "this is not a mode".to_string(), "write `ro`, `rw`, or nothing for `rw`");
        }
    };
    let (mut rows, mut places) = (Vec::new(), Vec::new());
    for field in fields {
        let row = field.text.trim();
        // dmsetup skips a line that is a comment as well.
        if row.is_empty() || row.starts_with('#') {
            continue;
        }
        if row.contains('#') {
            let message = "dmsetup would forget this row from the `#` on".to_string();
            return fail(field.at, message, "write the device by another of its paths, or by its number");
        }
        if row.contains(char::is_control) {
            return fail(field.at, "this row holds a control character".to_string(), FORM);
        }
        rows.push(row.to_string());
        places.push(field.at);
    }
    if rows.is_empty() {
        return fail(whole, "this device has no table".to_string(), FORM);
    }
    let (name_text, uuid) = (mem::take(&mut *name.text), mem::take(&mut *uuid.text));
    let spec = Spec { name: name_text, uuid, minor, read_only, rows };
    Ok(LocatedSpec { spec, name: name.at, rows: places })
}

const FORM: &str =
    "a device is `name,uuid,minor,flags,start length type params[,...]`, devices are joined by `;`";

#[cfg(test)]
mod tests {
    use super::super::print;
    use super::*;

    fn specs(text: &str) -> Vec<Spec> {
        read(text).unwrap().into_iter().map(|placed| placed.spec).collect()
    }

    #[test]
    fn what_dmsetup_prints_is_read() {
        let text = "a,,0,rw,0 8 linear 1:0 0,8 8 zero;b\\,c,U\\;1,1,ro,0 8 striped 2 8 1:0 0 1:1 0;";
        let read = specs(text);
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].rows, ["0 8 linear 1:0 0", "8 8 zero"]);
        assert_eq!((read[1].name.as_str(), read[1].uuid.as_str(), read[1].read_only), ("b,c", "U;1", true));
        assert_eq!(specs("\n a , , , , 0 8 zero \n# comment\n8 8 error\n;\n b,,,,0 1 zero\n").len(), 2);
        assert_eq!(specs(" \n"), []);
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        for (text, at, message) in [
            ("a,,,", 0..4, "five fields"),
            ("a,,,,", 0..5, "no table"),
            (",,,,0 1 zero", 0..12, "no name"),
            ("a,,x1,,0 1 zero", 3..5, "not a minor"),
            ("a,,-1,,0 1 zero", 3..5, "not a minor"),
            ("a,,1048576,,0 1 zero", 3..10, "not a minor"),
            ("a,,,RO,0 1 zero", 4..6, "not a mode"),
            ("a,,,,0 1 linear /dev/a#b 0", 5..26, "forget"),
            ("a,,,,0 1 zero\\", 13..14, "backslash"),
        ] {
            let wrong = read(text).unwrap_err();
            assert_eq!((wrong.len(), &wrong[0].at), (1, &at), "{text}: {wrong:?}");
            assert!(wrong[0].message.contains(message), "{text}: {wrong:?}");
        }
        assert_eq!(read("a,,,;b,,,;c,,,,0 1 zero").unwrap_err().len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_an_answer(text in "[a,;\\\\#\n 0-9é]{0,60}") {
            for wrong in read(&text).err().into_iter().flatten() {
                assert!(text.get(wrong.at.clone()).is_some(), "{wrong:?}");
            }
            // What was understood is printed so that it reads the same.
            if let Ok(read) = read(&text) {
                let read: Vec<Spec> = read.into_iter().map(|placed| placed.spec).collect();
                proptest::prop_assert_eq!(specs(&print(&read)), read);
            }
        }
    }
}
