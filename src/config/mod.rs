//! The map file: read, understood and checked, offline.

mod model;

pub use model::{Length, Map, Mapping, Origin, Place, Policy, Row, State};
