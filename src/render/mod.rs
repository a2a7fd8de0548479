//! Draws plans, statuses and graphs, as text or for a program. Nothing here reads a kernel.
//!
//! Every drawing of a plan is made from its [`Document`](crate::plan::document::Document), so one that was
//! read from a file looks as it did when it was made.

mod boxes;
mod escape;
pub mod events;
pub mod graph;
mod health;
pub mod html;
pub mod json;
pub mod manual;
mod markdown;
mod metrics;
mod status;
mod step_text;
mod table;
mod text;
mod volumes;
pub mod watch_events;

pub use health::{health, health_schema, raw_health};
pub use markdown::markdown;
pub use metrics::metrics;
pub use status::text as status;
pub use text::{ColorMode, TextStyle, draw, text};
pub use volumes::{VolumesDocument, volumes, volumes_schema};

/// The facts about a saved plan that a drawing puts above the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heading {
    /// When and with which dmctl the plan was made.
    pub made: Option<String>,
    /// The reasons why the plan can't be applied any more, a sentence each; empty while it can.
    pub stale: Vec<String>,
}
