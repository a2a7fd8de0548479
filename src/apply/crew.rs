//! Carries tasks out side by side.
//!
//! What waits for the kernel costs a thread and next to nothing else, so there is a thread for each task that may run
//! at the same time. Whoever calls looks on meanwhile. Once a task has failed none is begun any more, and those that
//! run are waited for.
//!
//! No task waits for memory: all threads, with room for their calls, are there before the first begins. A task may
//! suspend the very device to which the kernel would write memory, to have some to give.

use std::hint;
use std::panic::{self, AssertUnwindSafe};
use std::sync::MutexGuard;
use std::thread::{self, Builder};
use std::time::Duration;

use super::queue::{Queue, TaskId};
use crate::sync::{Condvar, Mutex};

/// How much room a thread has for its calls. All of it is kept in memory while devices are suspended.
const STACK: usize = 512 << 10;

/// How much room for its calls each thread has from the start, in pieces as large as the kernel's answers. The C
/// library gives less than 128 KiB back to nobody (`M_TRIM_THRESHOLD` of mallopt(3)).
const PIECES: usize = 3;
const PIECE: usize = 32 << 10;

/// How often whoever looks on does so when nothing happens.
const LOOK: Duration = Duration::from_millis(100);

/// What is done for a task.
pub trait Work: Sync {
    /// Why a task fails.
    type Error: Send;

    /// A task is about to be carried out. If that fails it is not.
    fn begin(&self, _task: TaskId) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Carries a task out.
    fn perform(&self, task: TaskId) -> Result<(), Self::Error>;

    /// The error of a task that panicked.
    fn panicked(&self, task: TaskId) -> Self::Error;
}

/// Carries out all of `queue`, and gives the tasks that failed. In between, the calling thread calls `look`.
pub fn carry_out<W: Work>(queue: Queue, work: &W, look: &mut dyn FnMut()) -> Vec<(TaskId, W::Error)> {
    let threads = queue.width();
    let shared = Shared {
        state: Mutex::new(State { queue, ready: 0, is_open: false, running: 0, failed: Vec::new() }),
        tasks: Condvar::new(),
        end: Condvar::new(),
    };
    if threads > 1 {
        side_by_side(&shared, threads, work, look);
    } else {
        one_by_one(&shared, work, look);
    }
    let mut failed = shared.state.into_inner().failed;
    failed.sort_by_key(|(task, _)| *task);
    failed
}

struct Shared<E> {
    state: Mutex<State<E>>,
    /// Where the crew waits for tasks. Whoever takes one and sees another wakes one more, for to wake all of them
    /// each time would cost more than most tasks.
    tasks: Condvar,
    /// Where whoever looks on waits for the threads, and for the end.
    end: Condvar,
}

struct State<E> {
    queue: Queue,
    /// How many threads are there, with room for their calls.
    ready: usize,
    /// Whether tasks are begun.
    is_open: bool,
    /// How many tasks were taken and have not ended.
    running: usize,
    failed: Vec<(TaskId, E)>,
}

impl<E> State<E> {
    fn next(&mut self) -> Option<TaskId> {
        let task = if self.is_open && self.failed.is_empty() { self.queue.next() } else { None };
        self.running += usize::from(task.is_some());
        task
    }

    /// Whether nothing will be begun any more.
    fn is_closed(&self) -> bool {
        !self.failed.is_empty() || self.queue.is_done()
    }

    /// Whether nothing will be begun any more, and nothing runs.
    fn is_over(&self) -> bool {
        self.is_closed() && self.running == 0
    }
}

impl<E> Shared<E> {
    /// This thread takes part from now on.
    fn join(&self) -> MutexGuard<'_, State<E>> {
        make_room();
        let mut state = self.state();
        state.ready += 1;
        self.end.notify_all();
        state
    }

    /// Tasks are begun from now on, with this many threads.
    fn open(&self, threads: usize) {
        let mut state = self.state();
        while state.ready < threads {
            state = self.end.wait(state);
        }
        state.is_open = true;
        self.tasks.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State<E>> {
        // No task is carried out under this lock, so none can panic under it.
        self.state.lock()
    }

    fn ended(&self, task: TaskId, outcome: Result<(), E>) {
        let mut state = self.state();
        state.queue.ended(task);
        state.running -= 1;
        state.failed.extend(outcome.err().map(|error| (task, error)));
        if state.is_closed() {
            self.tasks.notify_all();
        }
        if state.is_over() {
            self.end.notify_all();
        }
    }
}

/// Takes memory and gives it back to the heap of this thread, which keeps it.
fn make_room() {
    hint::black_box([PIECE; PIECES].map(|piece| vec![1_u8; piece]));
}

fn one_by_one<W: Work>(shared: &Shared<W::Error>, work: &W, look: &mut dyn FnMut()) {
    drop(shared.join());
    shared.open(1);
    loop {
        let Some(task) = shared.state().next() else { break };
        let outcome = work.begin(task).and_then(|()| {
            look();
            perform(work, task)
        });
        shared.ended(task, outcome);
        look();
    }
}

fn side_by_side<W: Work>(shared: &Shared<W::Error>, threads: usize, work: &W, look: &mut dyn FnMut()) {
    let lane = || {
        let mut state = shared.join();
        loop {
            if let Some(task) = state.next() {
                if state.queue.has_next() {
                    shared.tasks.notify_one();
                }
                drop(state);
                shared.ended(task, work.begin(task).and_then(|()| perform(work, task)));
                state = shared.state();
            } else if state.is_closed() {
                return;
            } else {
                state = shared.tasks.wait(state);
            }
        }
    };
    thread::scope(|scope| {
        let start = |_| Builder::new().stack_size(STACK).spawn_scoped(scope, lane).ok();
        let crew: Vec<_> = (0..threads).map_while(start).collect();
        shared.open(crew.len());
        if crew.is_empty() {
            return lane();
        }
        loop {
            look();
            let state = shared.state();
            if state.is_over() {
                return;
            }
            drop(shared.end.wait_timeout(state, LOOK));
        }
    });
    look();
}

fn perform<W: Work>(work: &W, task: TaskId) -> Result<(), W::Error> {
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| work.perform(task)));
    outcome.unwrap_or_else(|_| Err(work.panicked(task)))
}
