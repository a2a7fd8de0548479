//! The kit of the targets' unit tests: any device and number, reading a row, checking and comparing, the round trip.
//!
//! What was seen of real kernels is not tested here, but in `tests/roundtrip`, which holds every row of every target to
//! the same laws. `tests/generated.rs` does the same with the examples of the manual.

use std::fmt::Debug;

use proptest::prelude::*;

use super::argument::Argument;
use super::{Differences, Effect, Problem, Problems, Style, Target, TargetKind, Words};
use crate::device::Device;
use crate::identity::DevNum;
use crate::units::{MAX_BYTES, SECTOR, Sectors};

/// Any device known by its number.
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

/// Reads a row of `T`, or returns the message with which it is refused.
pub fn try_parse<T: TargetKind>(params: &str) -> Result<T, String> {
    let mut words = Words::new(params).map_err(|error| error.to_string())?;
    let target = T::parse(&mut words).map_err(|error| error.to_string())?;
    words.finish().map_err(|error| error.to_string())?;
    Ok(target)
}

/// Reads a row of `T` that must be readable.
pub fn parse<T: TargetKind>(params: &str) -> T {
    try_parse(params).unwrap_or_else(|error| panic!("{} {params}: {error}", T::NAME))
}

/// Prints a target as the kernel is given it.
pub fn print<T: TargetKind>(target: &T) -> String {
    target.params(Style::Kernel)
}

/// Finds all that is wrong with a target of a row of `length` sectors.
pub fn problems(target: &impl Target, length: Option<u64>) -> Vec<Problem> {
    let mut problems = Problems::default();
    target.check(length, &mut problems);
    problems.into_vec()
}

/// Finds all that is wrong with a row of `T`.
pub fn check<T: TargetKind>(params: &str, length: Option<u64>) -> Vec<Problem> {
    problems(&parse::<T>(params), length)
}

/// Lists the fields that are wrong in a row of `T`.
pub fn wrong_fields<T: TargetKind>(params: &str, length: Option<u64>) -> Vec<String> {
    check::<T>(params, length).into_iter().map(|problem| problem.field).collect()
}

/// The row must be refused, by reading or by checking, with a message that holds `part`.
pub fn refused<T: TargetKind>(params: &str, part: &str) {
    let message = match try_parse::<T>(params) {
        Ok(target) => {
            problems(&target, Some(8192)).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        Err(error) => error,
    };
    assert!(message.contains(part), "{} {params}: {message:?}", T::NAME);
}

/// How two targets differ.
pub fn differences<T: TargetKind>(wanted: &T, live: &T) -> Differences {
    let mut differences = Differences::default();
    TargetKind::compare(wanted, live, &mut differences);
    differences
}

/// How two rows of `T` differ.
pub fn compare<T: TargetKind>(wanted: &str, live: &str) -> Differences {
    differences(&parse::<T>(wanted), &parse::<T>(live))
}

/// The effect of a change of `live` to a row of `T`.
pub fn effect<T: TargetKind>(wanted: &str, live: &T) -> Option<Effect> {
    differences(&parse::<T>(wanted), live).effect()
}

/// The effect of another length of a row of `target`.
pub fn resized<T: TargetKind>(target: &T, length: u64, live_length: u64) -> Option<Effect> {
    let mut differences = Differences::default();
    target.resized(length, live_length, &mut differences);
    differences.effect()
}

/// Holds when `target` is printed and read back as itself, as a row and, unless it may hold a key, as the fields of a
/// map, and when what is loaded to have it again compares as equal with it.
pub fn round_trip<T: TargetKind + Debug>(target: &T) -> Result<(), TestCaseError> {
    prop_assert_eq!(&parse::<T>(&print(target)), target);
    let same = differences(&TargetKind::for_export(target), target);
    prop_assert!(same.is_equal(), "{:?}", same);
    if !T::TRAITS.secret {
        let fields = toml::to_string(target).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let read: T = toml::from_str(&fields).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(&read, target);
        let read: Result<T, _> = target.fields().try_into();
        prop_assert_eq!(read.as_ref(), Ok(target));
    }
    Ok(())
}
