//! How the two tables of a step differ, field by field, for a program.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::diff::Difference;
use crate::targets::{self, Unit, Value};

/// The field by which a row is told to begin, or to have another type.
const TYPE: &str = "type";

/// The field that counts the rows of a table.
const TARGETS: &str = "targets";

/// The field that is the length of a row.
const LENGTH: &str = "length";

/// One field of a table that another table changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldChange {
    /// The first sector of the row that the field belongs to; null for a field of the mapping.
    pub row: Option<u64>,
    /// The field as a map names it, as a path below the target: `offset`, `paths[1].device`.
    pub field: SmolStr,
    /// What the kernel has; null when the field is unset, or holds a key.
    pub live: Option<FieldValue>,
    /// What the map wants; null when the field is unset, or holds a key.
    pub wanted: Option<FieldValue>,
    /// What the numbers count: `sectors`, `bytes`, `blocks`, `percent`, `ms`, `s` or `KiB/s`; null when they count nothing of that.
    pub unit: Option<SmolStr>,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FieldValue {
    /// On or off.
    Flag(bool),
    /// A number.
    Number(u64),
    /// Any other value, as a table or a map writes it.
    Text(SmolStr),
}

impl FieldChange {
    pub(super) fn of(difference: &Difference) -> Self {
        let text = |text: &SmolStr| Some(FieldValue::Text(text.clone()));
        let number = |number: u64| Some(FieldValue::Number(number));
        let count = |rows: usize| number(rows as u64);
        let plain =
            |row, field: &str, live, wanted| Self { row, field: field.into(), live, wanted, unit: None };
        match difference {
            Difference::Field { start, field } => Self::of_field(*start, field),
            Difference::Type { start, live, wanted } => plain(Some(*start), TYPE, text(live), text(wanted)),
            Difference::RowBegins { start, kind } => plain(Some(*start), TYPE, None, text(kind)),
            Difference::RowCount { live, wanted } => plain(None, TARGETS, count(*live), count(*wanted)),
            Difference::Access(wanted) => {
                let wanted = wanted.is_read_only();
                plain(None, "readonly", Some(FieldValue::Flag(!wanted)), Some(FieldValue::Flag(wanted)))
            }
            Difference::BlockSize { live, wanted } => Self {
                unit: Some(Unit::Bytes.name().into()),
                ..plain(None, "logical_block_size", number(*live), number(*wanted))
            },
            Difference::LowerGrew { device, used, size } => Self {
                unit: Some(targets::Unit::Sectors.name().into()),
                ..plain(
                    None,
                    &format!("size of {}", **device),
                    Some(FieldValue::Number(*used)),
                    Some(FieldValue::Number(*size)),
                )
            },
            Difference::Order { start, order } => {
                plain(Some(*start), order.field(), None, Some(FieldValue::Text(order.value().into())))
            }
            // No table tells which device it was.
            Difference::LowerDevice(_) => plain(None, "device", None, None),
        }
    }

    fn of_field(start: u64, difference: &targets::Difference) -> Self {
        let (live, wanted, unit) = match &difference.change {
            targets::Change::Values { live, wanted, unit, .. } => {
                (FieldValue::of(live), FieldValue::of(wanted), *unit)
            }
            targets::Change::Key | targets::Change::Parameters => (None, None, None),
        };
        let unit = unit.map(|unit| unit.name().into());
        Self { row: Some(start), field: difference.field.as_str().into(), live, wanted, unit }
    }

    /// Whether the rows of both tables, one above the other, show it already: a row that begins, the number of rows,
    /// a length.
    pub fn is_in_rows(&self) -> bool {
        match (self.row, self.field.as_str()) {
            (Some(_), TYPE) => self.live.is_none(),
            (Some(_), LENGTH) | (None, TARGETS) => true,
            _ => false,
        }
    }
}

impl FieldValue {
    fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Unset => return None,
            Value::Flag(on) => Self::Flag(*on),
            Value::Number(number) => Self::Number(*number),
            Value::Text(text) => Self::Text(text.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::access::Access;
    use crate::targets::{Differences, Effect};
    use crate::units::Sectors;

    fn told(difference: &Difference) -> serde_json::Value {
        serde_json::to_value(FieldChange::of(difference)).unwrap()
    }

    fn field(compare: impl FnOnce(&mut Differences)) -> serde_json::Value {
        let mut differences = Differences::default();
        compare(&mut differences);
        told(&Difference::Field { start: 8, field: differences.fields.remove(0) })
    }

    #[test]
    fn a_value_is_what_it_is() {
        let offset = field(|all| all.field("offset", &Sectors(8), &Sectors(0), Effect::Remap));
        assert_eq!(offset, json!({ "row": 8, "field": "offset", "live": 0, "wanted": 8, "unit": "sectors" }));
        let switch = field(|all| all.field("cleaner", &true, &false, Effect::Tune));
        assert_eq!((&switch["live"], &switch["wanted"]), (&json!(false), &json!(true)));
        let unset = field(|all| all.optional("hw_handler", Some(&"alua".to_string()), None, Effect::Tune));
        assert_eq!((&unset["live"], &unset["wanted"]), (&json!(null), &json!("alua")));
    }

    #[test]
    fn a_key_is_told_without_its_value() {
        let key = field(|all| all.push("key", Effect::Remap, targets::Change::Key));
        assert_eq!(key, json!({ "row": 8, "field": "key", "live": null, "wanted": null, "unit": null }));
    }

    #[test]
    fn rows_tell_where_they_begin_and_how_many_there_are() {
        let begins = FieldChange::of(&Difference::RowBegins { start: 8, kind: "zero".into() });
        assert_eq!((begins.row, &begins.live), (Some(8), &None));
        let count = FieldChange::of(&Difference::RowCount { live: 2, wanted: 1 });
        assert!(begins.is_in_rows() && count.is_in_rows());
        let other = Difference::Type { start: 8, live: "error".into(), wanted: "zero".into() };
        assert!(!FieldChange::of(&other).is_in_rows());
        let access = told(&Difference::Access(Access::ReadOnly));
        assert_eq!(
            (&access["field"], &access["live"], &access["wanted"]),
            (&json!("readonly"), &json!(false), &json!(true))
        );
    }
}
