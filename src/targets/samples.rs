//! What tests of targets share: the pairs of loaded and printed rows that were seen on kernels.

use super::{ParamsError, Printer, Problems, Style, Target, TargetKind, Words, find, parse};
use crate::device::{Device, Form};
use crate::identity::DevNum;

/// A row of `tests/data/roundtrip.tsv`.
pub(super) struct Sample {
    /// What was loaded.
    pub loaded: String,
    /// What the kernel printed; none where it refused, for the reason that [`refusal`](Self::refusal) is.
    pub printed: Option<String>,
    /// The kernel's answer where it refused.
    pub refusal: Option<String>,
}

/// The rows of one target.
pub(super) fn of(target: &str) -> Vec<Sample> {
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
pub(super) fn typed(kind: &str, params: &str) -> Box<dyn Target> {
    let mut typed = parse(kind, params).unwrap_or_else(|error| panic!("{kind} {params}: {error}"));
    for device in typed.devices_mut() {
        device.number = device.number.or_else(|| number(device));
    }
    typed
}

fn number(device: &Device) -> Option<DevNum> {
    let Form::Path(path) = &device.form else { return None };
    let name = path.strip_prefix("/dev/")?.trim_start_matches("../dev/");
    let disk = |prefix: &str| name.strip_prefix(prefix)?.parse().ok();
    if let Some(index) = disk("ram") {
        return Some(DevNum::new(1, index));
    }
    if let Some(index) = disk("loop") {
        return Some(DevNum::new(7, index));
    }
    let letter = name.strip_prefix("sd")?.bytes().next()?;
    Some(DevNum::new(8, u32::from(letter.checked_sub(b'a')?) * 16))
}

/// Whether two parameters are the same target in the same state.
pub(super) fn assert_equal(kind: &str, wanted: &str, live: &str) {
    let differences = typed(kind, wanted).compare(typed(kind, live).as_ref()).unwrap();
    assert!(differences.is_equal(), "{kind}\n  {wanted}\n  {live}\n  {differences:?}");
}

/// Reads fields as a map writes them; `type` and `length` may be among them.
pub(super) fn from_toml(kind: &str, fields: &str) -> Result<Box<dyn Target>, String> {
    let mut table: toml::Table = fields.parse().unwrap();
    table.remove("type");
    table.remove("length");
    let text = table.to_string();
    let fields = toml::de::Deserializer::parse(&text).unwrap();
    find(kind).unwrap().deserialize(fields).map_err(|error| error.message().to_string())
}

/// The fields that are wrong, and why.
pub(super) fn problems(typed: &dyn Target, length: Option<u64>) -> Vec<(String, String)> {
    let mut problems = Problems::default();
    typed.check(length, &mut problems);
    problems.into_vec().into_iter().map(|problem| (problem.field.clone(), problem.to_string())).collect()
}

/// Wants the example of the manual to be valid as it stands.
pub(super) fn assert_example_is_valid(kind: &str) {
    let example = find(kind).unwrap().doc.example;
    let typed = from_toml(kind, example).unwrap();
    assert_eq!(problems(typed.as_ref(), None), []);
    let fields = typed.fields();
    assert!(!fields.is_empty());
    let again = from_toml(kind, &fields.to_string()).unwrap();
    assert_eq!(typed.params(Style::Redacted), again.params(Style::Redacted));
}

/// Prints a target and reads it back.
pub(super) fn printed_and_read<T: TargetKind>(target: &T) -> Result<T, ParamsError> {
    let mut out = Printer::new(Style::Kernel);
    target.print(&mut out);
    let text = out.finish();
    let mut words = Words::new(&text)?;
    let read = T::parse(&mut words)?;
    words.finish()?;
    Ok(read)
}
