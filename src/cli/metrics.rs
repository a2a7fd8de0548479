//! `dmctl metrics`: prints figures for a monitoring program.

use std::path::PathBuf;

use crate::health;
use crate::ops;
use crate::{render, status};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::map;
use super::output::print;

/// Print how devices fare, for Prometheus: health, progress and the figures of every target
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl metrics\n  dmctl metrics /etc/dmctl\n  dmctl metrics /etc/dmctl > /run/dmctl.prom.new && mv /run/dmctl.prom.new /run/dmctl.prom"
)]
pub(crate) struct Args {
    /// Map files: whether each mapping is in sync is told as well
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let map = if args.files.is_empty() {
        None
    } else {
        Some(map::read_with_keys(&args.files, context.trust_to_read())?)
    };
    let kernel = match &map {
        Some(map) => context.reading_for(map)?,
        None => context.reading()?,
    };
    let kernel = kernel.as_ref();
    let mappings = map.as_ref().map_or_else(|| Ok(Vec::new()), |map| status::without_health(kernel, map))?;
    let devices = health::all(kernel, &ops::list(kernel)?)?;
    print(&render::metrics(&devices, map.as_ref().map(|map| &map.owner), &mappings))?;
    Ok(Exit::Done)
}
