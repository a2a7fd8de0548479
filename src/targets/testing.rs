//! What the property tests of the targets share: arbitrary devices and positions, and the round trip.

use std::fmt::Debug;

use proptest::prelude::*;

use super::argument::Argument;
use super::{Differences, Effect, Printer, Problem, Problems, Style, TargetKind, Words};
use crate::device::Device;
use crate::identity::DevNum;
use crate::units::{MAX_BYTES, SECTOR, Sectors};

/// A device by its number, as the kernel prints one.
pub fn device() -> impl Strategy<Value = Device> {
    (0u32..1 << 12, 0u32..1 << 20).prop_map(|(major, minor)| Device::numbered(DevNum::new(major, minor)))
}

/// A position on a device.
pub fn sectors() -> impl Strategy<Value = Sectors> {
    (0..=MAX_BYTES / SECTOR).prop_map(Sectors)
}

/// A word for a part of the kernel behind the target.
pub fn argument() -> impl Strategy<Value = Argument> {
    "[a-z0-9,_]{1,8}".prop_map(|text| Argument::new(&text).unwrap())
}

/// A row read as `T`.
pub fn parse<T: TargetKind>(params: &str) -> T {
    try_parse(params).unwrap_or_else(|error| panic!("{params}: {error}"))
}

/// A row read as `T`, or what is wrong with it.
pub fn try_parse<T: TargetKind>(params: &str) -> Result<T, String> {
    let mut words = Words::new(params).map_err(|error| error.to_string())?;
    let parsed = T::parse(&mut words).map_err(|error| error.to_string())?;
    words.finish().map_err(|error| error.to_string())?;
    Ok(parsed)
}

/// A target as the kernel is given it.
pub fn print<T: TargetKind>(target: &T) -> String {
    let mut out = Printer::new(Style::Kernel);
    target.print(&mut out);
    out.finish()
}

/// How `wanted` differs from `live`, both rows of `T`.
pub fn compare<T: TargetKind>(wanted: &str, live: &str) -> Differences {
    let mut differences = Differences::default();
    TargetKind::compare(&parse::<T>(wanted), &parse::<T>(live), &mut differences);
    differences
}

/// What it takes to give a row of `target` another length.
pub fn resized<T: TargetKind>(target: &T, length: u64, live_length: u64) -> Option<Effect> {
    let mut differences = Differences::default();
    target.resized(length, live_length, &mut differences);
    differences.effect()
}

/// What is wrong with a row of `T`.
pub fn check<T: TargetKind>(params: &str, length: Option<u64>) -> Vec<Problem> {
    let mut problems = Problems::default();
    parse::<T>(params).check(length, &mut problems);
    problems.into_vec()
}

/// Holds when `target` is printed and read back as itself, as a row and as the fields of a map.
pub fn round_trip<T: TargetKind + Debug>(target: &T) -> Result<(), TestCaseError> {
    prop_assert_eq!(&parse::<T>(&print(target)), target);
    let fields = toml::to_string(target).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let read: T = toml::from_str(&fields).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(&read, target);
    Ok(())
}
