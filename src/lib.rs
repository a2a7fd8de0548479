//! `dmctl` keeps the Device Mapper devices of a Linux host equal to a TOML file.
//!
//! Data flows one way:
//!
//! ```text
//! text -> config -> desired ┐
//!                           ├-> diff -> plan -> render
//!        kernel -> observed ┘            └----> apply -> kernel
//! ```
//!
//! A map says which devices should be; [`config`] reads it, offline, and tells everything that is wrong with
//! it. [`observed`] reads as much of a [`kernel`] as the map asks about. [`plan`] compares the two, target by
//! target and by meaning ([`diff`], [`targets`]), and puts what must happen in order, each step with its risk
//! class ([`policy`]). [`render`] shows a plan; [`apply`] carries it out, or leaves everything as it was.
//! [`saved`] keeps a plan for review. [`status`] says how each mapping stands. [`boot`] makes the units by which
//! systemd brings a map up.
//!
//! [`watch`] hears of changes, for whoever keeps a kernel so. [`confirm`] tells of an apply that waits to be
//! confirmed.
//!
//! [`ops`] holds the operations on one device, for whoever wants no map. [`lock`] keeps two processes apart,
//! [`keys`] reads key material and [`secret`] holds it. [`units`], [`identity`], [`device`], [`access`], [`table`],
//! [`sector_map`] and [`stack`] are the words that all of them speak in.
//!
//! Nothing in here knows a terminal, and everything that touches a kernel is given one: the running one,
//! [`kernel::live::Live`], or a model of it, [`kernel::simulated::Simulated`], on which this example runs.
//!
//! ```
//! use std::collections::BTreeSet;
//!
//! use dmctl::apply::{self, Options, Silent};
//! use dmctl::kernel::simulated::{Simulated, State};
//! use dmctl::{config, plan, render};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let kernel = Simulated::new(&State::from_disks(&["/dev/vda=20GiB".parse()?])?)?;
//! let loaded = config::parse_str("map.toml", r#"
//!     format = 1
//!     owner = "lab"
//!     [mappings.data]
//!     targets = [{ type = "linear", length = "10GiB", device = "/dev/vda" }]
//! "#);
//! let map = loaded.map.ok_or("the map is refused")?;
//!
//! let steps = plan::plan(&kernel, &map, &BTreeSet::new())?;
//! println!("{}", render::json::plan(&steps).summary_line());
//! apply::apply(&kernel, &steps, Options::default(), &mut Silent)?;
//!
//! assert!(plan::plan(&kernel, &map, &BTreeSet::new())?.is_empty());
//! # Ok(())
//! # }
//! ```

pub mod access;
pub mod apply;
pub mod boot;
#[doc(hidden)]
pub mod cli;
pub mod config;
pub mod confirm;
pub mod device;
mod device_path;
pub mod diff;
mod excerpt;
pub mod export;
pub mod graph;
pub mod identity;
pub mod kernel;
pub mod keys;
pub mod lock;
pub mod mistake;
pub mod observed;
pub mod ops;
pub mod plan;
pub mod policy;
mod redact;
pub mod render;
pub mod saved;
pub mod secret;
pub mod sector_map;
pub mod stack;
pub mod status;
mod sync;
pub mod table;
pub mod targets;
mod text;
pub mod units;
pub mod watch;

/// README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
