//! The optional words of a row, as a table: one line an option.
//!
//! A line names the field, the effect of another value, the legal range and the unit. Reading a row, printing
//! one, comparing two, checking one and the message for an unknown word all follow from it:
//!
//! ```ignore
//! const OPTIONS: Options<Self> = Options {
//!     syntax: Syntax::Spaced { unknown: "a writecache has no option" },
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

use super::operand::{Given, OptionField, Shown, Syntax};
use super::{Change, Differences, Effect, ParamsError, Printer, Problems, Unit, Value, Words};
use std::cmp::Reverse;

/// The options of a target.
pub(crate) struct Options<T: 'static> {
    /// How an option and its value are written.
    pub(crate) syntax: Syntax,
    /// The options, in the order in which the kernel prints them.
    pub(crate) all: &'static [OptionRow<T>],
}

/// One option: a line of the table.
pub(crate) struct OptionRow<T: 'static> {
    field: &'static str,
    form: Form<T>,
    shown: fn(&T) -> &dyn Shown,
    differs: fn(&T, &T) -> bool,
    effect: Option<Effect>,
    reason: Option<&'static str>,
    default: Option<u64>,
    range: Option<(u64, u64)>,
    unit: Option<Unit>,
    repeated: Option<Repeated>,
    silent: Option<&'static str>,
}

