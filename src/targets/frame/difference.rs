//! How a wanted target differs from a live one, and which kind of change makes them equal.
//!
//! A difference is data: the field, both values and their unit. What a person reads is made of it at the edge, by
//! `Display`, so that nothing else has to take a sentence apart.

use std::borrow::Cow;
use std::fmt;

use super::incomparable::{IgnoredValue, Incomparable};
use super::value::{FieldValue, Unit, Value};

/// The kind of change that removes a difference, from harmless to heavy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Another table, and every old sector keeps its place and its content.
    Tune,
    /// Another table, and some sector moves or reads differently: another device, offset, key.
    Remap,
    /// The kernel would refuse or ignore another table: the device must be removed and created again.
    Recreate,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field, in the words of the map file.
    pub field: String,
    /// The kind of change that it needs.
    pub effect: Effect,
    /// How the two values differ.
    pub change: Change,
}

/// How the two values of a field differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// From one value to another.
    Values {
        /// The value in the kernel.
        live: Value,
        /// The value in the map.
        wanted: Value,
        /// The unit of both, where they are numbers of one.
        unit: Option<Unit>,
        /// The reason of the effect, where that is not plain.
        why: Option<Cow<'static, str>>,
    },
    /// Another key. Neither key is ever held here.
    Key,
    /// The parameters of a type that dmctl does not know.
    Parameters,
}

/// `offset 0 -> 8`, and behind a colon why that is heavier than it looks.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = &self.field;
        match &self.change {
            Change::Values { live, wanted, why: None, .. } => write!(f, "{field} {live} -> {wanted}"),
            Change::Values { live, wanted, why: Some(why), .. } => {
                write!(f, "{field} {live} -> {wanted}: {why}")
            }
            Change::Key => {
                write!(
                    f,
                    "{field} differs: existing data can't be decrypted or authenticated with a different key"
                )
            }
            Change::Parameters => {
                f.write_str("the parameters differ, and what that means for this type is unknown")
            }
        }
    }
}

/// All fields that differ, or the reason why they can't be compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// The fields, in the order they were compared.
    pub fields: Vec<Difference>,
    /// Set when the live target can't be judged: it is then never reloaded.
    pub unknown: Option<Incomparable>,
    /// Wanted values that no reload can set: a field that was fixed when the device was formatted, and now differs
    /// from the map.
    pub ignored: Vec<IgnoredValue>,
}

impl Differences {
    /// Adds that `field` differs.
    pub fn push(&mut self, field: &str, effect: Effect, change: Change) {
        self.fields.push(Difference { field: field.to_string(), effect, change });
    }

    /// Compares one field; `effect` is the change that another value needs.
    pub fn field<T: PartialEq + FieldValue>(&mut self, field: &str, wanted: &T, live: &T, effect: Effect) {
        if wanted != live {
            self.push(field, effect, Change::of(Some(wanted), Some(live), None));
        }
    }

    /// Compares one field like [`field`](Self::field), with the reason of the effect.
    pub fn field_with_reason<T: PartialEq + FieldValue>(
        &mut self,
        field: &str,
        wanted: &T,
        live: &T,
        effect: Effect,
        why: impl Into<Cow<'static, str>>,
    ) {
        if wanted != live {
            self.push(field, effect, Change::of(Some(wanted), Some(live), Some(why.into())));
        }
    }

    /// Compares a field that may be left out.
    pub fn optional<T: PartialEq + FieldValue>(
        &mut self,
        field: &str,
        wanted: Option<&T>,
        live: Option<&T>,
        effect: Effect,
    ) {
        if wanted != live {
            self.push(field, effect, Change::of(wanted, live, None));
        }
    }

    /// Compares a field that may be left out, with the reason of the effect.
    pub fn optional_with_reason<T: PartialEq + FieldValue>(
        &mut self,
        field: &str,
        wanted: Option<&T>,
        live: Option<&T>,
        effect: Effect,
        why: impl Into<Cow<'static, str>>,
    ) {
        if wanted != live {
            self.push(field, effect, Change::of(wanted, live, Some(why.into())));
        }
    }

    /// Compares one field that `by` on disk, `metadata` or `superblock`, fixes when it is formatted.
    pub fn fixed<T: PartialEq + FieldValue>(&mut self, field: &str, wanted: &T, live: &T, by: &str) {
        if wanted != live {
            let why = format!("the {by} fixes it, and the kernel refuses another").into();
            self.push(field, Effect::Recreate, Change::of(Some(wanted), Some(live), Some(why)));
        }
    }

    /// Marks the live target as one that can't be judged.
    pub fn unknown(&mut self, why: Incomparable) {
        self.unknown = Some(why);
    }

    /// Adds a value that no reload can set; the two stay equal.
    pub fn ignore(&mut self, value: IgnoredValue) {
        self.ignored.push(value);
    }

    /// Whether the two are equal.
    pub fn is_equal(&self) -> bool {
        self.fields.is_empty() && self.unknown.is_none()
    }

    /// Returns the heaviest effect of all.
    pub fn effect(&self) -> Option<Effect> {
        self.fields.iter().map(|difference| difference.effect).max()
    }
}

impl Change {
    fn of<T: FieldValue>(wanted: Option<&T>, live: Option<&T>, why: Option<Cow<'static, str>>) -> Self {
        let value = |of: Option<&T>| of.map_or(Value::Unset, FieldValue::value);
        let unit = wanted.or(live).and_then(FieldValue::unit);
        Self::Values { live: value(live), wanted: value(wanted), unit, why }
    }
}
