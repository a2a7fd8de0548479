//! What applying promises beyond its result: that keys stay where they are, that what the kernel takes and
//! ignores is told, and that a refusal says which row it is about.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod between;
mod ignored;
mod keys;
mod leaving;
mod lengths;
mod order;
mod refusals;
mod sectors;
mod unseen;
mod volumes;
