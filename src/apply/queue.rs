//! Decides which task may begin.
//!
//! A task may begin when all tasks that it waits for have ended, when every task of an earlier phase has ended, and when
//! there is room in its lane. Of several the first in the order begins: one at a time, they begin in the order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::overlap::{Lane, PerLane};
use crate::stack::{IndexVec, Position as _, position};

position! {
    /// A task, in the order in which tasks begin one at a time.
    pub(crate) struct TaskId;
}

position! {
    /// A phase: its tasks begin once those of every earlier phase have ended.
    pub(crate) struct PhaseId;
}

/// The facts that decide when a task may begin.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The phase of the task. A task is not of an earlier phase than one that it waits for.
    pub phase: PhaseId,
    /// The lane of the task, whose room limits how many of its tasks run.
    pub lane: Lane,
    /// The tasks that the task waits for; all come before it in the order.
    pub before: Vec<TaskId>,
}

/// Tasks in their order. Some have begun, some have ended.
#[derive(Debug)]
pub(crate) struct Queue {
    lanes: IndexVec<TaskId, Lane>,
    phases: IndexVec<TaskId, PhaseId>,
    /// For each task, the number of tasks that it still waits for.
    open: IndexVec<TaskId, usize>,
    /// For each task, those that wait for it.
    after: IndexVec<TaskId, Vec<TaskId>>,
    /// For each lane, the number of tasks that may begin beside the running ones.
    room: PerLane<usize>,
    /// For each lane, the tasks that do not wait for another, by phase and place.
    ready: PerLane<BinaryHeap<Reverse<(PhaseId, TaskId)>>>,
    /// For each phase, the number of tasks that have not ended.
    left: IndexVec<PhaseId, usize>,
    /// The first phase that has not ended.
    phase: PhaseId,
    width: usize,
}

impl Queue {
    /// Creates a queue of which at most `jobs` tasks run at the same time. With one job the tasks begin in their order,
    /// whatever their phases.
    pub(crate) fn new(items: &IndexVec<TaskId, Item>, jobs: usize) -> Self {
        let count = items.len();
        let first = PhaseId::new(0);
        let phases: IndexVec<TaskId, PhaseId> =
            items.iter().map(|item| if jobs == 1 { first } else { item.phase }).collect();
        let count_of_phases = phases.iter().max().map_or(0, |last| last.next().index());
        let mut left = IndexVec::filled(0, count_of_phases);
        let mut crowds: IndexVec<PhaseId, PerLane<usize>> = IndexVec::filled(PerLane::default(), left.len());
        for (item, phase) in items.iter().zip(phases.iter()) {
            left[*phase] += 1;
            crowds[*phase][item.lane] += 1;
        }
        let room = PerLane::of(|lane| lane.room(jobs));
        let widths =
            crowds.iter().map(|crowd| Lane::ALL.iter().map(|lane| room[*lane].min(crowd[*lane])).sum());
        let width = widths.max().unwrap_or(0).min(jobs);
        let mut after: IndexVec<TaskId, Vec<TaskId>> = IndexVec::filled(Vec::new(), count);
        for (task, item) in items.entries() {
            item.before.iter().for_each(|before| after[*before].push(task));
        }
        let mut queue = Self {
            lanes: items.iter().map(|item| item.lane).collect(),
            phases,
            open: items.iter().map(|item| item.before.len()).collect(),
            after,
            room,
            // With this capacity no heap grows while devices are suspended.
            ready: PerLane::of(|_| BinaryHeap::with_capacity(count)),
            left,
            phase: first,
            width,
        };
        items.positions().for_each(|task| queue.offer(task));
        queue.pass_phases();
        queue
    }

    /// Returns the largest number of tasks that may run at the same time.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Takes the next task that may begin.
    pub(crate) fn next(&mut self) -> Option<TaskId> {
        let (task, lane) = self.first()?;
        self.ready[lane].pop();
        self.room[lane] -= 1;
        Some(task)
    }

