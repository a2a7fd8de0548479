//! A `dmctl watch` that runs, as seen from outside. The same on a simulated kernel and on a real one.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::processes;
pub use crate::waiting::PATIENCE;

/// How long nothing must be told where the kernel does not show whether a watch rests: more than the longest that a look
/// is put off.
const SILENCE: Duration = Duration::from_millis(1500);
/// How long an event may be on its way through a pipe.
const PIPE: Duration = Duration::from_millis(50);
/// How long a watch that rests is looked at: that nothing wakes it by time can only be seen as time goes by.
const STILL: Duration = Duration::from_secs(4);

/// A watch and its events. Dropped, it is killed.
pub struct Watching {
    child: Option<Child>,
    pub events: Receiver<Value>,
}

impl Watching {
    /// Starts `dmctl watch --json`, which `command` is. Each of its events fits the schema.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (sender, events) = channel();
        let schema = jsonschema::validator_for(&dmctl::render::watch_events::schema()).unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || {
            for line in lines {
                let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
                assert_eq!(event["format_version"], 1);
                schema.validate(&event).unwrap_or_else(|error| panic!("{error} in {event}"));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self { child: Some(child), events }
    }

    /// The next event, which must be this one.
    pub fn next(&self, name: &str) -> Value {
        self.next_of(&[name])
    }

    /// The next event, which must be one of these.
    pub fn next_of(&self, names: &[&str]) -> Value {
        let event = self.events.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("none of {names:?}"));
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
            match self.events.recv_timeout(PIPE) {
                Ok(event) => {
                    told.push(event);
                    last = Instant::now();
                }
                Err(_) if rests => return told,
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

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Then it has ended by itself, which the test has told of.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
