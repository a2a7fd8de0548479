//! A kernel and a map that it is to be made equal to.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dmctl::apply::{self, Applied, ApplyError, Options, Progress, Silent};
use dmctl::config::{self, Map};
use dmctl::kernel::simulated::{MappingState, Simulated, State};
use dmctl::keys::Places;
use dmctl::plan::{self, Plan, Step};
use dmctl::policy::Class;
use nix::unistd::geteuid;

/// A change of a kernel that a map makes.
pub struct Scenario {
    pub name: &'static str,
    /// The map that was applied before.
    pub before: &'static str,
    /// Done to the kernel after that.
    pub meanwhile: fn(&mut State),
    /// The map that is applied.
    pub after: &'static str,
    /// Whether a part of it can't be undone: then a failure may leave that part done, and says so.
    pub one_way: bool,
}

/// Nothing happened in between.
pub fn nothing(_: &mut State) {}

/// A scenario, ready to be carried out as often as one likes.
pub struct Case {
    pub name: String,
    /// The kernel before.
    kernel: State,
    /// The map that is applied.
    pub map: Map,
    /// See [`Scenario::one_way`].
    pub one_way: bool,
}

impl Case {
    /// The kernel before, a new one each time.
    pub fn kernel(&self) -> Simulated {
        Simulated::new(&self.kernel).expect("a kernel")
    }
}

impl From<&Scenario> for Case {
    fn from(scenario: &Scenario) -> Self {
        let disks = ["/dev/sda=65536", "/dev/sdb=65536", "/dev/sdc=65536", "/dev/sdd=65536"];
        let disks: Vec<_> = disks.iter().map(|disk| disk.parse().expect("a disk")).collect();
        let kernel = Simulated::new(&State::from_disks(&disks).expect("disks")).expect("a kernel");
        apply(&kernel, &read(scenario.before)).expect("the first map applies");
        let mut state = kernel.state();
        (scenario.meanwhile)(&mut state);
        let (name, map) = (scenario.name.to_string(), read(scenario.after));
        Self { name, kernel: state, map, one_way: scenario.one_way }
    }
}

/// The golden plans that change something, and may.
pub fn golden() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut folders: Vec<_> =
        fs::read_dir(folder).expect("the cases").map(|entry| entry.expect("a case").path()).collect();
    folders.sort();
    let cases = folders.iter().filter(|folder| folder.is_dir()).map(|folder| golden_case(folder));
    cases.filter(|case| is_carried_out(&plan(&case.kernel(), &case.map))).collect()
}

fn golden_case(folder: &Path) -> Case {
    let several = folder.join("maps");
    let map = if several.is_dir() { several } else { folder.join("map.toml") };
    let mut loaded = config::load(&[map]);
    loaded.read_keys(&Places { credentials: None, user: geteuid().as_raw() });
    let says = loaded.render(false);
    let text = fs::read_to_string(folder.join("kernel.json")).expect("a kernel");
    Case {
        name: folder.display().to_string(),
        kernel: State::parse(&text, "kernel.json").expect("a kernel"),
        map: loaded.map.unwrap_or_else(|| panic!("{says}")),
        one_way: false,
    }
}

fn is_carried_out(plan: &Plan) -> bool {
    !plan.steps.is_empty() && apply::permit(plan).is_ok()
}

/// Plans and applies, one step after the other: the same calls each time.
pub fn apply(kernel: &Simulated, map: &Map) -> Result<(), ApplyError> {
    apply_side_by_side(kernel, map, 1)
}

/// Plans and applies with so many jobs.
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
        fn done(&mut self, _: usize, _: &Step) {
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

fn read(text: &str) -> Map {
    let text = format!("format = 1\nowner = \"lab\"\n{text}");
    let loaded = config::parse_str("map.toml", &text);
    let says = loaded.render(false);
    loaded.map.unwrap_or_else(|| panic!("{says}"))
}

/// The mapping of this name in a kernel.
pub fn mapping<'a>(state: &'a mut State, name: &str) -> &'a mut MappingState {
    state.mappings.iter_mut().find(|mapping| mapping.name == name).expect("a mapping of that name")
}
