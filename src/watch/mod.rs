//! What it takes to follow a map and a kernel: to hear of changes, to wait until they are whole, and to know
//! when to leave well alone.
//!
//! ```text
//! files ─(notify)─┐
//! signals ────────┼-> bell -> pace: is it time to look? -> (a plan) -> latch: may it be applied?
//! kernel ─(poll)──┘
//! ```
//!
//! [`Files`] follows the files of a map, wherever links lead, and that of a simulated kernel. All that is heard
//! rings one [`Bell`], which is a descriptor to wait on: beside it only the running kernel's own
//! ([`Events`](crate::kernel::live::Events)). So whoever waits wakes when something happened and at no other
//! time. [`Pace`] and [`Latch`] decide, and know neither files nor clocks: they are told what happened when.
//!
//! ```
//! use std::time::Instant;
//! use dmctl::watch::{Bell, Cause, Files, Pace};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let map = folder.path().join("map.toml");
//! let (bell, mut pace) = (Bell::new()?, Pace::default());
//! let _files = Files::new(vec![(map.clone(), Cause::Map)], &bell)?;
//! std::fs::write(&map, "format = 1")?;
//! let causes = loop {
//!     bell.wait(None, pace.due())?;
//!     let now = Instant::now();
//!     bell.heard().into_iter().for_each(|what| pace.heard(what, now));
//!     if let Some(causes) = pace.take(now) {
//!         break causes;
//!     }
//! };
//! assert!(causes.contains(&Cause::Map));
//! # Ok(())
//! # }
//! ```

mod bell;
mod files;
mod latch;
mod pace;
mod trail;

pub use bell::Bell;
pub use files::{Files, WatchError};
pub use latch::Latch;
pub use pace::{Cause, Heard, Pace};
