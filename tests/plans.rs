//! Golden plans: every folder in `tests/plans/` is a map and a kernel, and the plan that comes of them.
//!
//! A case is `map.toml` (or `maps/`, a directory of them), `kernel.json` (the state of a simulated kernel) and,
//! where some risk classes are approved on the command line, `allow` with their names. Expected are
//! `plan.txt` and `plan.json`; `DMCTL_REGENERATE=1 cargo test --test plans` writes them, to be read by
//! the author of the case: would you sign this plan?
//!
//! A plan is not only looked at. With every class approved it is carried out on that kernel, and then there
//! must be nothing left to do; where it may not be carried out, nothing may have changed.

#![allow(clippy::unwrap_used, reason = "a case that can't be read fails its test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dmctl::apply::{self, ApplyError, Options, Silent};
use dmctl::config::{self, Map, State as Wanted};
use dmctl::identity::Uuid;
use dmctl::kernel::simulated::{MappingState, Simulated, State};
use dmctl::plan::{self, Plan};
use dmctl::policy::Class;
use dmctl::render::{self, ColorMode};

const FEWEST: usize = 60;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    cases
}

/// One case, read.
struct Case {
    folder: PathBuf,
    map: Map,
    kernel: State,
    allow: BTreeSet<Class>,
}

impl Case {
    fn read(folder: &Path) -> Result<Self, String> {
        let several = folder.join("maps");
        let map = if several.is_dir() { several } else { folder.join("map.toml") };
        let loaded = config::load(&[map]);
        let says = loaded.render();
        let map = loaded.map.ok_or(says)?;
        let text = fs::read_to_string(folder.join("kernel.json")).map_err(|error| error.to_string())?;
        let kernel = State::parse(&text, "kernel.json")?;
        let allow = fs::read_to_string(folder.join("allow")).unwrap_or_default();
        let allow: Result<_, _> = allow.split_whitespace().map(str::parse::<Class>).collect();
        Ok(Self {
            folder: folder.to_path_buf(),
            map,
            kernel,
            allow: allow.map_err(|unknown| unknown.to_string())?,
        })
    }

    fn simulated(&self) -> Result<Simulated, String> {
        Simulated::new(&self.kernel).map_err(|error| error.to_string())
    }

    /// The plan must be the expected one, in both forms, and the same each time.
    fn looks_right(&self) -> Result<(), String> {
        let kernel = self.simulated()?;
        let before = kernel.state();
        let plan = self.plan(&kernel, &self.allow)?;
        let again = self.plan(&kernel, &self.allow)?;
        if kernel.state() != before {
            return Err("planning changed the kernel".to_string());
        }
        let (text, json) = (render::text(&plan, ColorMode::Plain), json(&plan));
        if text != render::text(&again, ColorMode::Plain) || json != self::json(&again) {
            return Err("two plans of the same differ".to_string());
        }
        self.compare("plan.txt", &text)?;
        self.compare("plan.json", &json)
    }

    fn plan(&self, kernel: &Simulated, allow: &BTreeSet<Class>) -> Result<Plan, String> {
        plan::plan(kernel, &self.map, allow).map_err(|error| error.to_string())
    }

    fn compare(&self, file: &str, found: &str) -> Result<(), String> {
        let path = self.folder.join(file);
        if std::env::var_os("DMCTL_REGENERATE").is_some() {
            return fs::write(path, found).map_err(|error| error.to_string());
        }
        let expected = fs::read_to_string(path).unwrap_or_default();
        if expected == found {
            return Ok(());
        }
        Err(format!("{file} is another one\n--- expected\n{expected}\n--- found\n{found}"))
    }

    /// The plan, with everything approved, must do what it says, or nothing.
    fn does_what_it_says(&self) -> Result<(), String> {
        let kernel = self.simulated()?;
        let before = kernel.state();
        let plan = self.plan(&kernel, &Class::ALL.into_iter().collect())?;
        let forbidden = !plan.conflicts.is_empty() || plan.refused().next().is_some();
        let options = Options { patience: Duration::ZERO, ..Options::default() };
        match apply::apply(&kernel, &plan, options, &mut Silent) {
            Err(ApplyError::Conflicts(_) | ApplyError::Refused(_)) if forbidden => {
                return if kernel.state() == before {
                    Ok(())
                } else {
                    Err("a refused plan changed it".into())
                };
            }
            Err(error) => return Err(format!("apply: {error}")),
            Ok(()) if forbidden => return Err("what was refused was carried out".to_string()),
            Ok(()) => {}
        }
        let left = self.plan(&kernel, &BTreeSet::new())?;
        if !left.is_empty() {
            return Err(format!(
                "after apply this is left to do:\n{}",
                render::text(&left, ColorMode::Plain)
            ));
        }
        self.is_settled(&plan, &kernel.state())?;
        self.is_nobody_elses(&before, &kernel.state())
    }

