//! Whether a saved plan is still the plan.

use std::collections::BTreeSet;

use super::{Saved, SavedError, keys, map};
use crate::config::{self, Map};
use crate::kernel::ReadKernel;
use crate::keys::Places;
use crate::plan::document::{Document, Step};
use crate::plan::{self, Plan};
use crate::policy::Class;

/// How a saved plan stands against a kernel.
pub enum Now {
    /// It is still the plan: this is it, to be carried out.
    Fresh(Box<Plan>),
    /// There is nothing left of it to do: it was applied.
    Applied,
    /// Something has changed, a sentence each.
    Stale(Vec<String>),
}

/// Says whether a plan made on the host `made` may be used on the host `here`; each is none for a
/// simulated kernel, which may be a picture of any host.
pub fn permit_host(made: Option<&str>, here: Option<&str>) -> Result<(), SavedError> {
    match (made, here) {
        (Some(made), Some(here)) if made != here => Err(SavedError::OtherHost),
        _ => Ok(()),
    }
}

impl Saved {
    /// Reads the kernel again and compares. `allow` is approved beside what the plan was made with; the keys
    /// that the map names are read from `places`.
    pub fn check(
        &self,
        kernel: &dyn ReadKernel,
        allow: &BTreeSet<Class>,
        places: &Places,
    ) -> Result<Now, SavedError> {
        let map = match self.map(places)? {
            Ok(map) => map,
            Err(says) => return Ok(Now::Stale(vec![says])),
        };
        let allow = self.document.allow.union(allow).copied().collect();
        let mut says = self.fingerprint.changes(kernel)?;
        let plan = plan::plan(kernel, &map, &allow)?;
        let now = Document::of(&plan);
        if now.is_empty() && !self.document.is_empty() {
            return Ok(Now::Applied);
        }
        if says.is_empty() {
            says.extend(first_difference(&self.document, &now));
        }
        Ok(if says.is_empty() { Now::Fresh(Box::new(plan)) } else { Now::Stale(says) })
    }

    /// The map, with its keys; or why it is another one now.
    fn map(&self, places: &Places) -> Result<Result<Map, String>, SavedError> {
        let Some(digest) = &self.map_keys else { return map::read(&self.map, Some(places)).map(Ok) };
        let mut loaded = config::load(&self.map_files);
        loaded.read_keys(places);
        let says = loaded.render(false);
        let map = loaded.map.ok_or(SavedError::Map(says))?;
        Ok(if map::canonical(&map) != self.map {
            Err("the files of the map say something else now".to_string())
        } else if !digest.is_of(&keys::in_clear(&map)) {
            Err("a key in the files of the map is another one now".to_string())
        } else {
            Ok(map)
        })
    }

    /// The files beside the saved plan that decide what is applied: those of a map with keys in clear.
    #[must_use]
    pub fn map_files(&self) -> &[std::path::PathBuf] {
        &self.map_files
    }
}

/// Where the steps that are saved and those that would be made now part.
fn first_difference(saved: &Document, now: &Document) -> Option<String> {
    let parted = |(one, two): &(&Step, &Step)| decisive(one) != decisive(two);
    let told = |step: &Step| format!("{} {}", step.action.name(), step.name);
    if let Some((was, is)) = saved.steps.iter().zip(&now.steps).find(parted) {
        return Some(if told(was) == told(is) {
            format!("`{}` would be done otherwise now: {}", told(is), is.need())
        } else {
            format!("`{}` would come where `{}` was", told(is), told(was))
        });
    }
    if saved.steps.len() != now.steps.len() {
        return Some(format!(
            "there would be {} steps now, there were {}",
            now.steps.len(),
            saved.steps.len()
        ));
    }
    (saved.conflicts != now.conflicts).then(|| "other conflicts stand in the way now".to_string())
}

/// A step without what may come and go: who uses the device right now, and what was approved. Both are
/// judged anew before anything is done.
fn decisive(step: &Step) -> Step {
    let need = step.need().to_string();
    Step { users: None, refused: false, refusal: None, reason: need.into(), ..step.clone() }
}
