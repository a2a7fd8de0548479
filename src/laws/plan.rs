//! The law of a plan: every drawing of it is plain, and its data and its file read back. In the file it is fresh on the
//! kernel that it was made on.

use std::collections::BTreeSet;

use super::kernels;
use super::text::Keys;
use crate::config::Map;
use crate::kernel::simulated::Simulated;
use crate::keys::Places;
use crate::plan::document::Document;
use crate::plan::{self, Plan};
use crate::policy::Class;
use crate::render::{self, ColorMode, Heading, TextStyle};
use crate::saved::{Freshness, Made, Saved};
use crate::status;

/// Plans a map, holds the plan to the law, and returns it. `None` where the kernel can't be read.
pub(super) fn planned(kernel: &Simulated, map: &Map, keys: &Keys) -> Option<Plan> {
    let plan = keys.read(plan::plan(kernel, map, &BTreeSet::new()))?;
    drawn(&Document::of(&plan), keys);
    let entries = keys.read(status::of_map(kernel, map))?;
    keys.check("a status", &render::status(&entries, ColorMode::Plain));
    kept(kernel, map, &plan, keys);
    let allow: BTreeSet<Class> = Class::ALL.into_iter().collect();
    let away = keys.read(plan::deactivate(kernel, map, &allow))?;
    drawn(&Document::of(&away.plan), keys);
    Some(plan)
}

/// Draws a plan in every form, and once more when its data was read back.
pub(super) fn drawn(plan: &Document, keys: &Keys) {
    let drawings = drawings(plan);
    for drawing in &drawings {
        keys.check("a drawing of a plan", drawing);
    }
    let data = serde_json::to_string(plan).expect("a plan is data");
    keys.hidden("the data of a plan", &data);
    let again: Document = serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data}"));
    assert_eq!(serde_json::to_string(&again).ok(), Some(data), "the data of a plan reads back");
    assert_eq!(self::drawings(&again), drawings, "a plan that was read is drawn as it was made");
}

fn drawings(plan: &Document) -> [String; 4] {
    let heading = Heading::default();
    let text = |columns| render::draw(plan, &heading, TextStyle { mode: ColorMode::Plain, columns });
    [text(None), text(Some(40)), render::markdown(plan, &heading), render::html::page(plan, &heading)]
}

/// Keeps a plan in a file, reads it, and holds it against the kernel that it was made on.
fn kept(kernel: &Simulated, map: &Map, plan: &Plan, keys: &Keys) {
    let Ok(saved) = Saved::new(kernel, map, &[], plan, Made::default()) else { return };
    let text = saved.to_json();
    keys.check("a saved plan", &text);
    let read = Saved::parse("plan.json", &text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(read.to_json(), text, "a saved plan reads back");
    if kernels::names_a_key_file(map) {
        return;
    }
    match read.check(kernel, &BTreeSet::new(), &Places::default(), None) {
        Ok(Freshness::Fresh { .. }) => {}
        Ok(Freshness::Applied) => panic!("a plan that was not carried out is told to be: {text}"),
        Ok(Freshness::Stale(changes)) => {
            let told: Vec<String> = changes.iter().map(ToString::to_string).collect();
            panic!("a plan is stale at once: {told:?}: {text}");
        }
        Err(error) => keys.check("the error of a saved plan", &error.to_string()),
    }
}