    /// Nothing holds I/O back or has a table waiting that the map doesn't want so.
    fn is_settled(&self, plan: &Plan, after: &State) -> Result<(), String> {
        for mapping in self.map.mappings.values() {
            let left_alone = plan.unjudged.iter().any(|unjudged| unjudged.mapping == mapping.key);
            let found = after.mappings.iter().find(|found| uuid(found).as_ref() == Some(&mapping.uuid));
            let Some(found) = found.filter(|_| !left_alone) else { continue };
            if found.suspended != (mapping.state == Wanted::Suspended) {
                return Err(format!("{} is suspended: {}", found.name, found.suspended));
            }
            if found.inactive.is_some() {
                return Err(format!("{} has a table in its inactive slot", found.name));
            }
            if found.torn {
                return Err(format!("{} is a snapshot that does not keep what its origin had", found.name));
            }
        }
        // Nor do those that it does not declare: a crash left them so.
        let declared = |uuid: &Uuid| self.map.mappings.values().any(|mapping| mapping.uuid == *uuid);
        let leftover = |uuid: Uuid| uuid.is_of(&self.map.owner) && !declared(&uuid);
        let leftovers = after.mappings.iter().filter(|device| uuid(device).is_some_and(leftover));
        for left in leftovers.filter(|left| left.live.is_some() || left.open_count == 0) {
            let told = plan.warnings.iter().any(|warning| warning.name.plain() == left.name);
            if left.suspended && told {
                continue;
            }
            if left.suspended || left.inactive.is_some() || left.live.is_none() {
                return Err(format!("{} is as a crash left it", left.name));
            }
        }
        Ok(())
    }

    /// Devices that the map neither declares nor owns nor takes over are as they were.
    fn is_nobody_elses(&self, before: &State, after: &State) -> Result<(), String> {
        for device in before.mappings.iter().filter(|device| self.is_foreign(device)) {
            let now = after.mappings.iter().find(|now| now.number == device.number);
            let same = now.is_some_and(|now| {
                (&now.name, &now.uuid, &now.live, &now.inactive, now.suspended)
                    == (&device.name, &device.uuid, &device.live, &device.inactive, device.suspended)
            });
            if !same {
                return Err(format!("{} is none of the map's, and changed", device.name));
            }
        }
        Ok(())
    }

    fn is_foreign(&self, device: &MappingState) -> bool {
        let mut mappings = self.map.mappings.values();
        match uuid(device) {
            Some(uuid) => !uuid.is_of(&self.map.owner) && mappings.all(|mapping| mapping.uuid != uuid),
            None => mappings.all(|mapping| {
                let adopted = mapping.adopt && mapping.name.kernel() == device.name;
                let renamed = mapping.renamed_from.as_ref().is_some_and(|old| old.kernel() == device.name);
                !adopted && !renamed
            }),
        }
    }
}

fn uuid(device: &MappingState) -> Option<Uuid> {
    device.uuid.as_deref().and_then(|uuid| Uuid::new(uuid).ok())
}

fn json(plan: &Plan) -> String {
    let mut text = serde_json::to_string_pretty(&render::json::plan(plan)).unwrap();
    text.push('\n');
    text
}

fn each(check: impl Fn(&Case) -> Result<(), String>) {
    let cases = cases();
    assert!(cases.len() >= FEWEST, "only {} cases", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|folder| {
            let says = Case::read(folder).and_then(|case| check(&case)).err()?;
            Some(format!("{}: {says}", folder.file_name()?.to_string_lossy()))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} are wrong\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn every_plan_is_the_one_that_was_signed() {
    each(Case::looks_right);
}

#[test]
fn every_plan_does_what_it_says_or_nothing() {
    each(Case::does_what_it_says);
}
