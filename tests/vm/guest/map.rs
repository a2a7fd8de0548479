//! Maps, planned and applied by the dmctl that was built with this test.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::{Context, Result, ensure};
use dmctl::config::{self, Map};
use dmctl::kernel::{Info, ReadKernel, Slot};
use dmctl::table::RawRow;

use super::Guest;
use super::program::{Ran, dmctl};

/// Where the map of a case is written.
const PATH: &str = "/run/tmp/map.toml";

/// The owner of every map here.
const HEAD: &str = "format = 1\nowner = \"lab\"\n";

/// A device as the kernel shows it, whole: two of them are equal when it was not touched in between.
pub type State = (Info, String, String);

/// Runs `dmctl VERB MAP OPTIONS`.
pub fn with_map(verb: &str, map: &str, options: &[&str]) -> Result<Ran> {
    let path = write_map(map)?;
    dmctl(&[&[verb, path], options].concat())
}

/// Reads a map as one of this owner, in this process.
pub fn read_map(map: &str) -> Result<Map> {
    let loaded = config::parse_str("the map", &format!("{HEAD}{map}"));
    let report = loaded.render();
    loaded.map.with_context(|| report)
}

/// Writes a map down, for `dmctl VERB PATH`.
pub fn write_map(map: &str) -> Result<&'static str> {
    write_map_to(PATH, map)?;
    Ok(PATH)
}

/// Writes a map.
pub fn write_map_to(path: &str, map: &str) -> Result<()> {
    // It may hold a key.
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(format!("{HEAD}{map}").as_bytes())?)
}

/// Applies a map, which must end with this status.
pub fn apply_ends(map: &str, options: &[&str], status: i32) -> Result<Ran> {
    let ran = with_map("apply", map, options)?;
    ensure!(ran.status == Some(status), "apply should end with {status}: {ran:?}");
    Ok(ran)
}

impl Guest {
    /// Applies a map, which must work, and leave nothing to do.
    pub fn apply(&self, map: &str, options: &[&str]) -> Result<()> {
        apply_ends(map, options, 0)?;
        self.in_sync(map)
    }

    /// A plan of this map must be empty, which an apply shows as well, and the apply must not touch anything.
    pub fn in_sync(&self, map: &str) -> Result<()> {
        let before = self.states()?;
        let ran = apply_ends(map, &[], 0)?;
        ensure!(ran.stdout.contains("Nothing to do."), "{ran:?}");
        ensure!(self.states()? == before, "an apply with nothing to do changed something");
        Ok(())
    }

    /// Applies a map that must not work, and must change nothing.
    pub fn refused(&self, map: &str, options: &[&str], status: i32) -> Result<Ran> {
        let before = self.states()?;
        let ran = apply_ends(map, options, status)?;
        let after = self.states()?;
        ensure!(after == before, "{ran:?}: before {before:?}, after {after:?}");
        Ok(ran)
    }

    /// Every device, whole.
    pub fn states(&self) -> Result<Vec<State>> {
        let mut states = Vec::new();
        for listed in self.kernel.list()? {
            let id = dmctl::kernel::Id::Name(listed.name);
            let rows = |slot| -> Result<Option<(Info, String)>> {
                let Some(mapped) = self.kernel.device(&id, slot)? else { return Ok(None) };
                // With its keys, which a row does not show unasked.
                let row = |row: &RawRow| {
                    format!("{} {} {} {}", row.start, row.length, row.kind, row.params())
                        .trim_end()
                        .to_string()
                };
                let rows: Vec<String> = mapped.table.iter().map(row).collect();
                Ok(Some((mapped.info, rows.join("\n"))))
            };
            if let (Some((info, live)), Some((_, inactive))) = (rows(Slot::Live)?, rows(Slot::Inactive)?) {
                states.push((info, live, inactive));
            }
        }
        Ok(states)
    }

    /// One device, whole.
    pub fn state(&self, name: &str) -> Result<State> {
        let mut states = self.states()?.into_iter();
        let found = states.find(|(info, ..)| info.name.plain() == name);
        found.ok_or_else(|| anyhow::anyhow!("{name} does not exist"))
    }
}
