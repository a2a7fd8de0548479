//! The laws of dmsetup's concise form, and of the parameter of the kernel's command line that resembles it.
//!
//! What is read and printed reads back the same, an error marks a place in the text, and a text that becomes a map becomes
//! one that plans.

use super::text::{Keys, key_words};
use super::{kernels, plan};
use crate::config;
use crate::export::concise::{self, Spec};
use crate::export::{dm_init, import, read_parameter};
use crate::table::RawRow;

/// The major number of Device Mapper in these texts.
const MAJOR: u32 = 254;

/// Holds a text in dmsetup's form to the law.
pub(super) fn hold(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match concise::read(text) {
        Ok(read) => {
            let specs: Vec<Spec> = read.into_iter().map(|placed| placed.spec).collect();
            assert_eq!(read_again(&concise::print(&specs)), specs, "printed and read: {text:?}");
        }
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without an error: {text:?}");
            for error in errors {
                assert!(text.get(error.at.clone()).is_some(), "{error:?}");
            }
        }
    }
    imported(text);
}

/// Holds a text to the law of the command line: the devices of the text, printed as the parameter, are read back by dmctl
/// and by the kernel.
pub(super) fn hold_parameter(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    imported(text);
    let Ok(read) = concise::read(text) else { return };
    let specs: Vec<Spec> = read.into_iter().map(|placed| placed.spec).collect();
    if !dm_init::check(&specs).is_empty() {
        return;
    }
    let printed = dm_init::print(&specs);
    assert_eq!(by_the_kernel(&printed), specs, "read as the kernel does: {printed:?}");
    let parameter = format!("quiet dm-mod.create=\"{printed}\"\n");
    let again: Vec<Spec> = read_parameter(&parameter)
        .unwrap_or_else(|errors| panic!("{parameter:?}: {errors:?}"))
        .into_iter()
        .map(|placed| placed.spec)
        .collect();
    assert_eq!(again, specs, "read from the command line: {parameter:?}");
}

fn read_again(printed: &str) -> Vec<Spec> {
    let read = concise::read(printed).unwrap_or_else(|errors| panic!("printed as {printed:?}: {errors:?}"));
    read.into_iter().map(|placed| placed.spec).collect()
}

/// Makes a map of a text, and plans it.
fn imported(text: &str) {
    let rows: Vec<RawRow> = concise::read(text)
        .into_iter()
        .flatten()
        .flat_map(|placed| placed.spec.rows)
        .filter_map(|row| RawRow::parse(&row).ok())
        .collect();
    let keys = Keys::of(rows.iter().flat_map(|row| key_words(&row.kind, row.params())), text);
    for major in [None, Some(MAJOR)] {
        match import::map("input", text, major) {
            Err(error) => keys.check("the error of an import", &error.to_string()),
            Ok(map) => {
                keys.check("an imported map", &map);
                let loaded = config::parse_str("imported", &map);
                keys.check("the warnings of an imported map", &loaded.render());
                let read = loaded.map.unwrap_or_else(|| panic!("an imported map is refused: {map}"));
                let Some(kernel) = kernels::with_the_disks_of(&read) else { continue };
                plan::planned(&kernel, &read, &keys);
            }
        }
    }
}

/// Reads the value of the parameter as `drivers/md/dm-init.c` does: devices between `;`, fields between `,`, blanks around
/// a field do not count (`str_field_delimit`), and a row has three words before its parameters (`dm_parse_table_entry`).
fn by_the_kernel(value: &str) -> Vec<Spec> {
    let device = |text: &str| {
        let mut fields = text.trim().splitn(5, ',').map(str::trim);
        let mut next = || fields.next().unwrap_or_default().to_string();
        let (name, uuid, minor, flags, rows) = (next(), next(), next(), next(), next());
        assert!(matches!(flags.as_str(), "ro" | "rw"), "the kernel takes no mode {flags:?}");
        let minor = (!minor.is_empty()).then(|| minor.parse().expect("a minor number is a number"));
        Spec {
            name,
            uuid,
            minor,
            read_only: flags == "ro",
            rows: rows.split(',').map(|row| row.trim().to_string()).collect(),
        }
    };
    value.split(';').map(device).collect()
}
