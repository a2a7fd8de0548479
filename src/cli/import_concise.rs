//! `dmctl import-concise`: writes a map file from the text that `dmsetup create --concise` reads.

use crate::config::MAX_BYTES;
use crate::export::import;
use crate::files;
use crate::secret::Secret;
use anyhow::anyhow;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::note::note;
use super::output::print;
use super::rows;

/// Write a map file of what `dmsetup table --concise` prints and `dmsetup create --concise` reads
///
/// It reads `dm-mod.create=` of a kernel command line as well, alone or within it. Minor numbers are left out. A key is never taken over: the map names the place where it is looked for.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl import-concise 'root,,,ro,0 4096 linear 8:1 0' > mappings.toml\n  dmsetup table --concise | dmctl import-concise --major 254"
)]
pub(crate) struct Args {
    /// The text; without it, standard input is read. Give a text with a key on standard input: every user can read the
    /// words of a command until it has begun
    #[arg(value_name = "SPEC", value_parser = rows::secret)]
    spec: Option<Secret>,
    /// The major number of Device Mapper where the text comes from: lower devices with it become references
    #[arg(long, value_name = "NUMBER")]
    major: Option<u32>,
}

impl Args {
    /// Puts the text in, which was taken out of the words that were parsed.
    pub(super) fn put(&mut self, text: Secret) {
        self.spec = self.spec.as_ref().map(|_| text);
    }
}

pub(crate) fn run(_: &Context, args: Args) -> Result<Exit, Failure> {
    let (origin, text) = match args.spec {
        Some(spec) => ("SPEC", spec),
        None => ("<stdin>", standard_input()?),
    };
    let map = import::map(origin, text.reveal(), args.major);
    drop(text);
    match map {
        Ok(map) => print(&map).map(|()| Exit::Done),
        Err(error) => {
            note(error.styled().trim_end());
            Err(Failure::new(Exit::Error, anyhow!("nothing was written")))
        }
    }
}

fn standard_input() -> Result<Secret, Failure> {
    let fail = |message: String| Failure::new(Exit::Error, anyhow!(message));
    let bytes = rows::standard_input(MAX_BYTES)
        .map_err(|error| fail(format!("standard input can't be read: {error}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(fail("standard input holds more than 64 MiB, the most that is read".to_string()));
    }
    let mut text = files::wiped_text(bytes).map_err(|at| fail(format!("byte {at} is not UTF-8")))?;
    Ok(Secret::new(std::mem::take(&mut *text)))
}
