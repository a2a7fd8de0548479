//! The command line as a person or a script meets it: the binary, run on simulated kernels.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

mod believed;
mod bounds;
mod browser;
mod calls;
mod circles;
mod completing;
mod confirm;
mod dracut;
mod events;
mod exits;
mod export;
mod health;
mod hostile;
mod hostile_map;
mod html;
mod interrupted;
mod json;
mod lab;
mod lock;
mod lower;
mod memory;
mod message;
mod message_keys;
mod metrics;
mod parts;
mod plan;
#[path = "../processes/mod.rs"]
mod processes;
mod readers;
mod repair;
mod saved;
mod saved_conflicts;
mod saved_disks;
#[path = "../memory/mod.rs"]
mod scan;
mod spellings;
mod stacks;
mod streams;
mod unharmed;
mod units;
mod unknown;
mod unseen;
mod users;
mod verbs;
mod volumes;
#[path = "../waiting/mod.rs"]
mod waiting;
mod watch;
#[path = "../watching/mod.rs"]
mod watching;
mod writes;
mod written;
