//! The kit of the targets' unit tests: arbitrary fields, reading and printing a row, checking, comparing, and the
//! rows that were seen on real kernels.
//!
//! `tests/roundtrip.rs` holds every such row of every target to the same law; what is here proves more about one.

use std::fmt::Debug;

use proptest::prelude::*;

use super::argument::Argument;
use super::{
    Differences, Effect, ParamsError, Printer, Problem, Problems, Style, Target, TargetKind, Words, find,
};
use crate::device::{Device, Form};
use crate::identity::DevNum;
use crate::units::{MAX_BYTES, SECTOR, Sectors};

/// Columns: target, loaded parameters, printed parameters, evidence.
const ROWS: &str = include_str!("../../tests/data/roundtrip.tsv");

/// Any device known by its number.
pub fn device() -> impl Strategy<Value = Device> {
    (0u32..1 << 12, 0u32..1 << 20).prop_map(|(major, minor)| Device::numbered(DevNum::new(major, minor)))
}

pub fn try_parse<T: TargetKind>(params: &str) -> Result<T, String> {
    let mut words = Words::new(params).map_err(|error| error.to_string())?;
    let target = T::parse(&mut words).map_err(|error| error.to_string())?;
    words.finish().map_err(|error| error.to_string())?;
    Ok(target)
}

/// A row that must be readable.
pub fn parse<T: TargetKind>(params: &str) -> T {
    try_parse(params).unwrap_or_else(|error| panic!("{} {params}: {error}", T::NAME))
}

/// A target, printed and read back. Written to a map it must read back, too, and what is loaded to have it
/// again must compare equal with it.
pub fn reread<T: TargetKind>(target: &T) -> T {
    assert!(refiled(target) == *target, "{:?}", target.fields());
    let same = differences(&TargetKind::for_export(target), target);
    assert!(same.is_equal(), "{same:?}");
    parse(&target.params(Style::Kernel))
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
    assert!(target.kind() == T::NAME && parse::<T>(&target.params(Style::Kernel)).kind() == T::NAME);
}

/// What `check` finds in a target of 8192 sectors.
pub fn problems<T: TargetKind>(target: &T) -> Vec<String> {
    let mut problems = Problems::default();
    target.check(Some(8192), &mut problems);
    problems.into_vec().into_iter().map(|problem| problem.to_string()).collect()
}

/// The row must be refused, by reading or by checking, with a message that holds `part`.
pub fn refused<T: TargetKind>(params: &str, part: &str) {
    let all = match try_parse::<T>(params) {
        Ok(target) => problems(&target).join("; "),
        Err(error) => error,
    };
    assert!(all.contains(part), "{} {params}: {all:?}", T::NAME);
}

/// How two targets differ.
pub fn differences<T: TargetKind>(wanted: &T, live: &T) -> Differences {
    let mut differences = Differences::default();
    TargetKind::compare(wanted, live, &mut differences);
    differences
}

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
        let live: T = parse(printed);
        let mut wanted: T = parse(loaded);
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
        if let Form::Path(_) = &device.form {
            device.number = memory_disk(device).or(printed);
        }
    }
}

/// Returns the number of `/dev/ramN` (1:N) or `/dev/loopN` (7:N).
fn memory_disk(device: &Device) -> Option<DevNum> {
    let Form::Path(path) = &device.form else { return None };
    let name = path.strip_prefix("/dev/")?.trim_start_matches("../dev/");
    let disk = |prefix: &str, major| Some(DevNum::new(major, name.strip_prefix(prefix)?.parse().ok()?));
    disk("ram", 1).or_else(|| disk("loop", 7))
}

/// A position on a device.
pub fn sectors() -> impl Strategy<Value = Sectors> {
    (0..=MAX_BYTES / SECTOR).prop_map(Sectors)
}

