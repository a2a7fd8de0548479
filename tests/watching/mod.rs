//! A `dmctl watch` that runs, as seen from outside. The same on a simulated kernel and on a real one.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;

use crate::processes;
pub use crate::waiting::PATIENCE;

/// How long nothing must be told where the kernel does not show whether a watch rests: more than the longest that a look
/// is put off.
const SILENCE: Duration = Duration::from_millis(1500);
/// Between two looks whether it rests.
const PAUSE: Duration = Duration::from_millis(5);
/// How long a watch that rests is looked at: that nothing wakes it by time can only be seen as time goes by.
const STILL: Duration = Duration::from_secs(4);

/// A watch and its events. Dropped, it is killed.
pub struct Watching {
    child: Option<Child>,
    pub events: Receiver<Value>,
    pipe: OwnedFd,
    /// Held while events are on their way from the pipe to `events`.
    delivery: Arc<Mutex<()>>,
}

impl Watching {
    /// Starts `dmctl watch --json`, which `command` is. Each of its events fits the schema.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let pipe = stdout.as_fd().try_clone_to_owned().unwrap();
        let (sender, events) = channel();
        let delivery = Arc::new(Mutex::new(()));
        let held = Arc::clone(&delivery);
        thread::spawn(move || deliver(stdout, &held, &sender));
        Self { child: Some(child), events, pipe, delivery }
    }

    /// Whether every event that it has told is in `events`.
    fn is_delivered(&self) -> bool {
        let _delivery = self.delivery.lock().unwrap();
        !is_readable(self.pipe.as_fd(), PollTimeout::ZERO)
    }

    /// The next event, which must be this one.
    pub fn next(&self, name: &str) -> Value {
        self.next_of(&[name])
    }

    /// The next event, which must be one of these. A dmctl that the test ran may have its lock for a moment after what
    /// it did was seen, and then the watch tells that it waits for the lock.
    pub fn next_of(&self, names: &[&str]) -> Value {
        let next = || self.events.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("none of {names:?}"));
        let mut event = next();
        if event["event"] == "locked" && !names.contains(&"locked") {
            event = next();
        }
        assert!(event["event"].as_str().is_some_and(|name| names.contains(&name)), "{event}");
        event
    }

    /// Sees a plan, and that it is applied.
    pub fn put_right(&self) {
        self.next("plan");
        self.applied();
    }

    /// Sees that a plan of one step is applied, and that all is well then.
    pub fn applied(&self) {
        self.next("step-done");
        self.next("applied");
        self.next("in-sync");
    }

    /// Sees that nothing more is told: it has looked at all that happened, and waits for something else to happen.
    pub fn silent(&self) {
        assert_eq!(self.until_rest(), [] as [Value; 0]);
    }

    /// What it tells until it rests.
    pub fn until_rest(&self) -> Vec<Value> {
        let mut told = Vec::new();
        let begin = Instant::now();
        let mut last = begin;
        loop {
            assert!(begin.elapsed() < PATIENCE, "it does not come to rest");
            let rests = match processes::waits_for_ever(self.pid()) {
                Some(rests) => rests,
                None => last.elapsed() > SILENCE,
            };
            // In this order: what it told before it came to rest is there.
            let is_over = rests && self.is_delivered();
            match self.events.recv_timeout(PAUSE) {
                Ok(event) => {
                    told.push(event);
                    last = Instant::now();
                }
                Err(_) if is_over => return told,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("it has ended"),
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.pid().to_string()]).status().unwrap().success());
    }

    /// Ends it as systemd does. It must end well; gives what it said on standard error.
    pub fn end(mut self) -> String {
        self.signal("-TERM");
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{}: {stderr}", output.status);
        stderr
    }

    /// Sees that it does not wake while nothing happens.
    pub fn sleeps(&self) {
        self.silent();
        let before = processes::switches(self.pid());
        assert!(before.len() >= 2);
        thread::sleep(STILL);
        assert_eq!(processes::switches(self.pid()), before, "it woke up, though nothing happened");
    }
}

/// Takes events out of the pipe as they come, until it ends. Each of them must fit the schema.
fn deliver(mut stdout: ChildStdout, delivery: &Mutex<()>, events: &Sender<Value>) {
    let schema = jsonschema::validator_for(&dmctl::render::watch_events::schema()).unwrap();
    let mut told = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        is_readable(stdout.as_fd(), PollTimeout::NONE);
        let _delivery = delivery.lock().unwrap();
        let read = stdout.read(&mut chunk).unwrap();
        if read == 0 {
            return;
        }
        told.extend_from_slice(&chunk[..read]);
        while let Some(end) = told.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = told.drain(..=end).collect();
            let event: Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(event["format_version"], 1);
            schema.validate(&event).unwrap_or_else(|error| panic!("{error} in {event}"));
            if events.send(event).is_err() {
                return;
            }
        }
    }
}

/// Whether there is something to read, or the end, within this time.
fn is_readable(pipe: BorrowedFd<'_>, within: PollTimeout) -> bool {
    poll(&mut [PollFd::new(pipe, PollFlags::POLLIN)], within).unwrap() > 0
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Then it has ended by itself, which the test has told of.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
