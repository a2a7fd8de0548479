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
//! [`config`] understands the file, offline. [`kernel`] reads and changes a kernel, the running one or a
//! simulated one.

pub mod apply;
pub mod config;
pub mod device;
pub mod diff;
pub mod identity;
pub mod kernel;
pub mod keys;
pub mod lock;
pub mod observed;
pub mod ops;
pub mod plan;
pub mod policy;
pub mod render;
pub mod secret;
pub mod sector_map;
pub mod status;
pub mod table;
pub mod targets;
pub mod units;
