//! The events of `watch --json`, a line of JSON each. Those of an apply are in [`events`](super::events).
//!
//! Each line carries the version of the format. A program can pass over events that it does not know.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::json::versioned;
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

/// Returns the schema of a line.
pub fn schema() -> serde_json::Value {
    versioned::<WatchEvent<'_>>()
}
