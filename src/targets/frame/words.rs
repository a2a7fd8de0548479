//! The parameters of a row, taken word by word.
//!
//! The kernel's own integer parsing does not validate: it wraps (`linear` takes 18446744073709551616 for 0).
//! Here a number is decimal digits that fit, and anything else is an error that names the word.

use std::collections::BTreeMap;

use smallvec::SmallVec;
use thiserror::Error;

use crate::device::Device;
use crate::mistake::Mistake;
use crate::redact::redact_quoted;
use crate::units::{MAX_BYTES, SECTOR, Sectors};

/// Why the parameters of a row were refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", redact_quoted(&.mistake.to_string()))]
pub struct ParamsError {
    /// Which word is wrong, from 0; the count of words when one is missing.
    pub word: usize,
    /// The error, without the word itself where it may be a key.
    pub mistake: Mistake,
}

/// A position in the parameters of a row.
#[derive(Debug)]
pub struct Words<'a> {
    words: SmallVec<[&'a str; 4]>,
    at: usize,
}

impl<'a> Words<'a> {
    /// Splits parameters at blanks, but for those in quotes: `LABEL="my data"` is one word. The kernel unquotes
    /// backslashes, so one is refused: no argument of any target needs it. Only a device may have `\xNN`, and the kernel
    /// gets its number.
    pub fn new(params: &'a str) -> Result<Self, ParamsError> {
        let words = split(params);
        let odd = |word: &&str| word.contains('\0') || (word.contains('\\') && !may_escape(word));
        let is_odd = params.bytes().any(|byte| matches!(byte, 0 | b'\\'));
        if is_odd && let Some(word) = words.iter().position(odd) {
            return Err(ParamsError { word, mistake: "a backslash can't stand in a table".into() });
        }
        Ok(Self { words, at: 0 })
    }

    /// Makes an error about the word taken last.
    pub fn wrong(&self, mistake: impl Into<Mistake>) -> ParamsError {
        ParamsError { word: self.at.saturating_sub(1), mistake: mistake.into() }
    }

    /// Counts the words that are left.
    pub fn left(&self) -> usize {
        self.words.len() - self.at
    }

    /// Returns the next word and leaves it in place.
    pub fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    /// Takes the next word; `what` names it when it is missing.
    pub fn next(&mut self, what: &str) -> Result<&'a str, ParamsError> {
        let word = self.words.get(self.at).copied().ok_or_else(|| ParamsError {
            word: self.words.len(),
            mistake: format!("the row ends without {what}").into(),
        })?;
        self.at += 1;
        Ok(word)
    }

    /// Passes over the next word.
    pub fn skip(&mut self) {
        self.at = self.words.len().min(self.at + 1);
    }

    /// Takes all words that are left.
    pub fn rest(&mut self) -> Vec<String> {
        let rest = self.words[self.at..].iter().map(ToString::to_string).collect();
        self.at = self.words.len();
        rest
    }

    /// Takes the next word as a number of type `N`.
    pub fn number<N: TryFrom<u64>>(&mut self, what: &str) -> Result<N, ParamsError> {
        let word = self.next(what)?;
        self.to_number(word, what)
    }

    /// Takes the next word as a number, or as `-` for none.
    pub fn number_or_dash<N: TryFrom<u64>>(&mut self, what: &str) -> Result<Option<N>, ParamsError> {
        if self.peek() == Some("-") {
            self.skip();
            return Ok(None);
        }
        self.number(what).map(Some)
    }

    /// Takes the next word as a number where it is one; any other word stays.
    pub fn number_if_any<N: TryFrom<u64>>(&mut self, what: &str) -> Result<Option<N>, ParamsError> {
        let is_number = self.peek().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        if is_number { self.number(what).map(Some) } else { Ok(None) }
    }

    /// Takes all words that are left as names with a number each.
    pub fn pairs(&mut self) -> Result<BTreeMap<String, u64>, ParamsError> {
        let mut pairs = BTreeMap::new();
        while self.left() > 0 {
            let name = self.next("the name of an argument")?.to_string();
            pairs.insert(name, self.number("the value of an argument")?);
        }
        Ok(pairs)
    }

    /// Reads `word`, the one taken last or a part of it, as a number of type `N`.
    pub fn to_number<N: TryFrom<u64>>(&self, word: &str, what: &str) -> Result<N, ParamsError> {
        if word.is_empty() || !word.bytes().all(|b| b.is_ascii_digit()) {
            return Err(self.wrong(format!("{what} must be a decimal number")));
        }
        word.parse::<u64>()
            .ok()
            .and_then(|number| N::try_from(number).ok())
            .ok_or_else(|| self.wrong(format!("{what} is too large; the kernel would wrap it around")))
    }

    /// Takes the next word as a count of sectors.
    pub fn sectors(&mut self, what: &str) -> Result<Sectors, ParamsError> {
        let sectors: u64 = self.number(what)?;
        if sectors > MAX_BYTES / SECTOR {
            return Err(self.wrong(format!("{what} is past the end of the largest device there can be")));
        }
        Ok(Sectors(sectors))
    }

    /// Takes the next word as a device.
    pub fn device(&mut self, what: &str) -> Result<Device, ParamsError> {
        let word = self.next(what)?;
        Device::parse(word).map_err(|error| self.wrong(Mistake::from(error).about(what)))
    }

    /// Takes a count and as many words behind it, or nothing when the row ends here: the optional arguments of
    /// most targets.
    pub fn counted(&mut self, what: &str) -> Result<Words<'a>, ParamsError> {
        let count: usize = if self.left() == 0 { 0 } else { self.number(&format!("the count of {what}"))? };
        if count > self.left() {
            return Err(self.wrong(format!("{count} words of {what} are announced, {} follow", self.left())));
        }
        // The words before stay in front, so that an error counts from the start of the row.
        let inner = Words { words: self.words[..self.at + count].into(), at: self.at };
        self.at += count;
        Ok(inner)
    }

    /// Takes a count that must be there, and as many words behind it.
    pub fn always_counted(&mut self, what: &str) -> Result<Words<'a>, ParamsError> {
        match self.left() {
            0 => Err(self.wrong(format!("the count of {what} is missing; it is 0 where there are none"))),
            _ => self.counted(what),
        }
    }

    /// Ends the row: a word too many is an error.
    pub fn finish(&self) -> Result<(), ParamsError> {
        match self.left() {
            0 => Ok(()),
            left => Err(ParamsError {
                word: self.at,
                mistake: format!(
                    "{left} {} too many at the end of the row",
                    if left == 1 { "word" } else { "words" }
                )
                .into(),
            }),
        }
    }
}

