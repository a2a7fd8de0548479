//! Holds a saved plan against the kernel and the map: it is used only while both lead to the same steps.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Change, Saved, SavedError, change, keys, map};
use crate::config::{self, Map};
use crate::kernel::ReadKernel;
use crate::keys::Places;
use crate::plan::document::Document;
use crate::plan::{self, Plan};
use crate::policy::Class;

/// Whether a saved plan can still be applied.
pub enum Freshness {
    /// The map and the kernel lead to the saved steps: this is the plan to carry out.
    Fresh(Box<Plan>),
    /// The map leads to no steps: the plan was applied.
    Applied,
    /// The map or the kernel has changed.
    Stale(Vec<Change>),
}

/// Checks that a plan made on the host `made` may be used on the host `here`. Each is `None` for a simulated kernel,
/// which may be a model of any host.
///
/// # Errors
///
/// [`SavedError::OtherHost`].
pub fn permit_host(made: Option<&str>, here: Option<&str>) -> Result<(), SavedError> {
    match (made, here) {
        (Some(made), Some(here)) if made != here => Err(SavedError::OtherHost),
        _ => Ok(()),
    }
}

impl Saved {
    /// Reads the kernel and the map again, and compares. The risk classes in `allow` are approved beside those that
    /// the plan was made with; the keys that the map names are read from `places`.
    ///
    /// # Errors
    ///
    /// [`SavedError::Map`] when the map can't be read again, [`SavedError::Kernel`] when the kernel can't be.
    pub fn check(
        &self,
        kernel: &dyn ReadKernel,
        allow: &BTreeSet<Class>,
        places: &Places,
    ) -> Result<Freshness, SavedError> {
        let map = match self.map(places)? {
            Ok(map) => map,
            Err(change) => return Ok(Freshness::Stale(vec![change])),
        };
        let allow = self.document.allow.union(allow).copied().collect();
        let mut changes = self.fingerprint.changes(kernel)?;
        let plan = plan::plan(kernel, &map, &allow)?;
        let now = Document::of(&plan);
        if now.is_empty() && !self.document.is_empty() {
            return Ok(Freshness::Applied);
        }
        if changes.is_empty() {
            changes.extend(change::of_steps(&self.document, &now));
        }
        Ok(if changes.is_empty() { Freshness::Fresh(Box::new(plan)) } else { Freshness::Stale(changes) })
    }

    /// Reads the map again, with its keys; or returns what has changed in it.
    fn map(&self, places: &Places) -> Result<Result<Map, Change>, SavedError> {
        let Some(digest) = &self.map_keys else { return map::read(&self.map, Some(places)).map(Ok) };
        let mut loaded = config::load(&self.map_files);
        loaded.read_keys(places);
        let problems = loaded.render();
        let map = loaded.map.ok_or(SavedError::Map(problems))?;
        Ok(if map::canonical(&map) != self.map {
            Err(Change::Map)
        } else if !digest.is_of(&keys::in_clear(&map)) {
            Err(Change::Key)
        } else {
            Ok(map)
        })
    }

    /// Returns the files of the map, if they are read again when the plan is applied: those of a map with keys in clear.
    pub fn map_files(&self) -> &[PathBuf] {
        &self.map_files
    }
}