/// How an option is read and printed.
enum Form<T: 'static> {
    /// A word, and the value behind it where the field is not a switch.
    Word(&'static str, fn(&T) -> &dyn OptionField, fn(&mut T) -> &mut dyn OptionField),
    /// One of several words, each of which stands for a value.
    Alternatives(&'static [Alternative<T>]),
}

/// A word that stands for a value.
pub(crate) struct Alternative<T> {
    pub(crate) word: &'static str,
    pub(crate) set: fn(&mut T),
    pub(crate) is_set: fn(&T) -> bool,
}

/// The message for an option that is given twice.
enum Repeated {
    /// The option, and this behind it.
    Named(&'static str),
    Whole(&'static str),
}

/// Begins the line of an option that is named like its field.
macro_rules! option {
    ($field:ident) => {
        $crate::targets::frame::OptionRow::new(
            stringify!($field),
            |target: &Self| &target.$field,
            |target: &mut Self| &mut target.$field,
            |target: &Self| &target.$field,
            |one: &Self, other: &Self| one.$field != other.$field,
        )
    };
}
pub(crate) use option;

/// Begins the line of an option of which each value is a word by itself.
macro_rules! alternatives {
    ($field:ident: $($word:literal => $value:expr),+ $(,)?) => {
        $crate::targets::frame::OptionRow::of_alternatives(
            stringify!($field),
            &[$($crate::targets::frame::Alternative {
                word: $word,
                set: |target: &mut Self| target.$field = $value,
                is_set: |target: &Self| target.$field == $value,
            }),+],
            |target: &Self| &target.$field,
            |one: &Self, other: &Self| one.$field != other.$field,
        )
    };
}
pub(crate) use alternatives;

impl<T> OptionRow<T> {
    /// Begins a line; [`option!`] writes the arguments.
    pub(crate) const fn new(
        field: &'static str,
        get: fn(&T) -> &dyn OptionField,
        get_mut: fn(&mut T) -> &mut dyn OptionField,
        shown: fn(&T) -> &dyn Shown,
        differs: fn(&T, &T) -> bool,
    ) -> Self {
        Self::with_form(field, Form::Word(field, get, get_mut), shown, differs)
    }

    /// Begins a line; [`alternatives!`] writes the arguments.
    pub(crate) const fn of_alternatives(
        field: &'static str,
        alternatives: &'static [Alternative<T>],
        shown: fn(&T) -> &dyn Shown,
        differs: fn(&T, &T) -> bool,
    ) -> Self {
        Self::with_form(field, Form::Alternatives(alternatives), shown, differs)
    }

    const fn with_form(
        field: &'static str,
        form: Form<T>,
        shown: fn(&T) -> &dyn Shown,
        differs: fn(&T, &T) -> bool,
    ) -> Self {
        Self {
            field,
            form,
            shown,
            differs,
            effect: None,
            reason: None,
            default: None,
            range: None,
            unit: None,
            repeated: None,
            silent: None,
        }
    }

    /// Sets the word in a row, where it is not the name of the field.
    pub(crate) const fn word(mut self, word: &'static str) -> Self {
        if let Form::Word(own, ..) = &mut self.form {
            *own = word;
        }
        self
    }

    /// Compares the field; another value is [`Effect::Tune`].
    pub(crate) const fn tune(self) -> Self {
        self.effect(Effect::Tune)
    }

    /// Compares the field; another value is [`Effect::Remap`].
    pub(crate) const fn remap(self) -> Self {
        self.effect(Effect::Remap)
    }

    /// Compares the field; another value is [`Effect::Recreate`].
    pub(crate) const fn recreate(self) -> Self {
        self.effect(Effect::Recreate)
    }

    const fn effect(mut self, effect: Effect) -> Self {
        self.effect = Some(effect);
        self
    }

    /// Sets what makes the effect what it is.
    pub(crate) const fn reason(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Sets the number that the kernel takes when the option is left out: leaving it out is not a difference.
    pub(crate) const fn default(mut self, value: u64) -> Self {
        self.default = Some(value);
        self
    }

    /// Sets the smallest and the largest legal value.
    pub(crate) const fn range(mut self, least: u64, most: u64) -> Self {
        self.range = Some((least, most));
        self
    }

    /// Sets the unit, where the type of the field does not tell it.
    pub(crate) const fn unit(mut self, unit: Unit) -> Self {
        self.unit = Some(unit);
        self
    }

    /// Refuses an option that is given twice with this message behind its name.
    pub(crate) const fn once(mut self, message: &'static str) -> Self {
        self.repeated = Some(Repeated::Named(message));
        self
    }

    /// Refuses an option that is given twice, or an alternative of it, with this message.
    pub(crate) const fn exclusive(mut self, message: &'static str) -> Self {
        self.repeated = Some(Repeated::Whole(message));
        self
    }

    /// Sets the alternative that is not printed, because it is the kernel's default.
    pub(crate) const fn silent(mut self, word: &'static str) -> Self {
        self.silent = Some(word);
        self
    }

    /// The value as it is compared: the default where the option is left out.
    fn value(&self, target: &T) -> Value {
        match (self.default, (self.shown)(target).value()) {
            (Some(default), Value::Unset) => Value::Number(default),
            (_, value) => value,
        }
    }

    fn is_set(&self, target: &T) -> bool {
        !matches!((self.shown)(target).value(), Value::Unset | Value::Flag(false))
    }

    fn compare(&self, wanted: &T, live: &T, differences: &mut Differences) {
        let Some(effect) = self.effect else { return };
        let (wanted_value, live_value) = (self.value(wanted), self.value(live));
        if (self.differs)(wanted, live) && (self.default.is_none() || wanted_value != live_value) {
            let of_type = || (self.shown)(wanted).unit().or_else(|| (self.shown)(live).unit());
            let unit = self.unit.or_else(of_type);
            let why = self.reason.map(Into::into);
            let change = Change::Values { live: live_value, wanted: wanted_value, unit, why };
            differences.push(self.field, effect, change);
        }
    }

    fn print(&self, target: &T, syntax: Syntax, out: &mut Printer) {
        match &self.form {
            Form::Word(word, get, _) => {
                let field = get(target);
                let is_default = self.default.is_some_and(|default| field.is_always(default));
                if !is_default {
                    field.print(word, syntax, out);
                }
            }
            Form::Alternatives(all) => {
                let printed = all.iter().filter(|alternative| (alternative.is_set)(target));
                printed.filter(|alternative| self.silent != Some(alternative.word)).for_each(|alternative| {
                    out.word(alternative.word);
                });
            }
        }
    }

    /// Lists the words as a message has them: with a colon where a value follows one.
    fn words(&self, target: &T, syntax: Syntax) -> Vec<String> {
        match &self.form {
            Form::Word(word, get, _) => match syntax {
                Syntax::Colon { .. } if get(target).takes_value() => vec![format!("{word}:")],
                _ => vec![(*word).to_string()],
            },
            Form::Alternatives(all) => all.iter().map(|alternative| alternative.word.to_string()).collect(),
        }
    }
}

impl<T> Options<T> {
    /// Reads all words that are left.
    pub(crate) fn parse(&self, target: &mut T, words: &mut Words<'_>) -> Result<(), ParamsError> {
        while words.left() > 0 {
            self.parse_one(target, words)?;
        }
        Ok(())
    }

    /// Reads one option and its value.
    pub(crate) fn parse_one(&self, target: &mut T, words: &mut Words<'_>) -> Result<(), ParamsError> {
        let word = words.next("an option")?;
        let (name, behind) = match self.syntax {
            Syntax::Colon { .. } => {
                word.split_once(':').map_or((word, None), |(name, value)| (name, Some(value)))
            }
            Syntax::Spaced { .. } => (word, None),
        };
        let ignore_case = match self.syntax {
            Syntax::Spaced { .. } => true,
            Syntax::Colon { flags_ignore_case } => flags_ignore_case && behind.is_none(),
        };
        let is = |own: &str, given: &str| own == given || (ignore_case && own.eq_ignore_ascii_case(given));
        for option in self.all {
            match &option.form {
                Form::Word(own, get, get_mut) if is(own, name) => {
                    let takes_value = get(target).takes_value();
                    if matches!(self.syntax, Syntax::Colon { .. }) && takes_value != behind.is_some() {
                        continue;
                    }
                    self.refuse_repeated(option, target, words)?;
                    return get_mut(target).read(&mut Given { words, behind, name: own });
                }
                Form::Alternatives(all) => {
                    if let Some(alternative) = all.iter().find(|alternative| is(alternative.word, word)) {
                        self.refuse_repeated(option, target, words)?;
                        (alternative.set)(target);
                        return Ok(());
                    }
                }
                Form::Word(..) => {}
            }
        }
        Err(self.unknown(target, word, words))
    }

    fn refuse_repeated(
        &self,
        option: &OptionRow<T>,
        target: &T,
        words: &Words<'_>,
    ) -> Result<(), ParamsError> {
        let is_set = option.is_set(target);
        match &option.repeated {
            Some(Repeated::Named(message)) if is_set => {
                Err(words.wrong(format!("{} {message}", option.words(target, self.syntax).concat())))
            }
            Some(Repeated::Whole(message)) if is_set => Err(words.wrong(*message)),
            _ => Ok(()),
        }
    }

    fn unknown(&self, target: &T, word: &str, words: &Words<'_>) -> ParamsError {
        let all: Vec<String> = self.all.iter().flat_map(|option| option.words(target, self.syntax)).collect();
        let all = all.join(", ");
        words.wrong(match self.syntax {
            Syntax::Spaced { unknown } => {
                format!("{unknown} `{}`; there are {all}", word.to_ascii_lowercase().escape_debug())
            }
            Syntax::Colon { .. } => {
                format!("this option is unknown, or its value is missing; there are {all}")
            }
        })
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

    pub(crate) fn check(&self, target: &T, problems: &mut Problems) {
        for option in self.all {
            if let (Some((least, most)), Value::Number(value)) =
                (option.range, (option.shown)(target).value())
            {
                problems.range(option.field, value, least, most);
            }
        }
    }
}
