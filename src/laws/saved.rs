//! The law of a saved plan: whatever its content, sealed it is refused in plain words, or it reads back the same, can be
//! drawn, and can be held against a kernel.

use std::collections::BTreeSet;

use super::plan;
use super::text::{Keys, is_plain};
use crate::kernel::simulated::{Simulated, State};
use crate::keys::Places;
use crate::saved::{Freshness, Saved, seal};

/// Holds a plan to the law.
pub(super) fn hold(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Err(error) = Saved::parse("plan.json", text) {
        is_plain("the error of a saved plan", &error.to_string());
    }
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(text) else { return };
    if let Some(fields) = value.as_object_mut() {
        fields.remove("digest");
    }
    seal(&mut value);
    let saved = match Saved::parse("plan.json", &value.to_string()) {
        Ok(saved) => saved,
        Err(error) => return is_plain("the error of a sealed plan", &error.to_string()),
    };
    let again = Saved::parse("plan.json", &saved.to_json()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.to_json(), saved.to_json(), "a saved plan reads back");
    plan::drawn(&saved.document, &Keys::default());
    // What its map names would be opened.
    if !saved.map_files().is_empty() || text.contains("file") || text.contains("credential") {
        return;
    }
    let disks = ["/dev/sda=1TiB", "/dev/sdb=1TiB"].map(|disk| disk.parse().expect("this is a disk"));
    let state = State::from_disks(&disks).expect("these are disks");
    let kernel = Simulated::new(&state).expect("these are disks");
    match saved.check(&kernel, &BTreeSet::new(), &Places::default(), None) {
        Ok(Freshness::Stale(changes)) => {
            for change in changes {
                is_plain("a change", &change.to_string());
            }
        }
        Ok(_) => {}
        Err(error) => is_plain("the error of a saved plan", &error.to_string()),
    }
}
