//! What `dmctl watch` is given.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::output::Output;
use crate::cli::plan::Allow;
use crate::config::parse_duration;

/// Follow a map and the kernel: tell what changes, and with --apply put it right
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl watch /etc/dmctl\n  dmctl watch /etc/dmctl --apply\n  dmctl watch /etc/dmctl --apply --each-stack\n  dmctl watch mappings.toml --apply --allow remap\n  dmctl watch mappings.toml --json | jq --unbuffered -r .event"
)]
pub(crate) struct Args {
    /// Map files and directories of `*.toml`, that need not exist yet; several files form one map
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Apply what the policy of the map allows, until an apply fails
    #[arg(long)]
    pub(super) apply: bool,
    /// Follow each stack by itself, as its unit does at boot: what is wrong with one holds no other up, and one that
    /// has `noauto` is followed only while it is up
    #[arg(long)]
    pub(super) each_stack: bool,
    /// How long the files of the map must not change, once one of them went away, before what only that one declared is
    /// removed; once one was written in place, 3 seconds if that is shorter
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub(super) removal_delay: Duration,
    #[command(flatten)]
    pub(super) allow: Allow,
    #[command(flatten)]
    pub(super) output: Output,
}
