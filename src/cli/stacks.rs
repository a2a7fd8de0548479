//! `dmctl stacks`: lists the mappings of a map that come up and go down together, and the files that they need.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::boot;
use crate::config::{BootOption, Map, MapFile, Mapping, Stack};
use crate::identity::{Key, printable};
use crate::keys;
use clap::ValueEnum;
use nix::unistd::geteuid;
use serde::Serialize;

use super::exit::Exit;
use super::failure::Failure;
use super::map::Trust;
use super::note::note;
use super::output::{Output, lines};
use super::selection::Selection;

/// Name the stacks of a map: mappings that depend on one another are one, and come up at boot as one
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl stacks mappings.toml\n  dmctl stacks /etc/dmctl --boot x-initrd.attach --show types\n  dmctl stacks /etc/dmctl --show key-files --null | xargs -0 -r ls -l\n  dmctl stacks mappings.toml --json"
)]
pub(crate) struct Args {
    /// Map files, directories of `*.toml`, or `-` for standard input; several files form one map
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    /// Only stacks with this word in `boot`: nofail, noauto, _netdev, x-initrd.attach
    #[arg(long, value_name = "WORD")]
    boot: Option<BootOption>,
    /// What to show of them, a line each
    #[arg(long, value_name = "WHAT", default_value = "names", conflicts_with_all = ["json", "format"])]
    show: What,
    /// End each with a NUL instead of a line end, as `xargs -0` reads them, and escape nothing
    #[arg(long, conflicts_with_all = ["json", "format"])]
    null: bool,
    #[command(flatten)]
    output: Output,
}

/// The fact that `--show` selects.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// The names of the stacks: each is the key of the mapping at its top
    Names,
    /// The keys of the mappings
    Mappings,
    /// The types of the targets
    Types,
    /// The lower devices that are not mappings, as the map writes them
    Devices,
    /// The key files; for root, unless `apply` would refuse one for its owner or mode, or for a folder on the way to it
    KeyFiles,
    /// The files of the map that declare them, and those that hold its owner and policy
    MapFiles,
    /// The files that hold keys: key files, and files of the map with keys in clear
    SecretFiles,
}

#[derive(Serialize)]
struct Stacks {
    stacks: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: Key,
    mappings: BTreeSet<Key>,
    boot: BTreeSet<BootOption>,
    types: BTreeSet<String>,
    devices: BTreeSet<String>,
    key_files: BTreeSet<String>,
    map_files: BTreeSet<String>,
    secret_files: BTreeSet<String>,
}

impl Entry {
    fn new(stack: Stack, map: &Map, files: &[MapFile]) -> Self {
        let members: Vec<&Mapping> = stack.keys.iter().filter_map(|key| map.mappings.get(key)).collect();
        let rows = || members.iter().flat_map(|mapping| &mapping.rows);
        let key_files: BTreeSet<String> =
            members.iter().flat_map(|mapping| boot::key_files(mapping)).collect();
        let numbers: BTreeSet<usize> = members.iter().map(|mapping| mapping.file).collect();
        // An owner and a policy are those of all stacks.
        let is_needed = |number: &usize, file: &MapFile| file.has_settings || numbers.contains(number);
        let needed = || {
            files.iter().enumerate().filter(|(number, file)| is_needed(number, file)).map(|(_, file)| file)
        };
        let path = |file: &MapFile| Some(file.path.as_ref()?.to_string_lossy().into_owned());
        let in_clear = needed().filter(|file| file.holds_keys).filter_map(path);
        let lowers = rows().flat_map(|row| row.target.lower_devices(0));
        Self {
            types: rows().map(|row| row.target.kind().to_string()).collect(),
            devices: lowers
                .filter(|lower| lower.device.key().is_none())
                .map(|lower| lower.device.to_string())
                .collect(),
            map_files: needed().filter_map(path).collect(),
            secret_files: in_clear.chain(key_files.iter().cloned()).collect(),
            key_files,
            name: stack.name,
            mappings: stack.keys,
            boot: stack.boot,
        }
    }

    fn show(&self, what: What) -> Vec<String> {
        let own = |texts: &BTreeSet<String>| texts.iter().cloned().collect();
        match what {
            What::Names => vec![self.name.to_string()],
            What::Mappings => self.mappings.iter().map(ToString::to_string).collect(),
            What::Types => own(&self.types),
            What::Devices => own(&self.devices),
            What::KeyFiles => own(&self.key_files),
            What::MapFiles => own(&self.map_files),
            What::SecretFiles => own(&self.secret_files),
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let (map, files) = args.selection.read_with_files(&args.files, Trust::of_root())?;
    let asked = |stack: &Stack| args.boot.is_none_or(|option| stack.boot.contains(&option));
    let stacks = map.stacks().into_iter().filter(asked);
    let stacks = Stacks { stacks: stacks.map(|stack| Entry::new(stack, &map, &files)).collect() };
    let names_keys = args.output.is_json() || matches!(args.show, What::KeyFiles | What::SecretFiles);
    if names_keys && geteuid().is_root() {
        judge_keys(&stacks)?;
    }
    let shown = || stacks.stacks.iter().flat_map(|stack| stack.show(args.show)).collect::<BTreeSet<String>>();
    if args.null {
        // Not as text is printed: a stream for a terminal takes a NUL out.
        let ended = shown().iter().fold(String::new(), |text, item| text + item + "\0");
        let mut out = io::stdout().lock();
        let written = out.write_all(ended.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| Failure::new(Exit::Error, error))?;
    } else {
        args.output.print(|| lines(shown().iter().map(|item| printable(item))), &stacks)?;
    }
    Ok(Exit::Done)
}

/// Refuses key files that no verb would read: root copies what is listed, into an initramfs for one.
fn judge_keys(stacks: &Stacks) -> Result<(), Failure> {
    let files: BTreeSet<&String> = stacks.stacks.iter().flat_map(|stack| &stack.key_files).collect();
    let judged = files.into_iter().map(|file| keys::judge_file(Path::new(file), geteuid().as_raw()));
    let mut refused = judged.filter_map(Result::err).collect::<Vec<_>>().into_iter();
    let Some(first) = refused.next() else { return Ok(()) };
    refused.for_each(|other| note(format_args!("error: {other}")));
    Err(Failure::new(Exit::Error, first))
}
