//! What holds for any two maps over a handful of disks: the second is applied over the first, and the first
//! again. Stacks of every shape come up, renamed, swapped, suspended and taken away.

#![allow(clippy::unwrap_used, reason = "what a strategy makes must be a kernel and a map")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use dmctl::apply::{self, Options, Silent};
use dmctl::config::{self, Map};
use dmctl::export::{self, Selection};
use dmctl::identity::DevNum;
use dmctl::kernel::simulated::{Disk, KernelFacts, MappingState, Simulated, State, StateRow};
use dmctl::kernel::{Call, ReadKernel};
use dmctl::plan;
use dmctl::policy::Class;
use dmctl::render::{self, ColorMode};
use dmctl::secret::Secret;
use proptest::prelude::*;
use proptest::sample::Index;

const DISKS: u32 = 3;
const KEYS: usize = 6;
/// What every mapping has at least, and all that others use of it.
const SIZE: u64 = 64;

/// What serves a part of a mapping. The index is where in the list of what is below it looks.
#[derive(Debug, Clone)]
enum Part {
    Zero,
    Error,
    Linear(Index),
    Striped(Index, Index),
}

/// A mapping of a map.
#[derive(Debug, Clone)]
struct Wanted {
    parts: Vec<Part>,
    suspended: bool,
    readonly: bool,
    /// The count of sectors that follow unused.
    tail: u64,
    /// Its name is the key at this index, if that is free.
    name: Index,
}

/// A map: for each key a mapping, `None` where it is to be absent. A key uses later keys only.
type Wish = Vec<Option<Wanted>>;

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        1 => Just(Part::Zero),
        1 => Just(Part::Error),
        5 => any::<Index>().prop_map(Part::Linear),
        2 => (any::<Index>(), any::<Index>()).prop_map(|(one, two)| Part::Striped(one, two)),
    ]
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let parts = prop::collection::vec(part(), 1..=3);
    (parts, prop::bool::weighted(0.1), prop::bool::weighted(0.1), 0u64..3, any::<Index>()).prop_map(
        |(parts, suspended, readonly, tail, name)| Wanted { parts, suspended, readonly, tail, name },
    )
}

fn wish() -> impl Strategy<Value = Wish> {
    prop::collection::vec(prop::option::weighted(0.75, wanted()), KEYS)
}

/// The text of a map. `order` is the order in which its mappings are written, `turn` decides which key uses which.
fn text(wish: &Wish, order: &[usize], turn: usize) -> String {
    let names = names(wish);
    let mut text = "format = 1\nowner = \"lab\"\n".to_string();
    for index in order {
        let _ = write!(text, "\n[mappings.k{index}]\nshared = true\nname = \"{}\"\n", names[*index]);
        match &wish[*index] {
            None => text.push_str("state = \"absent\"\n"),
            Some(wanted) => write_mapping(&mut text, wish, *index, wanted, turn),
        }
    }
    text
}

fn write_mapping(text: &mut String, wish: &Wish, index: usize, wanted: &Wanted, turn: usize) {
    let below = below(wish, index, turn);
    let readonly = wanted.readonly || stands_on_readonly(wish, index, turn);
    let state = if wanted.suspended { "suspended" } else { "active" };
    let _ = writeln!(text, "state = \"{state}\"\nreadonly = {readonly}\ntargets = [");
    let mut left = SIZE;
    for (place, part) in wanted.parts.iter().enumerate() {
        let length = if place + 1 == wanted.parts.len() { left } else { 16 };
        left -= length;
        let _ = write!(text, "  {{ length = {length}, ");
        // Every part uses the first sectors of its lower device, as many as it has itself.
        let _ = match part {
            Part::Zero => writeln!(text, "type = \"zero\" }},"),
            Part::Error => writeln!(text, "type = \"error\" }},"),
            Part::Linear(at) => writeln!(text, "type = \"linear\", device = \"{}\" }},", at.get(&below)),
            Part::Striped(one, two) => {
                let (one, two) = (one.get(&below), two.get(&below));
                // Two mappings may end on one disk, where stripes must not meet.
                let stripes = if one.starts_with('@') || two.starts_with('@') {
                    format!("{{ device = \"{one}\" }}")
                } else {
                    format!("{{ device = \"{one}\" }}, {{ device = \"{two}\", offset = {} }}", length / 2)
                };
                writeln!(text, "type = \"striped\", chunk = 8, stripes = [{stripes}] }},")
            }
        };
    }
    if wanted.tail > 0 {
        let _ = writeln!(text, "  {{ length = {}, type = \"zero\" }},", wanted.tail * 16);
    }
    text.push_str("]\n");
}

