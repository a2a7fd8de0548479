//! The events of `apply --json`, a line of JSON each, printed while the apply goes on.
//!
//! The first line is the plan, but for what is waited for before it. The plan is as `plan --json` prints it,
//! on one line. Each line carries the version of the format.
//! A program can pass over events that it does not know.

use schemars::JsonSchema;
use serde::Serialize;

use super::json::versioned;
use crate::apply::ApplyError;
use crate::plan::document::Document;
use crate::plan::{Action, Step, StepId};
use crate::stack::Position as _;

/// An event of an apply, one on a line.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[schemars(title = "dmctl event")]
pub enum Event<'a> {
    /// What is about to be done: the first line, unless something was waited for.
    Plan(&'a Document),
    /// Before the plan: lower devices are not there, and are waited for.
    WaitingForDevices {
        /// The devices.
        devices: Vec<AwaitedDevice>,
    },
    /// A step begins. Several may be on their way at once, so the steps of other lines may come in between.
    StepStarted(Which<'a>),
    /// A step was carried out. Steps come in the order in which they end.
    StepDone(Which<'a>),
    /// Something failed, or the apply was told to end. Nothing more is begun, and what was done is put back.
    RollingBack,
    /// Everything was put back: the end.
    RolledBack {
        /// What had failed.
        error: String,
    },
    /// Something could not be put back: the end.
    Left {
        /// What had failed, and what is left.
        error: String,
        /// What is left as it should not be, with what to do about it.
        left: Vec<String>,
    },
    /// Every step was carried out, and the kernel shows it: the end.
    Done {
        /// How many steps there were.
        steps: usize,
    },
    /// With `--confirm-within`, after the end: everything is put back unless it is confirmed in time.
    Waiting {
        /// Until when, as in RFC 3339.
        until: String,
    },
}

/// A lower device that is waited for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AwaitedDevice {
    /// The device as the map writes it.
    pub device: String,
    /// The keys of the mappings that wait for it.
    pub mappings: Vec<String>,
    /// How long they wait at most, in seconds.
    pub seconds: f64,
}

/// A step of the plan.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Which<'a> {
    /// Its place among the steps of the plan, counted from 0.
    pub step: usize,
    /// What it does.
    pub action: Action,
    /// The name of the device when the step begins.
    pub name: std::borrow::Cow<'a, str>,
}

impl<'a> Which<'a> {
    /// Describes the step at an index.
    pub fn of(place: StepId, step: &'a Step) -> Self {
        Self { step: place.index(), action: step.action(), name: step.name.to_string().into() }
    }
}

impl<'a> Event<'a> {
    /// Returns the event of a failed apply; `None` when it had not begun.
    pub fn of(error: &'a ApplyError) -> Option<Self> {
        match error {
            // The devices are as planned: only a device node does not follow.
            ApplyError::Unsettled(_) => Some(Self::Left { error: error.to_string(), left: Vec::new() }),
            ApplyError::Conflicts(_) | ApplyError::Refused(_) | ApplyError::Read(_) => None,
            ApplyError::Left { left, .. } => Some(Self::Left {
                error: error.to_string(),
                left: left.iter().map(ToString::to_string).collect(),
            }),
            _ => Some(Self::RolledBack { error: error.to_string() }),
        }
    }
}

/// Returns the schema of a line.
pub fn schema() -> serde_json::Value {
    versioned::<Event<'_>>()
}
