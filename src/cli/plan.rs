//! `dmctl plan`: shows the steps of an apply, with their risk.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::anyhow;

use crate::boot;
use crate::config::{Map, MapFile};
use crate::identity::printable_path;
use crate::plan;
use crate::plan::document::Document;
use crate::policy::Class;
use crate::render::Heading;
use crate::saved::{self, Made, Saved};

use super::complete;
use super::context::Context;
use super::drawing::Drawing;
use super::exit::Exit;
use super::failure::Failure;
use super::map::Files;
use super::selection::Selection;

/// Show the steps that make the kernel equal to a map; nothing is changed
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl plan mappings.toml\n  dmctl plan /etc/dmctl --format html > review.html\n  dmctl plan mappings.toml --out plan.json\n  dmctl --kernel host.json plan mappings.toml --detailed-exitcode"
)]
pub(crate) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    selection: Selection,
    /// Also save the plan to this file, for `show` and `apply --plan`
    #[arg(long, value_name = "PLAN.json")]
    out: Option<PathBuf>,
    /// Exit with 2 if changes are pending
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    allow: Allow,
    #[command(flatten)]
    drawing: Drawing,
}

/// The risk classes approved beside those of the map.
#[derive(Debug, clap::Args)]
pub(crate) struct Allow {
    /// Also allow steps of these risk classes, in addition to `policy.allow`: remap, format, loss
    #[arg(long = "allow", value_name = "CLASS,..", value_delimiter = ',', add = complete::classes())]
    classes: Vec<Class>,
}

impl Allow {
    /// Returns the classes as the planner takes them.
    pub(crate) fn classes(&self) -> BTreeSet<Class> {
        self.classes.iter().copied().collect()
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let (map, files) = args.selection.read_all(&args.files.files, context.trust_to_read())?;
    if let Some(out) = &args.out {
        refuse_to_replace(context, out, &map, &files)?;
    }
    let kernel = context.reading_for(&map)?;
    let plan = plan::plan_to_show(kernel.as_ref(), &map, &args.allow.classes())?;
    let document = Document::of(&plan);
    if let Some(path) = &args.out {
        let made = Made {
            created_at: Some(now()),
            version: env!("CARGO_PKG_VERSION").to_string(),
            host: context.host(),
        };
        saved::write(path, &Saved::new(kernel.as_ref(), &map, &args.files.files, &plan, made)?)?;
    }
    args.drawing.print(&document, &Heading::default(), &document)?;
    if !plan.conflicts.is_empty() {
        return Ok(Exit::Error);
    }
    Ok(if args.detailed_exitcode && !plan.is_empty() { Exit::Pending } else { Exit::Done })
}

/// Refuses to write the plan over a file that it is made from: no copy of that would be left.
fn refuse_to_replace(context: &Context, out: &Path, map: &Map, files: &[MapFile]) -> Result<(), Failure> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let Some(there) = identity(out) else { return Ok(()) };
    let path_of = |file: &MapFile| file.path.clone().unwrap_or_else(|| "/dev/stdin".into());
    let maps = files.iter().map(path_of).map(|path| (path, "is a file of the map"));
    let keys =
        map.mappings.values().flat_map(boot::key_files).map(|path| (path.into(), "holds a key of the map"));
    let kernel = context.simulated().map(|path| (path.to_path_buf(), "is the simulated kernel"));
    let mut read = maps.chain(keys).chain(kernel);
    match read.find(|(path, _)| identity(path) == Some(there)) {
        Some((path, role)) => Err(Failure::new(
            Exit::Error,
            anyhow!(
                "the plan can't be saved to `{}`: `{}` {role}, and would be replaced; name another file",
                printable_path(out),
                printable_path(&path)
            ),
        )),
        None => Ok(()),
    }
}

/// Returns the time, to the second: a review takes longer.
fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}
