//! A kernel and a map that it is to be made equal to.
//!
//! Every folder in `tests/faults/scenarios` is one: `map.toml`, the map that is applied, and the kernel before it, which is
//! either `kernel.json`, as in `tests/plans`, or what the map `before.toml` makes of four empty disks, `/dev/sda` to
//! `/dev/sdd`; without either it is those disks. A file `one-way` says why a part of the change can't be undone, and a file
//! `needs-suspended` which device must be suspended before. The
//! golden plans are carried out as well.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dmctl::apply::{self, Applied, ApplyError, Options, Progress, Silent};
use dmctl::config::{self, Map};
use dmctl::kernel::simulated::{Simulated, State};
use dmctl::keys::Places;
use dmctl::plan::{self, Plan, Step};
use dmctl::policy::Class;
use nix::unistd::geteuid;

/// The fewest scenarios there may be: more are welcome.
const FEWEST: usize = 33;

/// A scenario, ready to be carried out as often as one likes.
pub struct Case {
    /// The folder it was read from, below `tests`.
    pub name: String,
    /// The kernel before.
    kernel: State,
    /// The map that is applied.
    pub map: Map,
    /// Whether it needs a device that is suspended before, and that no map brings back to that: a repair resumes it.
    pub needs_suspended: bool,
    /// Whether a part of it can't be undone: a failure may leave that part done, and names it.
    pub one_way: bool,
}

impl Case {
    /// Reads a folder: a map, and the kernel before it.
    fn read(folder: &Path) -> Self {
        let several = folder.join("maps");
        let map = if several.is_dir() { several } else { folder.join("map.toml") };
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        Self {
            name: folder.strip_prefix(tests).unwrap_or(folder).display().to_string(),
            kernel: kernel_before(folder),
            map: read_map(&map),
            needs_suspended: folder.join("needs-suspended").exists(),
            one_way: folder.join("one-way").exists(),
        }
    }

    /// The kernel before, a new one each time.
    pub fn kernel(&self) -> Simulated {
        Simulated::new(&self.kernel).expect("a kernel")
    }

    fn is_carried_out(&self) -> bool {
        let plan = plan(&self.kernel(), &self.map);
        !plan.steps.is_empty() && apply::permit(&plan).is_ok()
    }
}

/// The scenarios of this folder, and the golden plans that change something, and may.
pub fn all() -> impl Iterator<Item = Case> {
    let own = folders("faults/scenarios");
    assert!(own.len() >= FEWEST, "only {} scenarios", own.len());
    let own = own.into_iter().map(|folder| Case::read(&folder));
    let golden = folders("plans").into_iter().map(|folder| Case::read(&folder));
    own.chain(golden.filter(Case::is_carried_out))
}

/// Every folder in this one below `tests`, by name.
fn folders(below: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(below);
    let entries = fs::read_dir(folder).expect("the cases").map(|entry| entry.expect("a case").path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// The kernel as `kernel.json` has it, or as the map `before.toml` leaves four empty disks.
fn kernel_before(folder: &Path) -> State {
    if let Ok(text) = fs::read_to_string(folder.join("kernel.json")) {
        return State::parse(&text, "kernel.json").expect("a kernel");
    }
    let disks = ["/dev/sda=65536", "/dev/sdb=65536", "/dev/sdc=65536", "/dev/sdd=65536"];
    let disks: Vec<_> = disks.iter().map(|disk| disk.parse().expect("a disk")).collect();
    let kernel = Simulated::new(&State::from_disks(&disks).expect("disks")).expect("a kernel");
    let before = folder.join("before.toml");
    if before.exists() {
        apply(&kernel, &read_map(&before)).expect("the map before applies");
    }
    kernel.state()
}

fn read_map(path: &Path) -> Map {
    let mut loaded = config::load(&[path.to_path_buf()]);
    loaded.read_keys(&Places { credentials: None, user: geteuid().as_raw() });
    let report = loaded.render();
    loaded.map.unwrap_or_else(|| panic!("{report}"))
}

/// Plans and applies, one step after the other: the same calls each time.
pub fn apply(kernel: &Simulated, map: &Map) -> Result<(), ApplyError> {
    apply_side_by_side(kernel, map, 1)
}

/// Plans and applies with this count of jobs.
pub fn apply_side_by_side(kernel: &Simulated, map: &Map, jobs: usize) -> Result<(), ApplyError> {
    apply::apply(kernel, &plan(kernel, map), Options { jobs, ..options() }, &mut Silent)
}

/// Plans and applies, with a way back.
pub fn apply_reversibly(kernel: &Simulated, map: &Map) -> Applied {
    let applied = apply::reversibly(kernel, &plan(kernel, map), options(), &mut Silent);
    applied.unwrap_or_else(|error| panic!("{error}"))
}

/// Plans and applies, and asks for an end after some steps. Those of a stack end together.
pub fn apply_and_stop(kernel: &Simulated, map: &Map, after: usize, jobs: usize) -> Result<(), ApplyError> {
    struct Stop<'a>(&'a AtomicBool, usize);
    impl Progress for Stop<'_> {
        fn done(&mut self, _: plan::StepId, _: &Step) {
            self.1 = self.1.saturating_sub(1);
            self.0.store(self.1 == 0, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(after == 0);
    apply::apply(
        kernel,
        &plan(kernel, map),
        Options { stop: &stop, jobs, ..options() },
        &mut Stop(&stop, after),
    )
}

/// Plans with every class allowed.
pub fn plan(kernel: &Simulated, map: &Map) -> Plan {
    plan::plan(kernel, map, &BTreeSet::from(Class::ALL)).expect("a simulated kernel can be read")
}

pub fn options() -> Options<'static> {
    Options { patience: Duration::ZERO, ..Options::default() }
}
