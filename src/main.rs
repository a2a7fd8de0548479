//! The `dmctl` command.

fn main() {}