/// A word for a part of the kernel behind the target.
pub fn argument() -> impl Strategy<Value = Argument> {
    "[a-z0-9,_]{1,8}".prop_map(|text| Argument::new(&text).unwrap())
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

/// Returns the effect of another length of a row of `target`.
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

/// A row of `tests/data/roundtrip.tsv`.
pub struct Sample {
    pub loaded: String,
    /// What the kernel printed; none where it refused, for the reason that [`refusal`](Self::refusal) is.
    pub printed: Option<String>,
    /// The kernel's answer where it refused.
    pub refusal: Option<String>,
}

/// The rows of one target.
pub fn samples(target: &str) -> Vec<Sample> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/roundtrip.tsv");
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<Sample> = text
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|columns| columns[0] == target)
        .map(|columns| {
            let refusal = columns[2].strip_prefix('!').map(str::to_string);
            let printed = refusal.is_none().then(|| concrete(columns[2]));
            Sample { loaded: concrete(columns[1]), printed, refusal }
        })
        .collect();
    assert!(!rows.is_empty(), "no rows of {target}");
    rows
}

/// Puts values where the rows that were read from kernel source have placeholders.
fn concrete(params: &str) -> String {
    let (digest, key) = ("9d76377e809a72e5d7018fb6f58cbb8c0f28ee46674f1b4ec6d7b9ff6b3e9bac", "0a".repeat(96));
    params
        .replace("<64 hex lower>", &key[..64])
        .replace("<64 hex>", &key[..64])
        .replace("<128 hex>", &key[..128])
        .replace("<key>", &key)
        .replace("<keytype number>", "1")
        .replace("<root>", digest)
        .replace("<salt>", "0102")
        .replace("<n>", "8")
}

/// Reads parameters, with the devices of the machine that the rows were seen on.
pub fn typed(kind: &str, params: &str) -> Box<dyn Target> {
    let mut typed = super::parse(kind, params).unwrap_or_else(|error| panic!("{kind} {params}: {error}"));
    for device in typed.devices_mut() {
        device.number = device.number.or_else(|| number(device));
    }
    typed
}

fn number(device: &Device) -> Option<DevNum> {
    let Form::Path(path) = &device.form else { return None };
    let letter =
        || path.strip_prefix("/dev/")?.trim_start_matches("../dev/").strip_prefix("sd")?.bytes().next();
    memory_disk(device).or_else(|| Some(DevNum::new(8, u32::from(letter()?.checked_sub(b'a')?) * 16)))
}

/// Whether two parameters are the same target in the same state.
pub fn assert_equal(kind: &str, wanted: &str, live: &str) {
    let differences = typed(kind, wanted).compare(typed(kind, live).as_ref()).unwrap();
    assert!(differences.is_equal(), "{kind}\n  {wanted}\n  {live}\n  {differences:?}");
}

/// Reads fields as a map writes them; `type` and `length` may be among them.
pub fn from_toml(kind: &str, fields: &str) -> Result<Box<dyn Target>, String> {
    let mut table: toml::Table = fields.parse().unwrap();
    table.remove("type");
    table.remove("length");
    let text = table.to_string();
    let fields = toml::de::Deserializer::parse(&text).unwrap();
    find(kind).unwrap().deserialize(fields).map_err(|error| error.message().to_string())
}

/// The fields that are wrong, and why.
pub fn wrong_fields(typed: &dyn Target, length: Option<u64>) -> Vec<(String, String)> {
    let mut problems = Problems::default();
    typed.check(length, &mut problems);
    problems.into_vec().into_iter().map(|problem| (problem.field.clone(), problem.to_string())).collect()
}

/// Wants the example of the manual to be valid as it stands.
pub fn assert_example_is_valid(kind: &str) {
    let example = find(kind).unwrap().doc.example;
    let typed = from_toml(kind, example).unwrap();
    assert_eq!(wrong_fields(typed.as_ref(), None), []);
    let fields = typed.fields();
    assert!(!fields.is_empty());
    let again = from_toml(kind, &fields.to_string()).unwrap();
    assert_eq!(typed.params(Style::Redacted), again.params(Style::Redacted));
}

/// Prints a target and reads it back.
pub fn printed_and_read<T: TargetKind>(target: &T) -> Result<T, ParamsError> {
    let mut out = Printer::new(Style::Kernel);
    target.print(&mut out);
    let text = out.finish();
    let mut words = Words::new(&text)?;
    let read = T::parse(&mut words)?;
    words.finish()?;
    Ok(read)
}
