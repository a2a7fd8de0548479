//! The fields that an option can set, and how the value behind its word is read and printed.

use std::fmt::Display;

use super::{FieldValue, ParamsError, Printer, Unit, Value, Words};
use crate::device::Device;
use crate::mistake::Mistake;
use crate::units::{Bytes, Sectors};

/// How an option and its value are written.
#[derive(Clone, Copy)]
pub(crate) enum Syntax {
    /// As two words, `option value`.
    Spaced {
        /// The beginning of the message for an unknown word; `{}` stands for that word.
        unknown: &'static str,
        /// Whether the kernel takes a word in any case.
        ignore_case: bool,
    },
    /// As one word, `option:value`. The word may be a key, so no message shows it.
    Colon {
        /// Whether the kernel takes an option without a value in any case.
        flags_ignore_case: bool,
    },
}

impl Syntax {
    /// Splits a word of a row.
    pub(crate) fn token(self, word: &str) -> Token<'_> {
        match self {
            Self::Spaced { ignore_case, .. } => Token { word, name: word, behind: None, ignore_case },
            Self::Colon { flags_ignore_case } => {
                let (name, behind) = match word.split_once(':') {
                    Some((name, value)) => (name, Some(value)),
                    None => (word, None),
                };
                Token { word, name, behind, ignore_case: flags_ignore_case && behind.is_none() }
            }
        }
    }

    /// Adds an option and its value.
    pub(crate) fn print(self, option: &str, value: impl Display, out: &mut Printer) {
        match self {
            Self::Spaced { .. } => out.word(option).word(value),
            Self::Colon { .. } => out.word(format_args!("{option}:{value}")),
        };
    }
}

/// A word of a row that names an option, and may have its value too.
pub(crate) struct Token<'a> {
    word: &'a str,
    name: &'a str,
    /// What is behind the colon, in [`Syntax::Colon`].
    pub(crate) behind: Option<&'a str>,
    ignore_case: bool,
}

impl Token<'_> {
    /// Whether this is the word `own`, from end to end.
    pub(crate) fn is(&self, own: &str) -> bool {
        self.matches(own, self.word)
    }

    /// Whether this is the option `own`, with or without a value.
    pub(crate) fn is_named(&self, own: &str) -> bool {
        self.matches(own, self.name)
    }

    /// Whether `given` is the word `own` to the kernel.
    pub(crate) fn matches(&self, own: &str, given: &str) -> bool {
        own == given || (self.ignore_case && own.eq_ignore_ascii_case(given))
    }
}

/// The value of an option as a row has it.
pub(crate) struct Given<'w, 'a> {
    pub(crate) words: &'w mut Words<'a>,
    /// What is behind the colon, in [`Syntax::Colon`].
    pub(crate) behind: Option<&'a str>,
    /// What messages call the value: the word of the option, mostly.
    pub(crate) name: &'static str,
}

impl<'a> Given<'_, 'a> {
    /// Returns the text: behind the colon, or the next word.
    pub(crate) fn text(&mut self) -> Result<&'a str, ParamsError> {
        match self.behind {
            Some(text) => Ok(text),
            None => self.words.next(self.name),
        }
    }

    /// Reads the text as a number.
    pub(crate) fn number<N: TryFrom<u64>>(&mut self) -> Result<N, ParamsError> {
        let text = self.text()?;
        self.words.to_number(text, self.name)
    }

    /// Makes an error about the value.
    pub(crate) fn wrong(&self, message: impl Into<Mistake>) -> ParamsError {
        self.words.wrong(message)
    }
}

/// The value of a field, or that it is unset, as a difference shows it.
pub(crate) trait Shown {
    fn value(&self) -> Value;
    /// Returns its unit, where the type tells it.
    fn unit(&self) -> Option<Unit>;
}

impl<T: FieldValue> Shown for T {
    fn value(&self) -> Value {
        FieldValue::value(self)
    }

    fn unit(&self) -> Option<Unit> {
        FieldValue::unit(self)
    }
}

impl<T: FieldValue> Shown for Option<T> {
    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Unset, FieldValue::value)
    }

    fn unit(&self) -> Option<Unit> {
        self.as_ref().and_then(FieldValue::unit)
    }
}

impl<T: std::fmt::Debug> Shown for Vec<T> {
    fn value(&self) -> Value {
        Value::Text(format!("{self:?}"))
    }

    fn unit(&self) -> Option<Unit> {
        None
    }
}

