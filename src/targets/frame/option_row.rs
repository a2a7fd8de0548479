//! One line of a table of options: how a word is read and printed, and what another value takes.

use super::operand::{Given, OptionField, Shown, Syntax, Token};
use super::{Change, Differences, Effect, ParamsError, Printer, Problems, Unit, Value, Words};

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
    noun: Option<&'static str>,
}

/// How an option is read and printed.
pub(super) enum Form<T: 'static> {
    /// A word, and the value behind it where the field is not a switch.
    Word(&'static str, fn(&T) -> &dyn OptionField, fn(&mut T) -> &mut dyn OptionField),
    /// One of several words, each of which stands for a value.
    Alternatives(&'static [Alternative<T>]),
    /// A word, and one of several words behind it, each of which stands for a value.
    Choice(Choice, &'static [Alternative<T>]),
    /// Several options that fill one field together. They have a table of their own, which also reads them.
    Part {
        /// Lists their words, as [`OptionRow::words`] does.
        words: fn() -> Vec<String>,
        /// Prints those that are set.
        print: fn(&T, &mut Printer),
    },
}

/// A word that stands for a value.
pub(crate) struct Alternative<T> {
    pub(crate) word: &'static str,
    pub(crate) set: fn(&mut T),
    pub(crate) is_set: fn(&T) -> bool,
}

/// The word in front of alternatives.
#[derive(Clone, Copy)]
pub(crate) struct Choice {
    pub(crate) word: &'static str,
    /// Another word for it, which is read and never printed.
    pub(crate) alias: Option<&'static str>,
    /// What should be behind it, for the message when the row ends there.
    pub(crate) noun: &'static str,
    /// The message for a word behind it that is not an alternative.
    pub(crate) wrong: &'static str,
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

/// Begins the line of an option of which each value is a word by itself. The words of a `choice!` are taken
/// from there; one that is left out does not compile.
macro_rules! alternatives {
    ($field:ident: $($word:literal => $value:expr),+ $(,)?) => {
        $crate::targets::frame::alternatives!(@row $field: $($word => $value),+)
    };
    ($field:ident: $choice:ident { $($variant:ident),+ $(,)? }) => {{
        const _: fn($choice) = |choice| match choice {
            $($choice::$variant)|+ => (),
        };
        $crate::targets::frame::alternatives!(@row $field: $($choice::$variant.word() => $choice::$variant),+)
    }};
    (@row $field:ident: $($word:expr => $value:expr),+) => {
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

/// Begins the line of a field that several options fill together: those of the table `$part::OPTIONS`, to which
/// `$part::of` takes the field apart.
macro_rules! part {
    ($field:ident: $part:ident) => {
        $crate::targets::frame::OptionRow::of_part(
            stringify!($field),
            || $part::OPTIONS.words(&$part::default()),
            |target: &Self, out| $part::OPTIONS.print(&$part::of(target.$field.as_ref()), out),
            |target: &Self| &target.$field,
            |one: &Self, other: &Self| one.$field != other.$field,
        )
    };
}
pub(crate) use part;

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

    /// Begins a line; [`part!`] writes the arguments.
    pub(crate) const fn of_part(
        field: &'static str,
        words: fn() -> Vec<String>,
        print: fn(&T, &mut Printer),
        shown: fn(&T) -> &dyn Shown,
        differs: fn(&T, &T) -> bool,
    ) -> Self {
        Self::with_form(field, Form::Part { words, print }, shown, differs)
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
            noun: None,
        }
    }

    /// Sets the word in a row, where it is not the name of the field.
    pub(crate) const fn word(mut self, word: &'static str) -> Self {
        if let Form::Word(own, ..) = &mut self.form {
            *own = word;
        }
        self
    }

    /// Sets the word in front of the alternatives.
    pub(crate) const fn behind(mut self, choice: Choice) -> Self {
        if let Form::Alternatives(all) = self.form {
            self.form = Form::Choice(choice, all);
        }
        self
    }

    /// Sets what a message about the value calls it, where that is not the word.
    pub(crate) const fn noun(mut self, noun: &'static str) -> Self {
        self.noun = Some(noun);
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

    pub(super) fn is_set(&self, target: &T) -> bool {
        !matches!((self.shown)(target).value(), Value::Unset | Value::Flag(false))
    }

    /// Whether the option is the one that `token` names.
    pub(super) fn takes(&self, target: &T, syntax: Syntax, token: &Token<'_>) -> bool {
        let has_value = |takes_value: bool| {
            matches!(syntax, Syntax::Spaced { .. }) || takes_value == token.behind.is_some()
        };
        match &self.form {
            Form::Word(own, get, _) => token.is_named(own) && has_value(get(target).takes_value()),
            Form::Alternatives(all) => all.iter().any(|alternative| token.is(alternative.word)),
            Form::Choice(choice, _) => {
                let is_named =
                    token.is_named(choice.word) || choice.alias.is_some_and(|alias| token.is_named(alias));
                is_named && has_value(true)
            }
            Form::Part { .. } => false,
        }
    }

    /// Reads the value of the option that `token` names.
    pub(super) fn read<'a>(
        &self,
        target: &mut T,
        token: &Token<'a>,
        words: &mut Words<'a>,
    ) -> Result<(), ParamsError> {
        let behind = token.behind;
        match &self.form {
            Form::Word(own, _, get_mut) => {
                get_mut(target).read(&mut Given { words, behind, name: self.noun.unwrap_or(own) })
            }
            Form::Alternatives(all) => {
                if let Some(given) = all.iter().find(|alternative| token.is(alternative.word)) {
                    (given.set)(target);
                }
                Ok(())
            }
            Form::Choice(choice, all) => {
                let text = Given { words, behind, name: choice.noun }.text()?;
                let given = all.iter().find(|alternative| token.matches(alternative.word, text));
                (given.ok_or_else(|| words.wrong(choice.wrong))?.set)(target);
                Ok(())
            }
            Form::Part { .. } => Ok(()),
        }
    }

    /// Refuses an option that is set already, where the kernel takes it only once.
    pub(super) fn refuse_repeated(
        &self,
        target: &T,
        syntax: Syntax,
        words: &Words<'_>,
    ) -> Result<(), ParamsError> {
        match &self.repeated {
            Some(Repeated::Named(message)) if self.is_set(target) => {
                Err(words.wrong(format!("{} {message}", self.words(target, syntax).concat())))
            }
            Some(Repeated::Whole(message)) if self.is_set(target) => Err(words.wrong(*message)),
            _ => Ok(()),
        }
    }

    pub(super) fn print(&self, target: &T, syntax: Syntax, out: &mut Printer) {
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
            Form::Choice(choice, all) => {
                let printed = all.iter().filter(|alternative| (alternative.is_set)(target));
                printed.for_each(|alternative| syntax.print(choice.word, alternative.word, out));
            }
            Form::Part { print, .. } => print(target, out),
        }
    }

    pub(super) fn compare(&self, wanted: &T, live: &T, differences: &mut Differences) {
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

    pub(super) fn check(&self, target: &T, problems: &mut Problems) {
        if let (Some((least, most)), Value::Number(value)) = (self.range, (self.shown)(target).value()) {
            problems.range(self.field, value, least, most);
        }
    }

    /// Lists the words as a message has them: with a colon where a value follows one.
    pub(super) fn words(&self, target: &T, syntax: Syntax) -> Vec<String> {
        let word = |word: &str, takes_value: bool| match syntax {
            Syntax::Colon { .. } if takes_value => vec![format!("{word}:")],
            _ => vec![word.to_string()],
        };
        match &self.form {
            Form::Word(own, get, _) => word(own, get(target).takes_value()),
            Form::Alternatives(all) => all.iter().map(|alternative| alternative.word.to_string()).collect(),
            Form::Choice(choice, _) => word(choice.word, true),
            Form::Part { words, .. } => words(),
        }
    }
}
