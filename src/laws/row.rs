//! The law of a row of any type: refused or understood, and what is understood is printed as itself.
//!
//! The input is a type, a blank, and its parameters.

use super::text::{Keys, key_words};
use crate::device::Device;
use crate::targets::{self, OnDisk, Problems, Style, Target};

/// The lengths that a row is checked with, in sectors.
const LENGTHS: [Option<u64>; 5] = [None, Some(0), Some(8), Some(1 << 20), Some(u64::MAX)];

/// Holds a row to the law.
pub(super) fn hold(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (kind, params) = text.split_once(' ').unwrap_or((text, ""));
    let keys = Keys::of(key_words(kind, params), text);
    keys.hidden("the redacted row", &targets::redact(kind, params));
    let target = match targets::parse(kind, params) {
        Ok(target) => target,
        Err(error) => return keys.hidden("the error", &error.to_string()),
    };
    answers(target.as_ref(), &keys);
    keys.hidden("the redacted target", &target.params(Style::Redacted));
    keys.hidden("the fields", &target.fields().to_string());
    reads_back(target.as_ref());
    goes_through_a_map(target.as_ref());
}

/// Asks a target all that a plan would ask it.
fn answers(target: &dyn Target, keys: &Keys) {
    for length in LENGTHS {
        let mut problems = Problems::default();
        target.check(length, &mut problems);
        for problem in problems.into_vec() {
            keys.hidden("a problem", &problem.to_string());
            problem.advice().for_each(|advice| keys.hidden("an advice", &advice));
        }
        target.lower_devices(length.unwrap_or(u64::MAX));
        target.remaining_length(&|_| length);
        for sector in [0, 7, u64::MAX] {
            target.below(sector);
        }
    }
    let mut doubts = Problems::default();
    target.doubts(&mut doubts);
    doubts.into_vec().iter().for_each(|doubt| keys.hidden("a doubt", &doubt.to_string()));
    let _ = (target.metadata(), target.handover(), target.origin_use(), target.hazards());
    let _ = (target.unreadable_after(Some(target)), target.overwrites(), target.prepare(), target.volume());
    disk(target);
    target.logical_block(1);
}

/// Shows a target metadata of any content.
fn disk(target: &dyn Target) {
    let places = target.metadata();
    for byte in [0, 1, 0xff] {
        let heads: Vec<_> = places.iter().map(|_| Some(vec![byte; 4096].into())).collect();
        let size_of = |_: &Device| Some(1 << 20);
        let on_disk = OnDisk { places: &places, heads: &heads, length: 8, size_of: &size_of, live: false };
        let _ = (target.length_on_disk(&on_disk), target.contradiction(&on_disk), target.outgrown(&on_disk));
    }
}

/// Printed and read a target is the same, and so is what dmctl would load to have it again.
fn reads_back(target: &dyn Target) {
    let kind = target.kind().to_string();
    let own = target.params(Style::Kernel);
    let read = |params: &str| {
        targets::parse(&kind, params).unwrap_or_else(|error| panic!("{kind}: printed as {params:?}: {error}"))
    };
    assert_eq!(read(&own).params(Style::Kernel), own, "{kind}: printed twice");
    let same = |one: &dyn Target, other: &dyn Target, origin: &str| {
        let differences = one.compare(other).expect("both are of one type");
        // What can't be judged at all can't be judged against itself either.
        assert!(
            differences.is_equal() || differences.unknown.is_some(),
            "{kind}: {origin} {own:?}: {differences:?}"
        );
    };
    let (again, over) = (target.for_export(), target.for_reload(target, None));
    assert_eq!(over.kind(), again.kind());
    let mut problems = Problems::default();
    target.check(Some(8), &mut problems);
    if problems.is_empty() {
        // Held against what is printed of it: there a label is one word, whatever it holds.
        let (again, own) = (read(&again.params(Style::Kernel)), read(&own));
        same(again.as_ref(), own.as_ref(), "exported and read it differs from");
        read(&target.for_rollback().params(Style::Kernel));
    }
}

/// The fields in a map are the target again, but for a key, which is not written.
fn goes_through_a_map(target: &dyn Target) {
    let Some(kind) = targets::find(target.kind()) else { return };
    let mut problems = Problems::default();
    target.check(None, &mut problems);
    if !problems.is_empty() {
        return;
    }
    let fields = target.fields();
    let text = fields.to_string();
    let read = toml::de::Deserializer::parse(&text).and_then(|text| kind.deserialize(text));
    if let Ok(read) = read {
        assert_eq!(read.fields(), fields, "{}: {text}", kind.name);
    }
}
