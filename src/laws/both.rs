//! The law of any map on any kernel: it plans, and carried out the plan leaves a kernel that can be exported.
//!
//! The input is a state, a line with `---`, and a map.

use super::{exports, map, plan, state};
use crate::apply::{self, ApplyError, Options, Silent};
use crate::config;

/// What is between the state and the map.
const BORDER: &str = "\n---\n";

/// Holds a state and a map to the law.
pub(super) fn hold(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some((state, map)) = text.split_once(BORDER) else { return };
    let Some((kernel, secrets)) = state::read(state) else { return };
    let Some(map) = config::parse_str("map.toml", map).map else { return };
    let keys = map::keys(text, Some(&map)).and(secrets);
    let Some(plan) = plan::planned(&kernel, &map, &keys) else { return };
    if apply::permit(&plan).is_err() {
        return;
    }
    match apply::apply(&kernel, &plan, Options::default(), &mut Silent) {
        Ok(()) | Err(ApplyError::Unsettled(_)) => {}
        Err(error) => keys.hidden("the error of an apply", &error.to_string()),
    }
    exports::hold(&kernel, &keys);
}
