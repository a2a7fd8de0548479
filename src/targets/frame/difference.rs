//! How a wanted target differs from a live one, and what it takes to make them equal.

use std::fmt::Display;

/// What a difference takes, from harmless to heavy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Another table, and every old sector keeps its place and its content.
    Tune,
    /// Another table, and some sector leads elsewhere or reads differently: another device, offset, key.
    Remap,
    /// The kernel would refuse or ignore another table: the device must be removed and created again.
    Recreate,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field, in the words of the map file.
    pub field: String,
    /// What it takes.
    pub effect: Effect,
    /// What a person reads: the change, without keys.
    pub says: String,
}

/// All fields that differ, or why that can't be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// The fields, in the order they were compared.
    pub fields: Vec<Difference>,
    /// Set when the live target can't be judged: it is then never reloaded.
    pub unknown: Option<String>,
    /// What a person should know and no reload can change: a field that was fixed when the device was
    /// formatted, and now differs from the map.
    pub warnings: Vec<String>,
}

impl Differences {
    /// Notes that `field` differs.
    pub fn push(&mut self, field: &str, effect: Effect, says: impl Into<String>) {
        self.fields.push(Difference { field: field.to_string(), effect, says: says.into() });
    }

    /// Compares one field; `effect` is what another value takes.
    pub fn field<T: PartialEq + Display>(&mut self, field: &str, wanted: &T, live: &T, effect: Effect) {
        if wanted != live {
            self.push(field, effect, format!("{field} {live} -> {wanted}"));
        }
    }

    /// Compares one field like [`field`](Self::field), and says what makes the effect what it is.
    pub fn field_with_reason<T: PartialEq + Display>(
        &mut self,
        field: &str,
        wanted: &T,
        live: &T,
        effect: Effect,
        why: &str,
    ) {
        if wanted != live {
            self.push(field, effect, format!("{field} {live} -> {wanted}: {why}"));
        }
    }

    /// Compares a field that may be left out.
    pub fn optional<T: PartialEq + Display>(
        &mut self,
        field: &str,
        wanted: Option<&T>,
        live: Option<&T>,
        effect: Effect,
    ) {
        if wanted != live {
            let show = |value: Option<&T>| value.map_or_else(|| "unset".to_string(), T::to_string);
            self.push(field, effect, format!("{field} {} -> {}", show(live), show(wanted)));
        }
    }

    /// Compares a field that must not be shown.
    pub fn secret<T: PartialEq>(&mut self, field: &str, wanted: &T, live: &T, effect: Effect) {
        if wanted != live {
            self.push(field, effect, format!("{field} differs"));
        }
    }

    /// Notes that the live target can't be judged.
    pub fn unknown(&mut self, why: impl Into<String>) {
        self.unknown = Some(why.into());
    }

    /// Tells a person of something that no reload can change; the two stay equal.
    pub fn warn(&mut self, says: impl Into<String>) {
        self.warnings.push(says.into());
    }

    /// Whether the two are equal.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.fields.is_empty() && self.unknown.is_none()
    }

    /// The heaviest effect of all.
    #[must_use]
    pub fn effect(&self) -> Option<Effect> {
        self.fields.iter().map(|difference| difference.effect).max()
    }
}
