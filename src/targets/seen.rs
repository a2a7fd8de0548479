//! Rows seen on real kernels, for the tests of the targets: what was loaded and what was printed back.

use proptest::prelude::*;

use super::{Differences, Effect, Problems, Style, TargetType, Typed, Words};
use crate::device::{Device, Form};
use crate::identity::DevNum;

/// Columns: target, loaded parameters, printed parameters, evidence.
const ROWS: &str = include_str!("../../tests/data/roundtrip.tsv");

/// Any device known by its number.
pub fn device() -> impl Strategy<Value = Device> {
    (1u32..4096, 0u32..1_048_576).prop_map(|(major, minor)| Device::numbered(DevNum::new(major, minor)))
}

/// A row, read.
pub fn parse<T: TargetType>(params: &str) -> Result<T, String> {
    let mut words = Words::new(params).map_err(|error| error.says)?;
    let target = T::parse(&mut words).map_err(|error| error.says)?;
    words.finish().map_err(|error| error.says)?;
    Ok(target)
}

/// A row that must be readable.
pub fn read<T: TargetType>(params: &str) -> T {
    parse(params).unwrap_or_else(|error| panic!("{} {params}: {error}", T::NAME))
}

/// A target, printed and read back.
pub fn reread<T: TargetType>(target: &T) -> T {
    read(&target.params(Style::Kernel))
}

/// What `check` finds in a target of 8192 sectors.
pub fn problems<T: TargetType>(target: &T) -> Vec<String> {
    let mut problems = Problems::default();
    TargetType::check(target, Some(8192), &mut problems);
    problems.into_vec().into_iter().map(|problem| problem.says).collect()
}

/// The row must be refused, by reading or by checking, with words that hold `says`.
pub fn refused<T: TargetType>(params: &str, says: &str) {
    let all = match parse::<T>(params) {
        Ok(target) => problems(&target).join("; "),
        Err(error) => error,
    };
    assert!(all.contains(says), "{} {params}: {all:?}", T::NAME);
}

/// How two targets differ.
pub fn differences<T: TargetType>(wanted: &T, live: &T) -> Differences {
    let mut differences = Differences::default();
    TargetType::compare(wanted, live, &mut differences);
    differences
}

/// The heaviest difference.
pub fn effect<T: TargetType>(wanted: &T, live: &T) -> Option<Effect> {
    differences(wanted, live).effect()
}

/// Every row of this type that a kernel took must compare equal with what it printed, except those in
/// `ignored`, which the kernel took and ignored: they must differ, so that it is noticed.
pub fn holds<T: TargetType>(ignored: &[&str]) {
    let mut count = 0;
    for row in ROWS.lines() {
        let columns: Vec<&str> = row.split('\t').collect();
        let [kind, loaded, printed, ..] = columns[..] else { continue };
        if kind != T::NAME || printed.starts_with('!') {
            continue;
        }
        let live: T = read(printed);
        let mut wanted: T = read(loaded);
        resolve(&mut wanted, &live);
        let differences = differences(&wanted, &live);
        let equal = !ignored.contains(&loaded);
        assert_eq!(differences.is_equal(), equal, "{kind} {loaded} | {printed}: {differences:?}");
        assert_eq!(problems(&wanted), Vec::<String>::new(), "{kind} {loaded}");
        count += 1;
    }
    assert!(count > 0, "no row of {}", T::NAME);
}

/// Gives the devices of `wanted` the numbers they had on that machine.
fn resolve<T: TargetType>(wanted: &mut T, live: &T) {
    let mut live = live.clone();
    let numbers: Vec<Option<DevNum>> = TargetType::devices_mut(&mut live).iter().map(|d| d.number).collect();
    for (device, printed) in TargetType::devices_mut(wanted).into_iter().zip(numbers) {
        let Form::Path(path) = &device.form else { continue };
        let numbered = |prefix: &str, major| {
            path.strip_prefix(prefix).and_then(|n| n.parse().ok()).map(|minor| DevNum::new(major, minor))
        };
        device.number = numbered("/dev/ram", 1).or_else(|| numbered("/dev/loop", 7)).or(printed);
    }
}
