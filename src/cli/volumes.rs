//! `dmctl volumes`: lists the volumes that a thin pool holds.

use crate::identity::Name;
use crate::ops;
use crate::render::{self, VolumesDocument};
use crate::volumes::{self, VolumesError};

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;

/// List the volumes that a thin pool holds, and the devices that have them
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl volumes pool\n  dmctl volumes /dev/mapper/pool --json\n  dmctl volumes 254:0"
)]
pub(crate) struct Args {
    /// The pool: the name of its device, a path of it, or its number
    #[arg(add = complete::pools())]
    pool: String,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let kernel = context.reading()?;
    let pool = ops::find(kernel.as_ref(), &args.pool)?;
    let pool = volumes::read(kernel.as_ref(), pool)?;
    args.output.print(|| render::volumes(&pool), &VolumesDocument::of(&pool))?;
    Ok(Exit::Done)
}

impl From<VolumesError> for Failure {
    fn from(error: VolumesError) -> Self {
        let hint = match &error {
            VolumesError::NotAPool { pool: Some(pool), .. } => {
                let name = pool.name.as_deref().and_then(|name| Name::new(name).ok());
                let word = name.map_or_else(|| pool.number.to_string(), |name| name.word());
                Some(format!("it has a volume of a pool: `dmctl volumes {word}` lists them"))
            }
            VolumesError::NotAPool { pool: None, .. } => {
                Some("`dmctl list --long` shows the target types of every device".to_string())
            }
            VolumesError::Failed { .. } => Some(REPAIR.to_string()),
            VolumesError::Unreadable { why, .. } if why.needs_repair() => Some(REPAIR.to_string()),
            VolumesError::Kernel(_) | VolumesError::Gone { .. } | VolumesError::Unreadable { .. } => None,
        };
        let failure = match error {
            VolumesError::Kernel(error) => return error.into(),
            error => Self::new(Exit::Error, error),
        };
        hint.into_iter().fold(failure, Self::hint)
    }
}

/// The way out where metadata is damaged.
const REPAIR: &str = "take the pool and its volumes down; then `thin_check` on its metadata device tells more, `thin_check \
                      --clear-needs-check-flag` frees metadata in which nothing is wrong, and `thin_repair` writes what can be \
                      saved to another device";
