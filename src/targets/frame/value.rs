//! The value of a field in a difference: shown as text, and kept as a number or a switch for programs.

use std::fmt;

use crate::device::Device;
use crate::units::{Bytes, Sectors};

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The field is left out.
    Unset,
    /// On or off.
    Flag(bool),
    /// A number, maybe of a [`Unit`].
    Number(u64),
    /// Anything else, as its type prints it.
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => f.write_str("unset"),
            Self::Flag(on) => on.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The unit of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Sectors of 512 bytes.
    Sectors,
    /// Bytes.
    Bytes,
    /// Blocks, of a size that the target fixes or another field sets.
    Blocks,
    /// Hundredths.
    Percent,
    /// Thousandths of a second.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Units of 1024 bytes a second.
    KibibytesPerSecond,
}

impl Unit {
    /// Returns the name in the JSON output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sectors => "sectors",
            Self::Bytes => "bytes",
            Self::Blocks => "blocks",
            Self::Percent => "percent",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::KibibytesPerSecond => "KiB/s",
        }
    }

    /// Gives a number this unit, where its type does not tell the unit.
    pub fn of(self, number: impl Into<u64>) -> Quantity {
        Quantity { number: number.into(), unit: self }
    }
}

/// A number and its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    number: u64,
    unit: Unit,
}

/// A type of which the value can be shown in a difference.
pub trait FieldValue: fmt::Display {
    /// Returns the value: text, unless the type is one of numbers or switches.
    fn value(&self) -> Value {
        Value::Text(self.to_string())
    }

    /// Returns the unit, where the value is a number of one.
    fn unit(&self) -> Option<Unit> {
        None
    }
}

/// A value is shown as it is.
impl FieldValue for Value {
    fn value(&self) -> Value {
        self.clone()
    }
}

impl FieldValue for bool {
    fn value(&self) -> Value {
        Value::Flag(*self)
    }
}

macro_rules! numbers {
    ($($number:ty),+) => {
        $(impl FieldValue for $number {
            fn value(&self) -> Value {
                Value::Number(u64::from(*self))
            }
        })+
    };
}

numbers!(u8, u16, u32, u64);

impl FieldValue for usize {
    fn value(&self) -> Value {
        Value::Number(*self as u64)
    }
}

impl FieldValue for String {}
impl FieldValue for &str {}
impl FieldValue for Device {}

impl FieldValue for Sectors {
    fn value(&self) -> Value {
        Value::Number(self.0)
    }

    fn unit(&self) -> Option<Unit> {
        Some(Unit::Sectors)
    }
}

impl FieldValue for Bytes {
    fn value(&self) -> Value {
        Value::Number(self.0)
    }

    fn unit(&self) -> Option<Unit> {
        Some(Unit::Bytes)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

impl FieldValue for Quantity {
    fn value(&self) -> Value {
        Value::Number(self.number)
    }

    fn unit(&self) -> Option<Unit> {
        Some(self.unit)
    }
}
