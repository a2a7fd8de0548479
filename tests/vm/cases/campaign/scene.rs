//! Two maps, each the change of the other: stacks, a pool, names that change places, devices that come and go.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Result, ensure};
use dmctl::config::{self, Map};
use dmctl::kernel::ReadKernel;
use dmctl::plan;
use dmctl::policy::Class;

use crate::guest::{Guest, Ran, dmctl};

/// What all of it may do.
pub const ALLOW: [&str; 2] = ["--allow", "remap,format,loss"];

/// The devices under I/O. What a sector of them holds stays where it is in both maps.
pub const USED: [&str; 3] = ["top", "thin", "lone"];

/// One of the two maps.
pub struct Scene {
    pub path: &'static str,
    map: Map,
    /// The names that there are when it is applied.
    names: BTreeSet<&'static str>,
}

const HEAD: &str = r#"
format = 1
owner = "lab"
[policy]
prune = true
"#;

const ONE: &str = r#"
[mappings.low]
targets = [{ type = "linear", length = 8192, device = "/dev/ram0" }]
[mappings.mid]
targets = [{ type = "linear", length = 8192, device = "@low" }]
[mappings.top]
targets = [{ type = "linear", length = 8192, device = "@mid" }]
[mappings.pool]
targets = [{ type = "thin-pool", length = 32768, metadata = "/dev/ram1", data = "/dev/ram2", block_size = 128 }]
[mappings.thin]
targets = [{ type = "thin", length = 4096, pool = "@pool", id = 0, create = true }]
[mappings.lone]
targets = [{ type = "linear", length = 4096, device = "/dev/ram3" }]
[mappings.left]
targets = [{ type = "linear", length = 64, device = "/dev/ram4" }]
[mappings.right]
targets = [{ type = "linear", length = 64, device = "/dev/ram4", offset = 64 }]
[mappings.old]
targets = [{ type = "linear", length = 64, device = "/dev/ram5" }]
[mappings.old-top]
targets = [{ type = "linear", length = 64, device = "@old" }]
"#;

const TWO: &str = r#"
[mappings.low]
targets = [
  { type = "linear", length = 8192, device = "/dev/ram0" },
  { type = "linear", length = 2048, device = "/dev/ram6" },
]
[mappings.between]
targets = [{ type = "linear", length = 10240, device = "@low" }]
[mappings.mid]
targets = [{ type = "linear", length = 10240, device = "@between" }]
[mappings.top]
targets = [{ type = "linear", length = 10240, device = "@mid" }]
[mappings.pool]
targets = [{ type = "thin-pool", length = 32768, metadata = "/dev/ram1", data = "/dev/ram2", block_size = 128, low_water_mark = 8 }]
[mappings.thin]
targets = [{ type = "thin", length = 8192, pool = "@pool", id = 0, create = true }]
[mappings.lone]
targets = [
  { type = "linear", length = 1024, device = "/dev/ram3" },
  { type = "linear", length = 5120, device = "/dev/ram3", offset = 1024 },
]
[mappings.left]
name = "right"
targets = [{ type = "linear", length = 64, device = "/dev/ram4" }]
[mappings.right]
name = "left"
targets = [{ type = "linear", length = 64, device = "/dev/ram4", offset = 64 }]
[mappings.new]
targets = [{ type = "linear", length = 64, device = "/dev/ram5", offset = 64 }]
[mappings.new-top]
targets = [{ type = "linear", length = 64, device = "@new" }]
"#;

const BOTH: [&str; 8] = ["low", "mid", "top", "pool", "thin", "lone", "left", "right"];

impl Scene {
    /// The two of them. The pool they have is a new one.
    pub fn both(guest: &Guest) -> Result<[Self; 2]> {
        guest.disks[1].fill(0, 128, 0)?;
        let one = Self::new("/run/tmp/one.toml", ONE, &["old", "old-top"])?;
        let two = Self::new("/run/tmp/two.toml", TWO, &["between", "new", "new-top"])?;
        Ok([one, two])
    }

    /// Nothing at all, to end with.
    pub fn nothing() -> Result<Self> {
        let mut nothing = Self::new("/run/tmp/nothing.toml", "", &[])?;
        nothing.names.clear();
        Ok(nothing)
    }

    fn new(path: &'static str, mappings: &str, more: &[&'static str]) -> Result<Self> {
        fs::write(path, format!("{HEAD}{mappings}"))?;
        let names = BOTH.iter().chain(more).copied().collect();
        Ok(Self { path, map: read(path)?, names })
    }

    /// Applies it with the dmctl that was built with this test.
    pub fn apply(&self, options: &[&str]) -> Result<Ran> {
        dmctl(&[&["apply", self.path], &ALLOW[..], options].concat())
    }

    /// Applies it, which must work, and lead where it should.
    pub fn reach(&self, guest: &Guest) -> Result<()> {
        let ran = self.apply(&[])?;
        ensure!(ran.status == Some(0), "{ran:?}");
        self.is_reached(guest)
    }

    /// The kernel must be as this map says: nothing to do, nothing suspended, nothing left, in `/dev/mapper` neither.
    pub fn is_reached(&self, guest: &Guest) -> Result<()> {
        let plan = plan::plan(&guest.kernel, &self.map, &BTreeSet::from(Class::ALL))?;
        let steps: Vec<_> =
            plan.steps.iter().map(|step| format!("{} {}", step.action().name(), step.name)).collect();
        ensure!(steps.is_empty() && plan.conflicts.is_empty(), "{}: to do: {steps:?}", self.path);
        let states = guest.states()?;
        for (info, live, inactive) in &states {
            let settled = !info.suspended && !info.inactive_table && inactive.is_empty() && !live.is_empty();
            ensure!(settled, "{}: {info:?}", self.path);
        }
        let names: BTreeSet<String> = states.iter().map(|(info, ..)| info.name.to_string()).collect();
        ensure!(names.iter().eq(self.names.iter()), "{}: {names:?}", self.path);
        let mut nodes = BTreeSet::new();
        for entry in fs::read_dir("/dev/mapper")? {
            nodes.insert(entry?.file_name().to_string_lossy().into_owned());
        }
        nodes.remove("control");
        ensure!(nodes == names, "{}: nodes {nodes:?}", self.path);
        Ok(())
    }

    /// How many devices are between two states now: suspended, with a table that waits, or with none.
    pub fn unsettled(guest: &Guest) -> Result<usize> {
        let mut count = 0;
        for listed in guest.kernel.list()? {
            let id = dmctl::kernel::Id::Name(listed.name);
            let device = guest.kernel.device(&id, dmctl::kernel::Slot::Live)?;
            count += usize::from(device.is_some_and(|device| {
                let info = device.info;
                info.suspended || info.inactive_table || !info.live_table
            }));
        }
        Ok(count)
    }
}

/// Reads a map.
pub fn read(path: &str) -> Result<Map> {
    let loaded = config::load(&[path.into()]);
    let says = loaded.render();
    loaded.map.ok_or_else(|| anyhow::anyhow!("{says}"))
}
