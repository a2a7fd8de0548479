//! Holds a saved plan against the kernel and the map: it is used only while both lead to the same steps.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use super::{Change, Saved, SavedError, StepName, change, keys, map, unseen};
use crate::config::{self, Map, Pipes, Rest, Rules};
use crate::identity::{Key, Name};
use crate::kernel::ReadKernel;
use crate::keys::Places;
use crate::plan::document::Document;
use crate::plan::{self, Plan};
use crate::policy::Class;

/// Whether a saved plan can still be applied.
pub enum Freshness {
    /// The map and the kernel lead to the saved steps.
    Fresh {
        /// The plan to carry out.
        plan: Box<Plan>,
        /// The steps that the map would take on other devices by now. They are not in the plan.
        beside: Vec<StepName>,
    },
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
    /// the plan was made with; the keys that the map names are read from `places`. A file of the map that another user than
    /// `believed` and root could have written is not opened; with `None` it is.
    ///
    /// # Errors
    ///
    /// [`SavedError::Map`], [`SavedError::MapFiles`] and [`SavedError::Lax`] when the map can't be read again, [`SavedError::Unseen`] when
    /// a part of the system is hidden, and [`SavedError::Kernel`] when the kernel can't be read.
    pub fn check(
        &self,
        kernel: &dyn ReadKernel,
        allow: &BTreeSet<Class>,
        places: &Places,
        believed: Option<u32>,
    ) -> Result<Freshness, SavedError> {
        let map = match self.map(places, believed)? {
            Ok(map) => map,
            Err(change) => return Ok(Freshness::Stale(vec![change])),
        };
        let allow = self.document.allow.union(allow).copied().collect();
        let mut changes = self.fingerprint.changes(kernel).map_err(unseen)?;
        let all = plan::plan(kernel, &map, &allow)?;
        let touches = Touches::of(&self.document);
        let plan = all.only(|mapping, name| touches.has(mapping, name));
        let now = Document::of(&plan);
        if now.is_empty() && !self.document.is_empty() {
            return Ok(Freshness::Applied);
        }
        let conflicts = change::of_conflicts(&self.document, &now);
        // A conflict takes the steps of its mapping away, and tells more than their count.
        if changes.is_empty() && conflicts.is_empty() {
            changes.extend(change::of_steps(&self.document, &now));
        }
        changes.extend(conflicts);
        if !changes.is_empty() {
            return Ok(Freshness::Stale(changes));
        }
        let others = all.steps.iter().filter(|step| !touches.has(step.mapping.as_ref(), &step.name));
        let beside = others.map(StepName::of).collect();
        Ok(Freshness::Fresh { plan: Box::new(plan), beside })
    }

    /// Reads the map again, with its keys; or returns what has changed in it.
    fn map(&self, places: &Places, believed: Option<u32>) -> Result<Result<Map, Change>, SavedError> {
        let Some(digest) = &self.map_keys else {
            let map = map::read(&self.map, Some(places))?;
            return Ok(Ok(Map { rest: self.rest()?, ..map }));
        };
        let rules = Rules { refused_for: believed, pipes: Pipes::Refuse };
        let mut loaded = config::load_by(&self.map_files, rules);
        if let Some(laxness) = loaded.refused.first() {
            return Err(SavedError::Lax(laxness.clone()));
        }
        loaded.read_keys(places);
        let errors = loaded.diagnostics.errors();
        let files = || self.map_files.clone();
        let mut map = loaded.map.ok_or_else(|| SavedError::MapFiles { files: files(), errors })?;
        if self.is_part {
            map.keep(&map::read(&self.map, None)?.mappings.into_keys().collect());
            map.rest = self.rest()?;
        }
        Ok(if map::canonical(&map) != self.map {
            Err(Change::Map)
        } else if !digest.is_of(&keys::in_clear(&map)) {
            Err(Change::Key)
        } else {
            Ok(map)
        })
    }

    /// Returns the rest of the map, if the plan is one of a part.
    fn rest(&self) -> Result<Option<Rest>, SavedError> {
        match &self.rest {
            Some(record) => record.read().map(Some),
            None => Ok(self.is_part.then(Rest::default)),
        }
    }

    /// Returns the files of the map, if they are read again when the plan is applied: those of a map with keys in clear.
    pub fn map_files(&self) -> &[PathBuf] {
        &self.map_files
    }
}

/// The devices that a saved plan touches: of mappings by their keys, of others by their names. A plan without steps touches
/// all of them, for it tells that no device needs one.
struct Touches<'d> {
    all: bool,
    mappings: HashSet<&'d str>,
    names: HashSet<&'d str>,
}

impl<'d> Touches<'d> {
    fn of(document: &'d Document) -> Self {
        let keys = document.steps.iter().filter_map(|step| step.mapping.as_deref());
        let conflicts = document.conflicts.iter().map(|conflict| conflict.mapping.as_str());
        let others = document.steps.iter().filter(|step| step.mapping.is_none());
        Self {
            all: document.is_empty(),
            mappings: keys.chain(conflicts).collect(),
            names: others.map(|step| step.name.as_str()).collect(),
        }
    }

    fn has(&self, mapping: Option<&Key>, name: &Name) -> bool {
        self.all
            || match mapping {
                Some(key) => self.mappings.contains(key.as_str()),
                None => self.names.contains(name.plain().as_ref()),
            }
    }
}
