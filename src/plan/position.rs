//! The lists of a plan on its way, each with a position type of its own.

use crate::stack::position;

position! {
    /// A mapping of the map, in the order of the keys.
    pub(crate) struct MappingId;
}

position! {
    /// A mapping in [`Changes::all`](super::Changes::all): lower ones first.
    pub struct ChangeId;
}

position! {
    /// A step before the steps are sorted.
    pub(crate) struct UnsortedId;
}

position! {
    /// A step of a plan, in the order in which the steps can be carried out one by one.
    pub struct StepId;
}
