//! The law of the file of a simulated kernel: it is refused in plain words that show no value of it, or it reads back the
//! same, and everything can be made of it that can be made of a kernel.

use super::exports;
use super::text::{Keys, key_words};
use crate::kernel::simulated::{Simulated, State};

/// Holds a state to the law.
pub(super) fn hold(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some((kernel, keys)) = read(text) {
        exports::hold(&kernel, &keys);
    }
}

/// Reads a state, and the keys in its tables.
pub(super) fn read(text: &str) -> Option<(Simulated, Keys)> {
    let state = match State::parse(text, "state.json") {
        Ok(state) => state,
        Err(error) => {
            Keys::default().check("the error of a state", &error);
            return None;
        }
    };
    let tables = state.mappings.iter().flat_map(|mapping| [&mapping.live, &mapping.inactive]);
    let rows: Vec<_> = tables.flatten().flatten().collect();
    let words = rows.iter().flat_map(|row| key_words(&row.kind, row.params.reveal()));
    let keys = Keys::of(words, text);
    match Simulated::new(&state) {
        Ok(kernel) => Some((kernel, keys)),
        Err(error) => {
            keys.check("the error of a state", &error.to_string());
            None
        }
    }
}
