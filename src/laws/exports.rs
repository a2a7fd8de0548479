//! The law of what is made of a kernel: every export is plain and is read by what it is for, and none shows a key. A kernel
//! that can't be read, in whole or in part, is told to be so.

use std::collections::BTreeSet;

use super::plan::drawn as drawn_plan;
use super::text::Keys;
use crate::config;
use crate::export::{self, Selection};
use crate::graph;
use crate::identity::Owner;
use crate::kernel::simulated::{Simulated, State};
use crate::plan::document::Document;
use crate::plan::{self, Action, Step};
use crate::render::{self, ColorMode};
use crate::status;

/// Holds everything that is made of a kernel to the law.
pub(super) fn hold(kernel: &Simulated, keys: &Keys) {
    reads_back(kernel);
    as_a_map(kernel, keys);
    as_a_state(kernel, keys);
    concise(kernel, keys);
    drawn(kernel, keys);
    if let Some(repair) = keys.read(plan::repair::find(kernel, &Owner::default())) {
        repair.left.iter().for_each(|left| keys.hidden("a repair", &left.problem.to_string()));
    }
}

/// The file of a state reads back as the same state.
fn reads_back(kernel: &Simulated) {
    let text = kernel.state().to_json();
    let state = State::parse(&text, "state.json").unwrap_or_else(|error| panic!("{error}: {text}"));
    let again = Simulated::new(&state).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(again.state().to_json(), text, "a state reads back");
}

/// A map of the devices is one, and at once changes no table.
fn as_a_map(kernel: &Simulated, keys: &Keys) {
    let Some(text) = keys.read(export::map(kernel, &Selection::default())) else { return };
    keys.check("an exported map", &text);
    let loaded = config::parse_str("exported", &text);
    keys.check("the warnings of an exported map", &loaded.render());
    let map = loaded.map.unwrap_or_else(|| panic!("an exported map is refused: {text}"));
    let Some(plan) = keys.read(plan::plan(kernel, &map, &BTreeSet::new())) else { return };
    // What a map can't hold is left over: a device without a table is removed as one whose creation was not finished, and
    // one that is suspended serves again.
    let mappings = kernel.state().mappings;
    let shells: Vec<&str> = mappings
        .iter()
        .filter(|mapping| mapping.live.as_ref().is_none_or(Vec::is_empty))
        .map(|mapping| mapping.name.as_str())
        .collect();
    let declared = |step: &Step| step.mapping.as_ref().is_some_and(|key| map.mappings.contains_key(key));
    let changes = |step: &&Step| match step.action() {
        Action::Clear | Action::SetUuid => false,
        Action::Remove => declared(step) || !shells.contains(&step.name.kernel()),
        Action::Resume => declared(step),
        _ => true,
    };
    let wrong = plan.steps.iter().find(changes);
    assert!(
        wrong.is_none() && plan.conflicts.is_empty(),
        "an exported map changes something: {text}\n{}",
        render::text(&plan, ColorMode::Plain)
    );
    drawn_plan(&Document::of(&plan), keys);
}

fn as_a_state(kernel: &Simulated, keys: &Keys) {
    let Some(state) = keys.read(export::state(kernel)) else { return };
    let text = state.to_json();
    keys.check("an exported state", &text);
    let again = State::parse(&text, "exported").unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(again.to_json(), text, "an exported state reads back");
}

fn concise(kernel: &Simulated, keys: &Keys) {
    let all = Selection::default();
    if let Some(text) = keys.read(export::concise::write(kernel, &all)) {
        keys.hidden("an export", &text);
        super::concise::hold(text.as_bytes());
        assert!(export::concise::read(&text).is_ok(), "an export in the concise form is refused: {text:?}");
    }
    if let Some(text) = keys.read(export::dm_init::write(kernel, &all)) {
        keys.hidden("an export", &text);
        assert!(export::read_parameter(&text).is_ok(), "an export of a command line is refused: {text:?}");
    }
}

fn drawn(kernel: &Simulated, keys: &Keys) {
    if let Some(graph) = keys.read(graph::read(kernel)) {
        for drawing in [
            render::graph::text(&graph, ColorMode::Plain),
            render::graph::dot(&graph),
            render::graph::mermaid(&graph),
            render::graph::svg(&graph),
        ] {
            keys.check("a drawing", &drawing);
        }
    }
    if let Some((entries, _)) = keys.read(status::of_owned(kernel)) {
        keys.check("a status", &render::status(&entries, ColorMode::Plain));
    }
}