/// Lower devices that a mapping may have: the disks, by either of their names, and the keys before it in this turn.
fn below(wish: &Wish, index: usize, turn: usize) -> Vec<String> {
    let disks = (0..DISKS).flat_map(|disk| [format!("8:{disk}"), format!("/dev/disk{disk}")]);
    let mappings = lower_keys(wish, index, turn).into_iter().map(|key| format!("@k{key}"));
    disks.chain(mappings).collect()
}

fn lower_keys(wish: &Wish, index: usize, turn: usize) -> Vec<usize> {
    let depth = |key: usize| (key + turn) % KEYS;
    (0..KEYS).filter(|key| depth(*key) < depth(index) && wish[*key].is_some()).collect()
}

/// A table over one that is read-only must be read-only itself.
fn stands_on_readonly(wish: &Wish, index: usize, turn: usize) -> bool {
    lower_keys(wish, index, turn)
        .into_iter()
        .any(|key| wish[key].as_ref().is_some_and(|wanted| wanted.readonly))
}

/// A name for each key, each once.
fn names(wish: &Wish) -> Vec<String> {
    let mut left: Vec<usize> = (0..KEYS).collect();
    let mut take = |wanted: &Option<Wanted>| {
        let at = wanted.as_ref().map_or(0, |wanted| wanted.name.index(left.len()));
        format!("name{}", left.remove(at))
    };
    wish.iter().map(&mut take).collect()
}

fn in_order() -> Vec<usize> {
    (0..KEYS).collect()
}

fn read(text: &str) -> Map {
    let loaded = config::parse_str("map.toml", text);
    let says = loaded.render();
    loaded.map.unwrap_or_else(|| panic!("{says}\n{text}"))
}

fn row(kind: &str, params: &str) -> StateRow {
    StateRow {
        start: 0,
        length: SIZE,
        kind: kind.to_string(),
        params: Secret::new(params.to_string()),
        status: None,
    }
}

/// A kernel with the disks and `foreign` devices of another owner, one of them on top of another.
fn kernel(foreign: u32) -> Simulated {
    let disk =
        |n: u32| Disk { paths: vec![format!("/dev/disk{n}")], ..Disk::new(DevNum::new(8, n), 1 << 16) };
    let device = |n: u32| {
        let below = if n == 0 { format!("8:0 {}", 1 << 10) } else { "254:100 0".to_string() };
        MappingState {
            name: format!("foreign{n}"),
            name_is_bytes: false,
            uuid: Some(format!("LVM-{n}")),
            uuid_is_bytes: false,
            number: DevNum::new(254, 100 + n),
            paths: Vec::new(),
            suspended: n == 2,
            read_only: false,
            open_count: 0,
            event_nr: 0,
            live: Some(vec![row("linear", &below)]),
            inactive: (n == 1).then(|| vec![row("zero", "")]),
            inactive_read_only: false,
            deferred_remove: false,
            mounts: Vec::new(),
            swap: false,
            processes: Vec::new(),
            holders: Vec::new(),
            in_flight: 0,
            queue: None,
            torn: false,
            logical_block_size: None,
        }
    };
    let state = State {
        format_version: 1,
        kernel: KernelFacts::default(),
        block_devices: (0..DISKS).map(disk).collect(),
        mappings: (0..foreign).map(device).collect(),
        pools: Vec::new(),
    };
    Simulated::new(&state).unwrap()
}

