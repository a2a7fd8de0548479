//! The events of `watch --json`, a line of JSON each. Those of an apply are in [`events`](super::events).
//!
//! Each line carries the version of the format. A program can pass over events that it does not know.

use std::collections::BTreeSet;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::json::versioned;
use crate::kernel::live::Writers;
use crate::plan::Action;
use crate::plan::document::Document;
use crate::watch::Cause;

/// An event of a watch, one on a line.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[schemars(title = "dmctl watch event")]
pub enum WatchEvent<'a> {
    /// The kernel is as the map wants it.
    InSync {
        /// The reasons to compare.
        causes: &'a BTreeSet<Cause>,
        /// The number of mappings of the map.
        mappings: usize,
    },
    /// The kernel differs from the map: what would make it equal.
    Plan {
        /// The reasons to compare.
        causes: &'a BTreeSet<Cause>,
        /// The plan, as `plan --json` prints it.
        #[serde(flatten)]
        plan: &'a Document,
    },
    /// The map or the kernel could not be read.
    Unclear {
        /// The reasons to compare.
        causes: &'a BTreeSet<Cause>,
        /// What could not be done.
        error: String,
        /// The errors and warnings of the map, each with its place.
        details: Vec<String>,
    },
    /// The plan before may not be applied.
    Refused {
        /// Why not.
        error: String,
    },
    /// Nothing more is applied until the map changes, or SIGHUP asks to try again.
    Held {
        /// The part of the map of which nothing more is applied; absent for all of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        part: Option<&'a str>,
        /// Why not.
        error: String,
    },
    /// Steps of the plan before that take something away are held back: a file of the map is open for writing, was
    /// written in place a moment ago, or went away. The other steps are carried out.
    Waiting {
        /// The files that are open for writing.
        written: Vec<WrittenFile>,
        /// The files that went away.
        absent: Vec<String>,
        /// The files that were written in place a moment ago, and may be written on.
        rewritten: Vec<String>,
        /// How long the files of the map must not change before those that went away are gone for good, or those that were
        /// written in place are whole; absent where there are none.
        #[serde(skip_serializing_if = "Option::is_none")]
        seconds: Option<f64>,
        /// The steps that are held back, each with its device.
        steps: &'a [String],
        /// The same in a sentence.
        reason: String,
    },
    /// Another dmctl holds the lock, and is waited for.
    Locked {
        /// Which one.
        error: String,
    },
    /// A step was carried out.
    StepDone {
        /// What it did.
        action: Action,
        /// The key of the mapping; null for a device that no mapping declares.
        mapping: Option<String>,
        /// The name of the device when the step began.
        name: String,
    },
    /// Every step was carried out.
    Applied {
        /// The number of steps.
        steps: usize,
    },
    /// An apply failed.
    Failed {
        /// What failed, and what is left.
        error: String,
        /// The exit code that `dmctl apply` would end with.
        exit: u8,
    },
}

/// A file of the map that is open for writing.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WrittenFile {
    path: String,
    /// The processes that have it open; empty where they can't be seen from here.
    processes: Vec<Writer>,
}

/// A process that has a file open for writing.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Writer {
    pid: u32,
    command: String,
}

impl WrittenFile {
    pub(crate) fn of(path: &Path, writers: &Writers) -> Self {
        let processes = writers.processes.iter();
        Self {
            path: path.to_string_lossy().into_owned(),
            processes: processes
                .map(|(command, pid)| Writer { pid: *pid, command: command.clone() })
                .collect(),
        }
    }
}

/// Returns the schema of a line.
pub fn schema() -> serde_json::Value {
    versioned::<WatchEvent<'_>>()
}
