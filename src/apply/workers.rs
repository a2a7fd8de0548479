//! Carries tasks out on worker threads.
//!
//! A task that waits for the kernel costs a thread and next to nothing else, so there is a thread for each task that
//! may run at the same time. The calling thread watches meanwhile. Once a task has failed no other is begun, and the
//! running ones are waited for.
//!
//! No task waits for memory: all threads, with room for their calls, are there before the first task begins. A task
//! may suspend the very device to which the kernel would swap memory out to free some.

use std::hint;
use std::panic::{self, AssertUnwindSafe};
use std::sync::MutexGuard;
use std::thread::{self, Builder};
use std::time::Duration;

use super::queue::{Queue, TaskId};
use crate::sync::{Condvar, Mutex};

/// The stack of a thread in bytes. All of it is kept in memory while devices are suspended.
const STACK_SIZE: usize = 512 << 10;

/// The heap that each thread has from the start, in pieces as large as the kernel's answers, each in bytes. glibc does
/// not return less than 128 KiB to the system (`M_TRIM_THRESHOLD` of mallopt(3)).
const PIECES: usize = 3;
const PIECE: usize = 32 << 10;

/// How often the calling thread calls `look` when nothing happens.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Carries out a single task.
pub(crate) trait Executor: Sync {
    /// Why a task fails.
    type Error: Send;

    /// Prepares a task. On an error the task is not carried out.
    fn begin(&self, _task: TaskId) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Carries out a task that was begun.
    fn perform(&self, task: TaskId) -> Result<(), Self::Error>;

    /// Returns the error of a task that panicked.
    fn panicked(&self, task: TaskId) -> Self::Error;
}

/// Carries out all tasks of `queue`, and returns those that failed. The calling thread calls `look` meanwhile.
pub(crate) fn carry_out<E: Executor>(
    queue: Queue,
    executor: &E,
    look: &mut dyn FnMut(),
) -> Vec<(TaskId, E::Error)> {
    let threads = queue.width();
    let shared = Shared {
        state: Mutex::new(State { queue, ready: 0, is_open: false, running: 0, failed: Vec::new() }),
        tasks: Condvar::new(),
        end: Condvar::new(),
    };
    if threads > 1 {
        on_workers(&shared, threads, executor, look);
    } else {
        on_this_thread(&shared, executor, look);
    }
    let mut failed = shared.state.into_inner().failed;
    failed.sort_by_key(|(task, _)| *task);
    failed
}

struct Shared<E> {
    state: Mutex<State<E>>,
    /// Signalled when a task may begin. A worker that takes a task and sees another wakes one more worker: to wake all
    /// of them each time would cost more than most tasks.
    tasks: Condvar,
    /// Signalled when a worker is ready, and when all tasks have ended. The calling thread waits for it.
    end: Condvar,
}

struct State<E> {
    queue: Queue,
    /// The number of threads that have room for their calls.
    ready: usize,
    /// Whether tasks may begin.
    is_open: bool,
    /// The number of tasks that were taken and have not ended.
    running: usize,
    failed: Vec<(TaskId, E)>,
}

impl<E> State<E> {
    /// Takes the next task that may begin.
    fn next(&mut self) -> Option<TaskId> {
        let task = if self.is_open && self.failed.is_empty() { self.queue.next() } else { None };
        self.running += usize::from(task.is_some());
        task
    }

    /// Whether no other task will begin.
    fn is_closed(&self) -> bool {
        !self.failed.is_empty() || self.queue.is_done()
    }

    /// Whether no other task will begin, and no task runs.
    fn is_over(&self) -> bool {
        self.is_closed() && self.running == 0
    }
}

impl<E> Shared<E> {
    /// Makes this thread a worker.
    fn join(&self) -> MutexGuard<'_, State<E>> {
        make_room();
        let mut state = self.state();
        state.ready += 1;
        self.end.notify_all();
        state
    }

    /// Lets tasks begin, once this many threads are ready.
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

    /// Records that a task has ended, and wakes the threads that this concerns.
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

/// Allocates memory and frees it to the heap of this thread, which keeps it.
fn make_room() {
    hint::black_box([PIECE; PIECES].map(|piece| vec![1_u8; piece]));
}

fn on_this_thread<E: Executor>(shared: &Shared<E::Error>, executor: &E, look: &mut dyn FnMut()) {
    drop(shared.join());
    shared.open(1);
    loop {
        let Some(task) = shared.state().next() else { break };
        let outcome = executor.begin(task).and_then(|()| {
            look();
            perform(executor, task)
        });
        shared.ended(task, outcome);
        look();
    }
}

fn on_workers<E: Executor>(shared: &Shared<E::Error>, threads: usize, executor: &E, look: &mut dyn FnMut()) {
    let worker = || {
        let mut state = shared.join();
        loop {
            if let Some(task) = state.next() {
                if state.queue.has_next() {
                    shared.tasks.notify_one();
                }
                drop(state);
                shared.ended(task, executor.begin(task).and_then(|()| perform(executor, task)));
                state = shared.state();
            } else if state.is_closed() {
                return;
            } else {
                state = shared.tasks.wait(state);
            }
        }
    };
    thread::scope(|scope| {
        let start = |_| Builder::new().stack_size(STACK_SIZE).spawn_scoped(scope, worker).ok();
        let workers: Vec<_> = (0..threads).map_while(start).collect();
        shared.open(workers.len());
        if workers.is_empty() {
            return worker();
        }
        loop {
            look();
            let state = shared.state();
            if state.is_over() {
                return;
            }
            drop(shared.end.wait_timeout(state, LOOK_INTERVAL));
        }
    });
    look();
}

fn perform<E: Executor>(executor: &E, task: TaskId) -> Result<(), E::Error> {
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| executor.perform(task)));
    outcome.unwrap_or_else(|_| Err(executor.panicked(task)))
}