    /// Whether a task may begin.
    pub(crate) fn has_next(&self) -> bool {
        self.first().is_some()
    }

    /// Returns the first task that may begin, and its lane.
    fn first(&self) -> Option<(TaskId, Lane)> {
        let of_lane = |lane: Lane| {
            let Reverse((phase, task)) = self.ready[lane].peek()?;
            (*phase == self.phase && self.room[lane] > 0).then_some((*task, lane))
        };
        Lane::ALL.into_iter().filter_map(of_lane).min_by_key(|(task, _)| *task)
    }

    /// Records that a task that was taken has ended.
    pub(crate) fn ended(&mut self, task: TaskId) {
        self.room[self.lanes[task]] += 1;
        self.left[self.phases[task]] -= 1;
        self.pass_phases();
        for next in std::mem::take(&mut self.after[task]) {
            self.open[next] -= 1;
            self.offer(next);
        }
    }

    /// Whether every task has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.left.get(self.phase).is_none()
    }

    /// Moves on to the first phase that has not ended.
    fn pass_phases(&mut self) {
        while self.left.get(self.phase).is_some_and(|left| *left == 0) {
            self.phase = self.phase.next();
        }
    }

    fn offer(&mut self, task: TaskId) {
        if self.open[task] == 0 {
            self.ready[self.lanes[task]].push(Reverse((self.phases[task], task)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(phase: usize, lane: Lane, before: &[usize]) -> Item {
        Item { phase: PhaseId::new(phase), lane, before: before.iter().copied().map(TaskId::new).collect() }
    }

    fn queue(items: &[Item], jobs: usize) -> Queue {
        Queue::new(&items.to_vec().into(), jobs)
    }

    fn next(queue: &mut Queue) -> Option<usize> {
        queue.next().map(TaskId::index)
    }

    #[test]
    fn one_at_a_time_is_the_order() {
        let items = [item(2, Lane::Wait, &[]), item(0, Lane::Make, &[]), item(1, Lane::Load, &[1])];
        let mut queue = queue(&items, 1);
        for task in 0..3 {
            assert_eq!(next(&mut queue), Some(task));
            queue.ended(TaskId::new(task));
        }
        assert!(next(&mut queue).is_none() && queue.is_done());
    }

    #[test]
    fn a_phase_waits_for_the_one_before() {
        let items = [item(1, Lane::Wait, &[]), item(0, Lane::Wait, &[]), item(0, Lane::Wait, &[1])];
        let mut queue = queue(&items, 8);
        assert_eq!((next(&mut queue), next(&mut queue)), (Some(1), None));
        queue.ended(TaskId::new(1));
        assert_eq!((next(&mut queue), next(&mut queue)), (Some(2), None));
        queue.ended(TaskId::new(2));
        assert_eq!((next(&mut queue), next(&mut queue), queue.is_done()), (Some(0), None, false));
    }

    #[test]
    fn a_lane_that_is_full_lets_others_pass() {
        let items: Vec<Item> =
            [Lane::Make, Lane::Make, Lane::Wait].into_iter().map(|lane| item(0, lane, &[])).collect();
        let mut queue = queue(&items, 8);
        assert_eq!((next(&mut queue), next(&mut queue), next(&mut queue)), (Some(0), Some(2), None));
        queue.ended(TaskId::new(0));
        assert_eq!(next(&mut queue), Some(1));
    }

    #[test]
    fn the_width_is_what_lanes_have_room_for_in_one_phase() {
        let width = |items: &[Item], jobs| queue(items, jobs).width();
        let of = |phase, lane, count| vec![item(phase, lane, &[]); count];
        let made = [of(0, Lane::Make, 9), of(0, Lane::Message, 9)].concat();
        assert_eq!((width(&made, 8), width(&made, 1), width(&[], 8)), (2, 1, 0));
        let waits = [of(0, Lane::Wait, 3), of(1, Lane::Wait, 5), of(1, Lane::Make, 5)].concat();
        assert_eq!((width(&waits, 32), width(&waits, 4)), (6, 4));
    }
}
