//! Makes a new simulated kernel from a list of disks: `dmctl simulate STATE.json --disk /dev/sda=10GiB`.

use std::collections::BTreeSet;
use std::str::FromStr;

use thiserror::Error;

use super::state::{Disk, FORMAT_VERSION, KernelFacts, State};
use crate::device::Device;
use crate::identity::DevNum;
use crate::units::{Sectors, SizeError};

/// A disk to simulate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSpec {
    /// Its node, below `/dev/`.
    pub path: String,
    /// The size, in sectors of 512 bytes; 0 is refused.
    pub sectors: u64,
    /// Whether it refuses writes.
    pub read_only: bool,
}

/// The reason why disks can't be simulated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DiskError {
    /// A text without the form of a disk.
    #[error("`{}` describes no disk: write PATH=SIZE or PATH=SIZE,ro, such as /dev/sda=10GiB", .0.escape_debug())]
    Syntax(String),
    /// A path that can't be a node.
    #[error("`{}` can't be the node of a disk: write a path below /dev/, without blanks or `..`, and with `\\` in `\\xNN` only", .0.escape_debug())]
    Path(String),
    /// A path that mappings have.
    #[error("`{}` is where mappings appear: choose another path for a disk", .0.escape_debug())]
    Mapper(String),
    /// A size that is not valid.
    #[error("the size of `{}`: {error}", .path.escape_debug())]
    Size {
        /// The path of the disk, below `/dev/`.
        path: String,
        /// The error of its size.
        error: SizeError,
    },
    /// A disk without sectors.
    #[error("`{}` has no sector: give it a size", .0.escape_debug())]
    NoSize(String),
    /// Two disks at one path.
    #[error("`{}` is there twice", .0.escape_debug())]
    Twice(String),
}

impl FromStr for DiskSpec {
    type Err = DiskError;

    /// Reads `PATH=SIZE[,ro]`; a size without a unit counts sectors, as in a map file.
    fn from_str(text: &str) -> Result<Self, DiskError> {
        let syntax = || DiskError::Syntax(text.to_string());
        let (path, rest) = text.rsplit_once('=').ok_or_else(syntax)?;
        let (size, read_only) = match rest.split_once(',') {
            None => (rest, false),
            Some((size, "ro")) => (size, true),
            Some((size, "rw")) => (size, false),
            Some(_) => return Err(syntax()),
        };
        check_path(path)?;
        let plain = !size.is_empty() && size.bytes().all(|b| b.is_ascii_digit());
        let unit = if plain { "s" } else { "" };
        let Sectors(sectors) = Sectors::parse(&format!("{size}{unit}"))
            .map_err(|error| DiskError::Size { path: path.to_string(), error })?;
        if sectors == 0 {
            return Err(DiskError::NoSize(path.to_string()));
        }
        Ok(Self { path: path.to_string(), sectors, read_only })
    }
}

fn check_path(path: &str) -> Result<(), DiskError> {
    let name = path.strip_prefix("/dev/").unwrap_or_default();
    let parts_are_names = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !parts_are_names || Device::parse(path).is_err() {
        return Err(DiskError::Path(path.to_string()));
    }
    if name.starts_with("mapper/") || super::nodes::dm_minor(path).is_some() {
        return Err(DiskError::Mapper(path.to_string()));
    }
    Ok(())
}

