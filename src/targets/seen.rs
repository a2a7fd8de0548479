//! Rows seen on real kernels, for the tests of the targets: what was loaded and what was printed back.

use proptest::prelude::*;

use super::{Differences, Effect, Problems, Style, TargetKind, Words};
use crate::device::{Device, Form};
use crate::identity::DevNum;

/// Columns: target, loaded parameters, printed parameters, evidence.
const ROWS: &str = include_str!("../../tests/data/roundtrip.tsv");

/// Any device known by its number.
pub fn device() -> impl Strategy<Value = Device> {
    (1u32..4096, 0u32..1_048_576).prop_map(|(major, minor)| Device::numbered(DevNum::new(major, minor)))
}

/// A row, read.
pub fn parse<T: TargetKind>(params: &str) -> Result<T, String> {
    let mut words = Words::new(params).map_err(|error| error.to_string())?;
    let target = T::parse(&mut words).map_err(|error| error.to_string())?;
    words.finish().map_err(|error| error.to_string())?;
    Ok(target)
}

/// A row that must be readable.
pub fn read<T: TargetKind>(params: &str) -> T {
    parse(params).unwrap_or_else(|error| panic!("{} {params}: {error}", T::NAME))
}

/// A target, printed and read back. Written to a map it must read back, too, and what is loaded to have it
/// again must compare equal with it.
pub fn reread<T: TargetKind>(target: &T) -> T {
    assert!(refiled(target) == *target, "{:?}", target.fields());
    let same = differences(&TargetKind::for_export(target), target);
    assert!(same.is_equal(), "{same:?}");
    read(&target.params(Style::Kernel))
}

/// A target, written to a map and read back.
fn refiled<T: TargetKind>(target: &T) -> T {
    target.fields().try_into().unwrap_or_else(|error| panic!("{}: {error}", T::NAME))
}

proptest! {
    /// Whatever a row says, reading it and looking at what was read ends with an answer.
    #[test]
    fn no_row_is_too_odd(
        (row, odd) in (prop::sample::select(loaded()), prop::sample::select(vocabulary())),
        place in any::<prop::sample::Index>(),
        length in prop::option::of(any::<u64>()),
    ) {
        let (name, params) = row;
        let mut words: Vec<&str> = params.split_whitespace().chain([""]).collect();
        *place.get_mut(&mut words) = odd;
        let Ok(target) = super::parse(name, &words.join(" ")) else { return Ok(()) };
        target.check(length, &mut Problems::default());
        prop_assert!(target.compare(target.as_ref()).is_some());
        let (over, again) = (target.for_reload(target.as_ref()), target.for_export());
        prop_assert_eq!(over.kind(), again.kind());
        target.lower_devices(length.unwrap_or(0));
        target.metadata();
        target.remaining_length(&|_| length);
        super::parse(name, &target.params(Style::Kernel)).unwrap();
    }
}

/// Every row that was loaded: its target and its parameters.
fn loaded() -> Vec<(&'static str, &'static str)> {
    let rows = ROWS.lines().skip(1).filter_map(|row| row.split_once('\t'));
    rows.filter_map(|(name, rest)| Some((name, rest.split('\t').next()?))).collect()
}

/// The words of all these rows, and numbers at the borders.
fn vocabulary() -> Vec<&'static str> {
    let borders = ["0", "1", "2", "3", "4294967295", "4294967296", "18446744073709551615", "-1", "Fail"];
    let seen = loaded().into_iter().flat_map(|(_, params)| params.split_whitespace());
    borders.into_iter().chain(seen).collect()
}

/// The example of the manual must be a valid row, whatever its length.
fn documented<T: TargetKind>() {
    let mut fields: toml::Table = T::DOC.example.parse().unwrap();
    assert_eq!(fields.remove("type"), Some(T::NAME.into()));
    fields.remove("length");
    let target: T = fields.try_into().unwrap_or_else(|error| panic!("{}: {error}", T::NAME));
    assert_eq!(problems(&target), Vec::<String>::new(), "{}", T::NAME);
    let schema = schemars::schema_for!(T).to_value();
    let described = schema["properties"].as_object().unwrap();
    assert!(
        !described.is_empty() && described.values().all(|field| field.get("description").is_some()),
        "{schema}"
    );
    assert!(!described.contains_key("failed"));
    assert!(target.kind() == T::NAME && read::<T>(&target.params(Style::Kernel)).kind() == T::NAME);
}

/// What `check` finds in a target of 8192 sectors.
pub fn problems<T: TargetKind>(target: &T) -> Vec<String> {
    let mut problems = Problems::default();
    target.check(Some(8192), &mut problems);
    problems.into_vec().into_iter().map(|problem| problem.to_string()).collect()
}

/// The row must be refused, by reading or by checking, with words that hold `says`.
pub fn refused<T: TargetKind>(params: &str, says: &str) {
    let all = match parse::<T>(params) {
        Ok(target) => problems(&target).join("; "),
        Err(error) => error,
    };
    assert!(all.contains(says), "{} {params}: {all:?}", T::NAME);
}

/// How two targets differ.
pub fn differences<T: TargetKind>(wanted: &T, live: &T) -> Differences {
    let mut differences = Differences::default();
    TargetKind::compare(wanted, live, &mut differences);
    differences
}

/// The heaviest difference.
pub fn effect<T: TargetKind>(wanted: &T, live: &T) -> Option<Effect> {
    differences(wanted, live).effect()
}

/// Every row of this type that a kernel took must compare equal with what it printed, except those in
/// `ignored`, which the kernel took and ignored: they must differ, so that it is noticed.
pub fn holds<T: TargetKind>(ignored: &[&str]) {
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
        assert_eq!(reread(&live).params(Style::Kernel), live.params(Style::Kernel), "{kind} {printed}");
        count += 1;
    }
    assert!(count > 0, "no row of {}", T::NAME);
    documented::<T>();
}

/// Gives the devices of `wanted` the numbers they had on that machine.
fn resolve<T: TargetKind>(wanted: &mut T, live: &T) {
    let mut live = live.clone();
    let numbers: Vec<Option<DevNum>> = live.devices_mut().iter().map(|d| d.number).collect();
    for (device, printed) in wanted.devices_mut().into_iter().zip(numbers) {
        let Form::Path(path) = &device.form else { continue };
        let numbered = |prefix: &str, major| {
            path.strip_prefix(prefix).and_then(|n| n.parse().ok()).map(|minor| DevNum::new(major, minor))
        };
        device.number = numbered("/dev/ram", 1).or_else(|| numbered("/dev/loop", 7)).or(printed);
    }
}
