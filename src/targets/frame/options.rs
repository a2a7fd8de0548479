//! The optional words of a row, as a table: one line an option.
//!
//! A line names the field, the effect of another value, the legal range and the unit. Reading a row, printing
//! one, comparing two, checking one and the message for an unknown word all follow from it:
//!
//! ```ignore
//! const OPTIONS: Options<Self> = Options {
//!     syntax: Syntax::Spaced { unknown: "a writecache has no option {}", ignore_case: true },
//!     all: &[
//!         option!(start_sector).remap().default(0),
//!         option!(high_watermark).tune().range(0, 100).unit(Unit::Percent),
//!         alternatives!(fua: "fua" => Some(true), "nofua" => Some(false)).tune(),
//!     ],
//! };
//! ```
//!
//! The order of the lines is the order in which the kernel prints the words. An option without an effect is
//! compared by the target itself, or is an order, which is never compared.

use super::operand::Syntax;
use super::option_row::OptionRow;
use super::{Differences, ParamsError, Printer, Problems, Words};
use std::cmp::Reverse;

/// The options of a target.
pub(crate) struct Options<T: 'static> {
    /// How an option and its value are written.
    pub(crate) syntax: Syntax,
    /// The options, in the order in which the kernel prints them.
    pub(crate) all: &'static [OptionRow<T>],
}

impl<T> Options<T> {
    /// Reads all words that are left.
    pub(crate) fn parse(&self, target: &mut T, words: &mut Words<'_>) -> Result<(), ParamsError> {
        while words.left() > 0 {
            self.parse_one(target, words)?;
        }
        Ok(())
    }

    /// Reads all words that are left. Those of `part`, a table of which a `part!` line stands in this one, are
    /// returned: they mean something only together.
    pub(crate) fn parse_with_part<P: Default>(
        &self,
        target: &mut T,
        part: &Options<P>,
        words: &mut Words<'_>,
    ) -> Result<P, ParamsError> {
        let mut value = P::default();
        while let Some(word) = words.peek() {
            match part.find(&value, word) {
                Some(_) => part.parse_one(&mut value, words)?,
                None => self.parse_one(target, words)?,
            }
        }
        Ok(value)
    }

    /// Reads one option and its value.
    pub(crate) fn parse_one(&self, target: &mut T, words: &mut Words<'_>) -> Result<(), ParamsError> {
        let word = words.next("an option")?;
        let Some(option) = self.find(target, word) else { return Err(self.unknown(target, word, words)) };
        option.refuse_repeated(target, self.syntax, words)?;
        option.read(target, &self.syntax.token(word), words)
    }

    fn find(&self, target: &T, word: &str) -> Option<&'static OptionRow<T>> {
        let token = self.syntax.token(word);
        self.all.iter().find(|option| option.takes(target, self.syntax, &token))
    }

    fn unknown(&self, target: &T, word: &str, words: &Words<'_>) -> ParamsError {
        let all = self.words(target).join(", ");
        words.wrong(match self.syntax {
            Syntax::Spaced { unknown, ignore_case } => {
                let word = if ignore_case { word.to_ascii_lowercase() } else { word.to_string() };
                let unknown = unknown.replacen("{}", &format!("`{}`", word.escape_debug()), 1);
                format!("{unknown}; there are {all}")
            }
            Syntax::Colon { .. } => {
                format!("this option is unknown, or its value is missing; there are {all}")
            }
        })
    }

    /// Lists the words of all options, as a message has them.
    pub(crate) fn words(&self, target: &T) -> Vec<String> {
        self.all.iter().flat_map(|option| option.words(target, self.syntax)).collect()
    }

    /// Prints the options that are set.
    pub(crate) fn print(&self, target: &T, out: &mut Printer) {
        for option in self.all {
            option.print(target, self.syntax, out);
        }
    }

    /// Compares the options that have an effect. The heaviest differences come first: they decide what happens.
    pub(crate) fn compare(&self, wanted: &T, live: &T, differences: &mut Differences) {
        let first = differences.fields.len();
        for option in self.all {
            option.compare(wanted, live, differences);
        }
        differences.fields[first..].sort_by_key(|difference| Reverse(difference.effect));
    }

    /// Counts the options that are set.
    pub(crate) fn count(&self, target: &T) -> usize {
        self.all.iter().filter(|option| option.is_set(target)).count()
    }

    /// Checks the options that have a range.
    pub(crate) fn check(&self, target: &T, problems: &mut Problems) {
        for option in self.all {
            option.check(target, problems);
        }
    }
}