/// A field that an option sets.
pub(crate) trait OptionField {
    /// Whether a value follows the word of the option.
    fn takes_value(&self) -> bool {
        true
    }
    /// Sets the field to what is given.
    fn read(&mut self, given: &mut Given<'_, '_>) -> Result<(), ParamsError>;
    /// Adds the word and the value, where there is one.
    fn print(&self, word: &str, syntax: Syntax, out: &mut Printer);
    /// Whether this is a field that can't be left out, and holds `default`.
    fn is_always(&self, default: u64) -> bool {
        let _ = default;
        false
    }
}

/// A switch: set by its word alone.
impl OptionField for bool {
    fn takes_value(&self) -> bool {
        false
    }

    fn read(&mut self, _: &mut Given<'_, '_>) -> Result<(), ParamsError> {
        *self = true;
        Ok(())
    }

    fn print(&self, word: &str, _: Syntax, out: &mut Printer) {
        out.flag(*self, word);
    }
}

impl<T: Operand> OptionField for Option<T> {
    fn read(&mut self, given: &mut Given<'_, '_>) -> Result<(), ParamsError> {
        *self = Some(T::read(given)?);
        Ok(())
    }

    fn print(&self, word: &str, syntax: Syntax, out: &mut Printer) {
        if let Some(value) = self {
            value.print(word, syntax, out);
        }
    }
}

/// An option that may be given many times.
impl<T: Operand> OptionField for Vec<T> {
    fn read(&mut self, given: &mut Given<'_, '_>) -> Result<(), ParamsError> {
        self.push(T::read(given)?);
        Ok(())
    }

    fn print(&self, word: &str, syntax: Syntax, out: &mut Printer) {
        for value in self {
            value.print(word, syntax, out);
        }
    }
}

/// A field that has a value even where the option is left out.
impl OptionField for Bytes {
    fn read(&mut self, given: &mut Given<'_, '_>) -> Result<(), ParamsError> {
        *self = Operand::read(given)?;
        Ok(())
    }

    fn print(&self, word: &str, syntax: Syntax, out: &mut Printer) {
        Operand::print(self, word, syntax, out);
    }

    fn is_always(&self, default: u64) -> bool {
        self.0 == default
    }
}

/// The value behind the word of an option.
pub(crate) trait Operand: FieldValue + Sized {
    fn read(given: &mut Given<'_, '_>) -> Result<Self, ParamsError>;

    /// Adds the word and the value.
    fn print(&self, word: &str, syntax: Syntax, out: &mut Printer) {
        syntax.print(word, self, out);
    }
}

/// Any one word.
impl Operand for String {
    fn read(given: &mut Given<'_, '_>) -> Result<Self, ParamsError> {
        given.text().map(str::to_string)
    }
}

impl Operand for u32 {
    fn read(given: &mut Given<'_, '_>) -> Result<Self, ParamsError> {
        given.number()
    }
}

impl Operand for u64 {
    fn read(given: &mut Given<'_, '_>) -> Result<Self, ParamsError> {
        given.number()
    }
}

/// The one number that may be negative.
impl Operand for i32 {
    fn read(given: &mut Given<'_, '_>) -> Result<Self, ParamsError> {
        let text = given.text()?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        let size: u32 = given.words.to_number(digits, given.name)?;
        let size = Self::try_from(size).map_err(|_| given.wrong(format!("{} is too large", given.name)))?;
        Ok(if digits.len() < text.len() { -size } else { size })
    }
}

impl FieldValue for i32 {}

impl Operand for Sectors {
    fn read(given: &mut Given<'_, '_>) -> Result<Self, ParamsError> {
        match given.behind {
            Some(text) => given.words.to_number(text, given.name).map(Sectors),
            None => given.words.sectors(given.name),
        }
    }
}

impl Operand for Bytes {
    fn read(given: &mut Given<'_, '_>) -> Result<Self, ParamsError> {
        given.number().map(Bytes)
    }
}

impl Operand for Device {
    fn read(given: &mut Given<'_, '_>) -> Result<Self, ParamsError> {
        match given.behind {
            Some(text) => super::keyed::to_device(given.words, text),
            None => given.words.device(given.name),
        }
    }

    fn print(&self, word: &str, syntax: Syntax, out: &mut Printer) {
        match syntax {
            Syntax::Spaced { .. } => out.word(word).device(self),
            Syntax::Colon { .. } => out.prefixed_device(&format!("{word}:"), self),
        };
    }
}