/// Applies a map with everything approved. Nothing may be left to do.
fn apply(kernel: &Simulated, map: &Map) -> Result<(), TestCaseError> {
    let all: BTreeSet<Class> = Class::ALL.into_iter().collect();
    let mut plan = plan::plan(kernel, map, &all).unwrap();
    let exchanges =
        |conflict: &plan::Conflict| matches!(conflict.reason, plan::Obstacle::ExchangeInParts { .. });
    if !plan.conflicts.is_empty() && plan.conflicts.iter().all(exchanges) {
        // As the conflict advises: first a map that uses none of the sectors.
        let mut nothing = Map { mappings: config::Mappings::default(), ..map.clone() };
        nothing.policy.prune = true;
        apply(kernel, &nothing)?;
        plan = plan::plan(kernel, map, &all).unwrap();
    }
    let shown = render::text(&plan, ColorMode::Plain);
    let options = Options { patience: Duration::ZERO, ..Options::default() };
    apply::apply(kernel, &plan, options, &mut Silent)
        .map_err(|error| TestCaseError::fail(format!("{error}\n{shown}")))?;
    let left = plan::plan(kernel, map, &BTreeSet::new()).unwrap();
    prop_assert!(left.is_empty(), "after\n{}this is left\n{}", shown, render::text(&left, ColorMode::Plain));
    Ok(())
}

/// Each device by uuid: name, whether it is suspended and read-only, and its table with uuids for the numbers of other
/// devices, since a device that is made again has another number.
type Picture = BTreeMap<String, (String, bool, bool, Vec<String>)>;

/// The devices of a kernel: those of the maps, and others.
struct Pictures {
    ours: Picture,
    strangers: Picture,
}

