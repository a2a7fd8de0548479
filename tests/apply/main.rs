//! What applying promises beyond its result: that keys stay where they are, and that what the kernel takes
//! and ignores is told.

mod ignored;
mod keys;
