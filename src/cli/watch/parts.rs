//! `--each-stack`: each stack by itself, as its unit has it at boot. An error of one holds no other up, and a `noauto`
//! stack is followed only while it is up.
//!
//! While nothing is refused it is still one plan, so that stacks can hand sectors and names to one another. Stacks with
//! a conflict or a refused step are left out of it. After an apply that failed stacks are tried one by one, to find the
//! one that fails. A device that no mapping declares any more is pruned only by a plan of all stacks: a part of a map
//! can't tell what the whole declares.

use std::collections::{BTreeSet, HashSet};

use super::hold::takes_away;
use crate::config::{BootOption, Map, Stack, State};
use crate::identity::Key;
use crate::kernel::{KernelError, ReadKernel};
use crate::plan::{self, Plan};
use crate::policy::Class;

/// The outcomes of the stacks of a map so far. A stack has a name; `None` is the devices that are pruned.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The stacks that failed.
    held: BTreeSet<Option<Key>>,
    /// The stacks that were tried one by one since several failed together; `None` while that is not needed.
    tried: Option<BTreeSet<Option<Key>>>,
}

/// The part of a map that made an apply fail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// This part of the map, which is left alone from now on.
    Part(String),
    /// One of several stacks, to be found by trying.
    OneOf,
    /// Not a single stack.
    All,
}

impl Parts {
    /// Records a plan that failed and was put back.
    pub(super) fn failed(&mut self, map: &Map, plan: &Plan) -> Blame {
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

    /// Records a plan that was carried out. Returns whether that was to find the stack that fails.
    pub(super) fn applied(&mut self, map: &Map, plan: &Plan) -> bool {
        let concerned = concerned(&groups(map), plan);
        match &mut self.tried {
            Some(tried) if concerned.len() == 1 && tried.is_disjoint(&concerned) => {
                tried.extend(concerned);
                true
            }
            _ => false,
        }
    }

    /// Ends the search for the stack that fails.
    pub(super) fn end_probing(&mut self) {
        self.tried = None;
    }

    /// Plans the stacks that can be applied now: without a conflict or a refused step, and while `held` without a step that
    /// takes something away.
    pub(super) fn plan(
        &self,
        kernel: &dyn ReadKernel,
        map: &Map,
        allow: &BTreeSet<Class>,
        held: bool,
    ) -> Result<Plan, KernelError> {
        let groups = groups(map);
        let mut left = map.clone();
        for part in &self.held {
            leave_out(&mut left, groups.iter().find(|group| part.as_ref() == Some(&group.name)));
        }
        let unfit = |plan: &Plan| {
            let takers = if held { takers(plan) } else { BTreeSet::new() };
            obstructed(plan).union(&takers).cloned().collect()
        };
        let (plan, left) = plan_without(kernel, &left, allow, unfit)?;
        self.probe(kernel, &left, allow, plan)
    }

    /// Plans one of the stacks that `plan` changes, while they are tried one by one; otherwise returns `plan`.
    fn probe(
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
            if !plan.is_empty() && obstructed(&plan).is_empty() {
                return Ok(plan);
            }
        }
        Ok(plan)
    }
}

/// Plans the stacks without a mapping that `unfit` finds in their plan; `None` is a device without a key, and then nothing
/// is pruned. Returns also the map that is left.
pub(super) fn plan_without(
    kernel: &dyn ReadKernel,
    map: &Map,
    allow: &BTreeSet<Class>,
    unfit: impl Fn(&Plan) -> BTreeSet<Option<Key>>,
) -> Result<(Plan, Map), KernelError> {
    let groups = groups(map);
    let mut left = map.clone();
    loop {
        let plan = plan::plan(kernel, &left, allow)?;
        let keys = unfit(&plan);
        if keys.is_empty() {
            return Ok((plan, left));
        }
        let before = (left.mappings.len(), left.policy.prune);
        for key in &keys {
            leave_out(
                &mut left,
                groups.iter().find(|group| key.as_ref().is_some_and(|key| group.keys.contains(key))),
            );
        }
        if before == (left.mappings.len(), left.policy.prune) {
            return Ok((Plan::default(), left));
        }
    }
}

/// Lists the mappings with a step that takes something away; `None` for a device without a key.
pub(super) fn takers(plan: &Plan) -> BTreeSet<Option<Key>> {
    takes_away(plan).map(|step| step.mapping.clone()).collect()
}

/// Leaves out the `noauto` stacks that are not up: they are not missing. No device of them exists, so none of them can
/// be pruned.
pub(super) fn leave_out_inactive(map: &mut Map, kernel: &dyn ReadKernel) -> Result<(), KernelError> {
    let noauto = |stack: &Stack| stack.boot.contains(&BootOption::NoAuto);
    let stacks: Vec<Stack> = map.stacks().into_iter().filter(noauto).collect();
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

/// Lists the stacks of a map; a mapping that should not exist is one by itself.
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

/// Names the stacks that a plan changes.
fn concerned(groups: &[Stack], plan: &Plan) -> BTreeSet<Option<Key>> {
    let name =
        |key: &Key| groups.iter().find(|group| group.keys.contains(key)).map(|group| group.name.clone());
    plan.steps.iter().map(|step| step.mapping.as_ref().and_then(name)).collect()
}

/// Lists the mappings with a conflict or a refused step; `None` for a device without a key.
fn obstructed(plan: &Plan) -> BTreeSet<Option<Key>> {
    let conflicts = plan.conflicts.iter().map(|conflict| Some(conflict.mapping.clone()));
    conflicts.chain(plan.refused().map(|step| step.mapping.clone())).collect()
}

/// Leaves a stack out of a map, and all pruning.
fn leave_out(map: &mut Map, group: Option<&Stack>) {
    let gone = |key: &Key| group.is_some_and(|group| group.keys.contains(key));
    let kept = map.mappings.keys().filter(|key| !gone(key)).cloned().collect();
    map.keep(&kept);
}
