//! The map file: read, understood and checked, offline.

mod duration;
mod model;

pub use duration::{DurationSyntax, parse_duration};
pub use model::{Length, Map, Mapping, Origin, Place, Policy, Row, State};