fn pictures(kernel: &Simulated) -> Pictures {
    let state = kernel.state();
    let uuids: BTreeMap<String, String> = state
        .mappings
        .iter()
        .map(|mapping| (mapping.number.to_string(), mapping.uuid.clone().unwrap_or_default()))
        .collect();
    let drawn = |row: &StateRow| {
        let words = row.params.reveal().split_whitespace();
        let words: Vec<&str> = words.map(|word| uuids.get(word).map_or(word, String::as_str)).collect();
        format!("{} {} {} {}", row.start, row.length, row.kind, words.join(" "))
    };
    let devices = state.mappings.iter().map(|mapping| {
        let live = mapping.live.iter().flatten().map(drawn);
        let inactive = mapping.inactive.iter().flatten().map(drawn).map(|line| format!("inactive {line}"));
        let facts =
            (mapping.name.clone(), mapping.suspended, mapping.read_only, live.chain(inactive).collect());
        (mapping.uuid.clone().unwrap_or_default(), facts)
    });
    let (ours, strangers) = devices.partition(|(uuid, _)| uuid.starts_with("DMCTL-lab-"));
    Pictures { ours, strangers }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_map_can_follow_any_other_and_be_undone(
        old in wish(),
        new in wish(),
        turns in (0..KEYS, 0..KEYS),
    ) {
        let (old, new) = (read(&text(&old, &in_order(), turns.0)), read(&text(&new, &in_order(), turns.1)));
        let kernel = kernel(3);
        let strangers = pictures(&kernel).strangers;
        apply(&kernel, &old)?;
        let before = pictures(&kernel).ours;
        apply(&kernel, &new)?;
        let between = pictures(&kernel).ours;
        apply(&kernel, &old)?;
        prop_assert_eq!(pictures(&kernel).ours, before);
        apply(&kernel, &new)?;
        prop_assert_eq!(pictures(&kernel).ours, between);
        prop_assert_eq!(pictures(&kernel).strangers, strangers);
    }

    #[test]
    fn a_plan_depends_on_nothing_but_map_and_kernel(
        old in wish(),
        new in wish(),
        order in Just(in_order()).prop_shuffle(),
        turn in 0..KEYS,
    ) {
        let kernel = kernel(2);
        apply(&kernel, &read(&text(&old, &in_order(), turn)))?;
        let draw = |order: &[usize]| {
            let plan = plan::plan(&kernel, &read(&text(&new, order, turn)), &BTreeSet::new()).unwrap();
            (render::text(&plan, ColorMode::Plain), serde_json::to_string(&render::json::plan(&plan)).unwrap())
        };
        let first = draw(&in_order());
        prop_assert_eq!(&draw(&in_order()), &first);
        prop_assert_eq!(&draw(&order), &first);
    }

    #[test]
    fn what_is_exported_changes_nothing(wish in wish(), turn in 0..KEYS) {
        let kernel = kernel(3);
        apply(&kernel, &read(&text(&wish, &in_order(), turn)))?;
        let everything = kernel.list().unwrap().iter().map(|listed| listed.number).collect();
        for selection in [Selection::default(), Selection { only: Some(everything), owner: None }] {
            let map = export::map(&kernel, &selection).unwrap();
            let plan = plan::plan(&kernel, &read(&map), &BTreeSet::new()).unwrap();
            // A stranger has something in its inactive slot.
            let disturbs = |step: &plan::Step| step.action() != plan::Action::Clear;
            prop_assert!(!plan.steps.iter().any(disturbs) && plan.conflicts.is_empty(), "{}", map);
            let left_out = map.lines().filter(|line| line.starts_with("# Left out")).count();
            prop_assert_eq!(left_out, if selection.only.is_some() { 0 } else { 3 }, "{}", map);
        }
    }

    #[test]
    fn a_plan_is_the_same_on_the_file_of_a_kernel(old in wish(), new in wish(), turns in (0..KEYS, 0..KEYS)) {
        let kernel = kernel(3);
        apply(&kernel, &read(&text(&old, &in_order(), turns.0)))?;
        let file = State::parse(&export::state(&kernel).unwrap().to_json(), "state.json").unwrap();
        let rehearsed = Simulated::new(&file).unwrap();
        prop_assert_eq!(export::state(&rehearsed).unwrap(), file);
        let map = read(&text(&new, &in_order(), turns.1));
        let draw = |kernel: &Simulated| {
            render::text(&plan::plan(kernel, &map, &BTreeSet::new()).unwrap(), ColorMode::Plain)
        };
        prop_assert_eq!(draw(&rehearsed), draw(&kernel));
    }

    #[test]
    fn stacks_come_up_again_from_the_concise_form(wish in wish(), turn in 0..KEYS) {
        let old = kernel(0);
        apply(&old, &read(&text(&wish, &in_order(), turn)))?;
        let concise = export::concise::write(&old, &Selection::default()).unwrap();
        if wish.iter().any(Option::is_some) {
            let map = export::import::map("SPEC", &concise, None).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let new = kernel(0);
            apply(&new, &read(&map))?;
            prop_assert_eq!(export::concise::write(&new, &Selection::default()).unwrap(), concise);
        }
    }

    #[test]
    fn looking_costs_a_list_and_a_table_for_each_device_of_the_map(wish in wish(), foreign in 0u32..40) {
        let kernel = kernel(foreign);
        let map = read(&text(&wish, &in_order(), 0));
        apply(&kernel, &map)?;
        kernel.forget_calls();
        let plan = plan::plan_to_show(&kernel, &map, &BTreeSet::new()).unwrap();
        prop_assert!(plan.is_empty());
        let devices = wish.iter().flatten().count();
        prop_assert_eq!(kernel.count(Call::List), 1);
        prop_assert_eq!(kernel.count(Call::Table), devices);
        prop_assert_eq!(kernel.calls().len(), 1 + devices);
    }
}
