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
//! A map declares devices; [`config`] reads it, offline, and reports every error in it. `observed` reads the state of
//! a [`kernel`], as far as the map needs it. [`plan`] compares the two, target by target and by meaning (`diff`,
//! [`targets`]), and orders the steps that must be taken, each with its risk class ([`policy`]). [`render`] shows a
//! plan; [`apply`] carries it out, or undoes every step of it. [`saved`] keeps a plan for review. [`status`] compares
//! each mapping with the kernel. `boot` makes the units by which systemd brings a map up.
//!
//! `watch` is notified of changes, to keep a kernel equal to a map. `confirm` keeps the state of an apply that waits
//! to be confirmed.
//!
//! [`ops`] holds the operations on one device, for programs without a map. [`lock`] lets one process change a kernel at
//! a time, [`keys`] reads key material and [`secret`] holds it. [`units`], [`identity`], [`device`], [`access`],
//! [`table`], `sector_map` and `stack` are the vocabulary of all of them.
//!
//! The library does not use a terminal. A function that reads or changes a kernel takes it as a parameter: the running
//! kernel, [`kernel::live::Live`], or a model of it, [`kernel::simulated::Simulated`], on which this example runs.
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

// Public is what a user of the library needs. Test modules need not tell.
#![cfg_attr(not(test), deny(unreachable_pub))]

pub mod access;
pub mod apply;
#[doc(hidden)]
mod block_size;
mod boot;
pub mod cli;
pub mod config;
mod confirm;
pub mod device;
mod device_path;
mod diff;
mod excerpt;
pub mod export;
pub mod files;
pub mod graph;
pub mod health;
pub mod identity;
pub mod kernel;
pub mod keys;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod laws;
pub mod lock;
mod mistake;
mod nearest;
mod observed;
pub mod ops;
pub mod plan;
pub mod policy;
mod redact;
pub mod render;
pub mod saved;
pub mod secret;
mod sector_map;
mod stack;
pub mod status;
mod sync;
pub mod table;
pub mod targets;
mod text;
pub mod thin_metadata;
pub mod units;
pub mod volumes;
mod watch;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
