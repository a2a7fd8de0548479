//! `--each-stack`: each stack by itself, as its unit has it at boot. What is wrong with one holds no other up, and
//! one that says `noauto` is followed only while it is up.
//!
//! As long as nothing stands against the map it is still one plan, so that stacks can hand sectors and names to one
//! another. Stacks that something stands against are left out of it; after an apply that failed they are tried one
//! by one, to find the one that fails. What no mapping declares any more is pruned only by a plan of all stacks:
//! a part of a map can't tell what the whole declares.

use std::collections::{BTreeSet, HashSet};

use crate::config::{BootOption, Map, Stack, State};
use crate::identity::Key;
use crate::kernel::{KernelError, ReadKernel};
use crate::plan::{self, Plan};
use crate::policy::Class;

/// What came of the stacks of a map so far.
#[derive(Debug, Default)]
pub struct Parts {
    /// Those that failed, by name; none stands for what is pruned.
    held: BTreeSet<Option<Key>>,
    /// Since several failed together they are tried one by one: those that were.
    tried: Option<BTreeSet<Option<Key>>>,
}

/// Who is to blame for an apply that failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Blame {
    /// This part of the map, which is left alone from now on.
    Part(String),
    /// One of several stacks, that will be found.
    OneOf,
    /// No single one.
    All,
}

impl Parts {
    /// The plan failed, and everything was put back.
    pub fn failed(&mut self, map: &Map, plan: &Plan) -> Blame {
        let concerned = concerned(&groups(map), plan);
        match concerned.first() {
            Some(part) if concerned.len() == 1 => {
                let name =
                    part.as_ref().map_or("what is pruned".to_string(), |key| format!("the stack `{key}`"));
                self.held.insert(part.clone());
                Blame::Part(name)
            }
            Some(_) if self.tried.is_none() => {
                self.tried = Some(BTreeSet::new());
                Blame::OneOf
            }
            _ => Blame::All,
        }
    }

    /// The plan was carried out. Tells whether that was to find one to blame.
    pub fn applied(&mut self, map: &Map, plan: &Plan) -> bool {
        let concerned = concerned(&groups(map), plan);
        match &mut self.tried {
            Some(tried) if concerned.len() == 1 && tried.is_disjoint(&concerned) => {
                tried.extend(concerned);
                true
            }
            _ => false,
        }
    }

    /// Nothing is left to be tried.
    pub fn over(&mut self) {
        self.tried = None;
    }

    /// The plan of what can be put right now: nothing in it is refused, and no conflict stands in its way.
    pub fn plan(
        &self,
        kernel: &dyn ReadKernel,
        map: &Map,
        allow: &BTreeSet<Class>,
    ) -> Result<Plan, KernelError> {
        let groups = groups(map);
        let mut left = map.clone();
        for part in &self.held {
            leave_out(&mut left, groups.iter().find(|group| part.as_ref() == Some(&group.name)));
        }
        loop {
            let plan = plan::plan(kernel, &left, allow)?;
            let keys = against(&plan);
            if keys.is_empty() {
                return self.alone(kernel, &left, allow, plan);
            }
            let before = (left.mappings.len(), left.policy.prune);
            for key in &keys {
                leave_out(
                    &mut left,
                    groups.iter().find(|group| key.as_ref().is_some_and(|key| group.keys.contains(key))),
                );
            }
            if before == (left.mappings.len(), left.policy.prune) {
                return Ok(Plan::default());
            }
        }
    }

    /// The plan of one of the stacks that `plan` is about, when they are to be tried one by one.
    fn alone(
        &self,
        kernel: &dyn ReadKernel,
        map: &Map,
        allow: &BTreeSet<Class>,
        plan: Plan,
    ) -> Result<Plan, KernelError> {
        let groups = groups(map);
        let concerned = concerned(&groups, &plan);
        let Some(tried) = self.tried.as_ref().filter(|_| concerned.len() > 1) else { return Ok(plan) };
        let untried: Vec<_> = concerned.difference(tried).flatten().collect();
        for group in groups.iter().filter(|group| untried.contains(&&group.name)) {
            let mut part = map.clone();
            part.keep(&group.keys);
            let plan = plan::plan(kernel, &part, allow)?;
            if !plan.is_empty() && against(&plan).is_empty() {
                return Ok(plan);
            }
        }
        Ok(plan)
    }
}

/// Leaves out the stacks that come up only when something asks for them, and are not up: nobody misses those.
/// Nothing of them is there, so nothing of them can be pruned.
pub fn leave_out_unasked(map: &mut Map, kernel: &dyn ReadKernel) -> Result<(), KernelError> {
    let unasked = |stack: &Stack| stack.boot.contains(&BootOption::NoAuto);
    let stacks: Vec<Stack> = map.stacks().into_iter().filter(unasked).collect();
    if stacks.is_empty() {
        return Ok(());
    }
    let there: HashSet<_> = kernel.list()?.into_iter().filter_map(|listed| listed.uuid).collect();
    for stack in stacks {
        let is_up = |key| map.mappings.get(key).is_some_and(|mapping| there.contains(&mapping.uuid));
        if !stack.keys.iter().any(is_up) {
            map.mappings.retain(|key, _| !stack.keys.contains(key));
        }
    }
    Ok(())
}

/// The stacks of a map; a mapping that should not exist is one by itself.
fn groups(map: &Map) -> Vec<Stack> {
    let mut groups = map.stacks();
    groups.extend(map.mappings.values().filter(|mapping| mapping.state == State::Absent).map(|mapping| {
        Stack {
            name: mapping.key.clone(),
            keys: BTreeSet::from([mapping.key.clone()]),
            boot: BTreeSet::new(),
        }
    }));
    groups
}

/// The stacks that a plan changes, by name; none stands for what is pruned.
fn concerned(groups: &[Stack], plan: &Plan) -> BTreeSet<Option<Key>> {
    let name =
        |key: &Key| groups.iter().find(|group| group.keys.contains(key)).map(|group| group.name.clone());
    plan.steps.iter().map(|step| step.mapping.as_ref().and_then(name)).collect()
}

/// The mappings that something stands against; none where the device has no key.
fn against(plan: &Plan) -> BTreeSet<Option<Key>> {
    let conflicts = plan.conflicts.iter().map(|conflict| Some(conflict.mapping.clone()));
    conflicts.chain(plan.refused().map(|step| step.mapping.clone())).collect()
}

/// Leaves a stack out of a map, and what would be pruned.
fn leave_out(map: &mut Map, group: Option<&Stack>) {
    let gone = |key: &Key| group.is_some_and(|group| group.keys.contains(key));
    let kept = map.mappings.keys().filter(|key| !gone(key)).cloned().collect();
    map.keep(&kept);
}
