//! `dmctl units`: writes the units by which systemd brings a map up. Run as `dmctl-generator`, dmctl is this verb: see
//! systemd.generator(7).

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::boot::{self, Stage, UnitFile};
use crate::config;
use crate::files::{self, Durability, FileMode};
use crate::identity::printable_path;
use anyhow::anyhow;

use super::exit::Exit;
use super::failure::Failure;
use super::map::{self, Trust};

/// Begins the names of the files that are written beside units.
const TEMPORARY: &str = ".dmctl-units-";

/// The file that every initramfs has, and no installed system.
const INITRD: &str = "/etc/initrd-release";

/// The unit that asks for all stacks, and the folders where another can ask for it, those of the administrator first.
const SERVICE: &str = "dmctl.service";
const UNITS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
];

/// Write the systemd units that bring up a map at boot, an instance of dmctl@.service for each stack
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl units /tmp/units --map mappings.toml\n  dmctl units /run/systemd/generator"
)]
pub(crate) struct Args {
    /// The folder to write into
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Two more folders, that systemd hands to a generator: not used
    #[arg(hide = true, num_args = 0..=2)]
    others: Vec<PathBuf>,
    /// Map files, or directories of `*.toml`
    #[arg(long = "map", value_name = "FILE", default_value = "/etc/dmctl")]
    map: Vec<PathBuf>,
    /// Whether the units are for the initramfs, which has only stacks that say `x-initrd.attach`
    #[arg(long)]
    initrd: bool,
}

/// Writes the units; none where there is not a map.
pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let named = args.map != [Path::new("/etc/dmctl")];
    if !named && !has_maps(Path::new("/etc/dmctl")) {
        return Ok(Exit::Done);
    }
    let map = map::read(&args.map, Trust::of_root())?;
    let initrd = args.initrd || Path::new(INITRD).exists();
    let stage = if initrd { Stage::Initrd } else { Stage::System };
    let mut units = boot::units(&map, stage);
    let is_generator = !args.others.is_empty();
    if is_generator && stage == Stage::System && !is_enabled() {
        boot::leave_out_starts_by_disks(&mut units);
    }
    let mut folders = BTreeSet::new();
    for (path, entry) in units {
        let path = args.folder.join(path);
        let folder = files::folder(&path);
        let made = if folders.insert(folder.to_path_buf()) { make_folder(folder) } else { Ok(()) };
        made.and_then(|()| write(&path, &entry)).map_err(|error| {
            Failure::new(Exit::Error, anyhow!("{} can't be written: {error}", printable_path(&path)))
        })?;
    }
    Ok(Exit::Done)
}

/// Whether this system asks for the stacks at boot: whether a unit wants or requires `dmctl.service`. A generator can't ask
/// systemd for it.
fn is_enabled() -> bool {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let asks = |folder: &Path| {
        let asking = |name: &[u8]| name.ends_with(b".wants") || name.ends_with(b".requires");
        let mut asking = entries(folder).filter(|entry| asking(entry.file_name().as_encoded_bytes()));
        asking.any(|entry| entry.path().join(SERVICE).symlink_metadata().is_ok())
    };
    let masked =
        fs::read_link(Path::new(UNITS[0]).join(SERVICE)).is_ok_and(|to| to == Path::new("/dev/null"));
    !masked && UNITS.iter().any(|folder| asks(Path::new(folder)))
}

fn has_maps(folder: &Path) -> bool {
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.any(|entry| config::is_map(entry.file_name().as_encoded_bytes()))
}

/// Makes a folder for units, without those that a killed run left half written.
fn make_folder(folder: &Path) -> io::Result<()> {
    files::make_folder(folder)?;
    files::sweep_in(folder, TEMPORARY);
    Ok(())
}

fn write(path: &Path, entry: &UnitFile) -> io::Result<()> {
    match entry {
        UnitFile::Text(text) => {
            files::replace(path, text.as_bytes(), TEMPORARY, FileMode::Keep, Durability::Cached)
                .map_err(|(_, error)| error)
        }
        UnitFile::Link(to) => files::link(Path::new(to), path, TEMPORARY),
    }
}

/// Writes a failure to the kernel log: standard error of a generator may not be kept anywhere.
pub(crate) fn write_kernel_log(failure: &Failure) {
    let line = format!(
        "<3>dmctl-generator: {failure}; no mapping comes up at boot, see `dmctl validate /etc/dmctl`\n"
    );
    if let Ok(mut log) = fs::OpenOptions::new().write(true).open("/dev/kmsg") {
        // An error is ignored: the line was written to standard error as well.
        let _ = log.write_all(line.as_bytes());
    }
}
