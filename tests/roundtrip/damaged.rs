//! Rows with a few of their words taken away, doubled or put in place of others: each is refused or understood.

use dmctl::targets::{self, Problems, Style};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::row::rows;

/// Words that no row should hold there, and numbers at their limits.
const STRANGE: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "-",
    "-1",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "@key",
    "x",
    "Fail",
    "\u{301}",
];

/// A damage to a row: where, which of four ways, and a word for it.
type Damage = (Index, u8, String);

fn damaged() -> impl Strategy<Value = (String, String)> {
    let loaded: Vec<(String, String)> = rows().into_iter().map(|row| (row.target, row.loaded)).collect();
    let seen: Vec<String> =
        loaded.iter().flat_map(|(_, params)| params.split_whitespace()).map(str::to_string).collect();
    let word = prop_oneof![select(STRANGE).prop_map(str::to_string), select(seen)];
    let damage = prop::collection::vec((any::<Index>(), 0..4u8, word), 0..4);
    (select(loaded), damage).prop_map(|((target, params), damage)| (target, apply(&params, &damage)))
}

fn apply(params: &str, damage: &[Damage]) -> String {
    let mut words: Vec<&str> = params.split_whitespace().collect();
    for (at, way, other) in damage {
        let at = at.index(words.len() + 1);
        match (way, words.get(at).copied()) {
            (0, Some(_)) => drop(words.remove(at)),
            (1, Some(word)) => words.insert(at, word),
            (2, Some(_)) => words[at] = other,
            _ => words.insert(at, other),
        }
    }
    words.join(" ")
}

/// Whatever stands in a row, it is refused or understood; and what is understood is printed as itself.
fn ends_with_an_answer(target: &str, params: &str, length: Option<u64>) -> Result<(), TestCaseError> {
    let _ = targets::redact(target, params);
    let Ok(typed) = targets::parse(target, params) else { return Ok(()) };
    typed.check(length, &mut Problems::default());
    typed.lower_devices(length.unwrap_or(u64::MAX));
    typed.metadata();
    typed.remaining_length(&|_| length);
    typed.remaining_length(&|_| Some(u64::MAX));
    let own = typed.params(Style::Kernel);
    prop_assert!(targets::parse(target, &own).is_ok(), "{} {}: as {}", target, params, own);
    prop_assert!(typed.compare(typed.as_ref()).is_some());
    let (over, again) = (typed.for_reload(typed.as_ref(), None), typed.for_export());
    prop_assert_eq!(over.kind(), again.kind());
    let mut problems = Problems::default();
    typed.check(Some(8), &mut problems);
    if problems.is_empty() {
        let again = again.params(Style::Kernel);
        let read = targets::parse(target, &again)
            .map_err(|error| TestCaseError::fail(format!("{target} {params}: as {again}: {error}")))?;
        let differences = read.compare(typed.as_ref()).expect("both are of one type");
        // What can't be judged at all can't be judged against itself either.
        let same = differences.is_equal() || differences.unknown.is_some();
        prop_assert!(same, "{} {}: as {}: {:?}", target, params, again, differences);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn damaged_rows_never_panic((target, params) in damaged(), length in prop::option::of(any::<u64>())) {
        ends_with_an_answer(&target, &params, length)?;
    }
}

#[test]
fn whole_rows_never_panic() {
    for row in rows() {
        for length in [None, Some(0), Some(8), row.length, Some(u64::MAX)] {
            ends_with_an_answer(&row.target, &row.loaded, length)
                .unwrap_or_else(|error| panic!("{row}: {error}"));
        }
    }
}