/// Splits a text at blanks. A quote at the start of a word or behind a `=` holds the text together up to the next one.
fn split(params: &str) -> SmallVec<[&str; 4]> {
    if !params.contains(['"', '\'']) {
        return params.split_whitespace().collect();
    }
    let mut words = SmallVec::new();
    let mut rest = params.trim_start();
    while !rest.is_empty() {
        let (mut end, mut before) = (rest.len(), None);
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            if c.is_whitespace() {
                end = at;
                break;
            }
            if matches!(c, '"' | '\'') && matches!(before, None | Some('=')) && rest[at + 1..].contains(c) {
                chars.find(|(_, other)| *other == c);
            }
            before = Some(c);
        }
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    words
}

/// Whether a backslash may stand in this word: it is a device, behind the name of an option or not.
fn may_escape(word: &str) -> bool {
    let value = word.split_once(':').map_or(word, |(_, value)| value);
    Device::is_escaped_word(word) || Device::is_escaped_word(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_never_wrap() {
        let mut words = Words::new("18446744073709551616 -1 +8 0x10 07 4294967296").unwrap();
        assert!(words.number::<u64>("n").is_err());
        assert!(words.number::<u64>("n").is_err());
        assert!(words.number::<u64>("n").is_err());
        assert!(words.number::<u64>("n").is_err());
        assert_eq!(words.number::<u64>("n"), Ok(7));
        assert!(words.number::<u32>("n").is_err());
        assert_eq!(words.next("the end").unwrap_err().word, 6);
    }

    #[test]
    fn counted_words_stay_inside_their_count() {
        let mut words = Words::new("2 a b c").unwrap();
        let mut inner = words.counted("options").unwrap();
        assert_eq!((inner.next("x"), inner.next("x")), (Ok("a"), Ok("b")));
        assert_eq!(inner.left(), 0);
        assert_eq!(words.peek(), Some("c"));
        assert!(Words::new("3 a b").unwrap().counted("options").is_err());
        assert!(Words::new("a\\b").is_err());
    }

    #[test]
    fn a_device_in_quotes_is_one_word() {
        for (params, words) in [
            ("LABEL=\"my data\" 0", vec!["LABEL=\"my data\"", "0"]),
            ("\"LABEL=my  data\"  0", vec!["\"LABEL=my  data\"", "0"]),
            ("x:LABEL='my data' a\"b c", vec!["x:LABEL='my data'", "a\"b", "c"]),
            ("LABEL=\"open 0", vec!["LABEL=\"open", "0"]),
            ("/dev/a\\x20b PARTLABEL=a\\x20b", vec!["/dev/a\\x20b", "PARTLABEL=a\\x20b"]),
        ] {
            assert_eq!(Words::new(params).unwrap().words.to_vec(), words, "{params}");
        }
        assert!(Words::new("/dev/a\\b").is_err());
        assert!(Words::new("a\\x20b").is_err());
    }
}
