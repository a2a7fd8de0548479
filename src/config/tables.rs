//! A table of a map file on its way into a type: handed to serde by itself, and noted where it does not read.

use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, Error};

use super::model::Origin;
use super::row_fields::RowFields;
use crate::targets;

/// A table that did not read.
pub(super) struct Failed {
    /// The place of the table.
    pub origin: Origin,
    /// The kind of table that was expected.
    pub shape: Shape,
}

/// The kinds of tables.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Top,
    Mapping,
    Target,
}

/// Tells whether the kernel could have a target type of this name.
pub(super) fn is_type_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= targets::MAX_TYPE && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Takes the fields that every target has out of a target.
pub(super) fn split_common<'i>(table: &mut DeTable<'i>) -> DeTable<'i> {
    let mut common = DeTable::new();
    for name in RowFields::NAMES {
        if let Some((key, value)) = table.remove_entry(name) {
            common.insert(key, value);
        }
    }
    common
}

/// Hands a table to serde.
pub(super) fn read<'i, T: serde::Deserialize<'i>>(table: DeTable<'i>) -> Result<T, Error> {
    T::deserialize(Deserializer::from(Spanned::new(0..0, table)))
}

/// Describes the type of a value in words.
pub(super) fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