impl State {
    /// Creates a kernel with these disks, which are blank, and without mappings. They get the numbers that Linux
    /// gives such nodes: `/dev/ramN` 1:N, `/dev/loopN` 7:N, `/dev/sdX` and `/dev/vdX` 8 and 252 in steps of 16, any
    /// other one of 259.
    pub fn from_disks(disks: &[DiskSpec]) -> Result<Self, DiskError> {
        let mut taken = BTreeSet::new();
        let mut block_devices = Vec::with_capacity(disks.len());
        for (index, spec) in disks.iter().enumerate() {
            if disks[..index].iter().any(|other| other.path == spec.path) {
                return Err(DiskError::Twice(spec.path.clone()));
            }
            let number = usual_number(&spec.path)
                .filter(|number| !taken.contains(number))
                .or_else(|| (0..1 << 20).map(|minor| DevNum::new(259, minor)).find(|n| !taken.contains(n)))
                .ok_or_else(|| DiskError::Twice(spec.path.clone()))?;
            taken.insert(number);
            block_devices.push(Disk {
                paths: vec![spec.path.clone()],
                read_only: spec.read_only,
                blank: true,
                ..Disk::new(number, spec.sectors)
            });
        }
        Ok(Self {
            format_version: FORMAT_VERSION,
            kernel: KernelFacts::default(),
            block_devices,
            mappings: Vec::new(),
            pools: Vec::new(),
        })
    }
}

/// Returns the number that Linux gives a node of this name, if it always gives the same.
fn usual_number(path: &str) -> Option<DevNum> {
    let name = path.strip_prefix("/dev/")?;
    let numbered = |prefix: &str| name.strip_prefix(prefix)?.parse::<u32>().ok().filter(|n| *n < 1 << 20);
    let lettered = |prefix: &str| {
        let letters = name.strip_prefix(prefix)?.as_bytes();
        match letters {
            [letter @ b'a'..=b'z'] => Some(u32::from(letter - b'a') * 16),
            _ => None,
        }
    };
    let (major, minor) = if let Some(minor) = numbered("ram") {
        (1, minor)
    } else if let Some(minor) = numbered("loop") {
        (7, minor)
    } else if let Some(minor) = lettered("sd").filter(|minor| *minor < 256) {
        (8, minor)
    } else {
        (252, lettered("vd")?)
    };
    Some(DevNum::new(major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_get_the_numbers_linux_gives_them() {
        let paths = ["/dev/ram1", "/dev/loop3", "/dev/sdb", "/dev/vdc", "/dev/sdq", "/dev/nvme0n1"];
        let specs: Vec<DiskSpec> = paths.iter().map(|path| format!("{path}=1MiB").parse().unwrap()).collect();
        let state = State::from_disks(&specs).unwrap();
        let numbers: Vec<String> = state.block_devices.iter().map(|disk| disk.number.to_string()).collect();
        assert_eq!(numbers, ["1:1", "7:3", "8:16", "252:32", "259:0", "259:1"]);
        assert!(state.block_devices.iter().all(|disk| disk.blank && disk.sectors == 2048));
        assert!(state.kernel.targets.contains_key("thin-pool"));
    }

    #[test]
    fn a_disk_is_a_path_and_a_size() {
        let spec: DiskSpec = "/dev/disk/by-id/a=b=4096,ro".parse().unwrap();
        assert_eq!((spec.path.as_str(), spec.sectors, spec.read_only), ("/dev/disk/by-id/a=b", 4096, true));
        for bad in [
            "",
            "/dev/sda",
            "/dev/sda=",
            "sda=1MiB",
            "/dev/=1MiB",
            "/dev/../x=1MiB",
            "/dev/a b=1MiB",
            "/dev/sda=1MiB,rx",
            "/dev/sda=0",
            "/dev/sda=1000B",
            "/dev/sda=99999999999999999999",
            "/dev/mapper/x=1MiB",
            "/dev/dm-3=1MiB",
        ] {
            assert!(bad.parse::<DiskSpec>().is_err(), "{bad}");
        }
    }

    #[test]
    fn one_path_is_one_disk() {
        let spec: DiskSpec = "/dev/sda=1MiB".parse().unwrap();
        assert_eq!(State::from_disks(&[spec.clone(), spec]), Err(DiskError::Twice("/dev/sda".into())));
        let (one, two) = ("/dev/ram1=1MiB".parse().unwrap(), "/dev/ram01=1MiB".parse().unwrap());
        let state = State::from_disks(&[one, two]).unwrap();
        assert_ne!(state.block_devices[0].number, state.block_devices[1].number);
    }
}
