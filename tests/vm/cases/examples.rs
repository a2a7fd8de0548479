//! Every map in `examples/`, carried out: as it is, but for the sizes, since the disks here are small. The paths of its
//! disks lead to ram disks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use dmctl::config::{self, Map};
use dmctl::device::Form;
use dmctl::kernel::ReadKernel;
use dmctl::keys::Places;
use dmctl::plan;
use dmctl::plan::document::Document;

use crate::guest::{Guest, Release, private, program};

/// A GiB of an example, in KiB here.
const GIB: u64 = 512;
/// What is looked at of a disk before it is formatted, in sectors.
const BLANK: usize = 128;
/// Where a service finds its credentials.
const CREDENTIALS: &str = "/run/tmp/credentials";

/// Why an example is not carried out on this kernel; none when it is.
fn reason(guest: &Guest, example: &Example) -> Result<Option<String>> {
    // As in `odd`.
    if example.name == "raid1" && guest.release < Release(6, 12) {
        let why = "an array that is taken away while it begins to resync crashes this kernel";
        return Ok(Some(why.to_string()));
    }
    let types = guest.kernel.targets()?;
    let wanted = read(&example.map)?;
    let mut rows = wanted.mappings.values().flat_map(|mapping| &mapping.rows);
    let absent = rows.find(|row| !types.contains_key(row.target.kind()));
    Ok(absent.map(|row| format!("this kernel has no {}", row.target.kind())))
}

/// The text of an example with the sizes of here.
fn scaled(text: &str) -> String {
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    let word = |word: &str| {
        let (name, rest) = word.split_at(word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len());
        let size = name.strip_suffix("GiB").and_then(|number| number.parse::<u64>().ok());
        let sectors = name.parse::<u64>().ok().filter(|sectors| *sectors >= 1 << 21);
        match (size, sectors) {
            (Some(size), _) => format!("{}KiB{rest}", size * GIB),
            (_, Some(sectors)) => format!("{}{rest}", sectors * GIB / (1 << 20)),
            _ => word.to_string(),
        }
    };
    words.map(word).collect()
}

/// A map, with the key that it names.
fn read(path: &Path) -> Result<Map> {
    let mut loaded = config::load(&[path.to_path_buf()]);
    loaded.read_keys(&Places { credentials: Some(CREDENTIALS.into()), user: 0 });
    let says = loaded.render();
    loaded.map.with_context(|| says)
}

/// The paths of the disks that a map uses.
fn disks(map: &Map) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for row in map.mappings.values().flat_map(|mapping| &mapping.rows) {
        let mut target = row.target.clone();
        let devices =
            target.devices_mut().into_iter().filter(|device| !matches!(device.form, Form::Mapping(_)));
        paths.extend(devices.filter_map(|device| device.path().map(String::from)));
    }
    paths
}

/// The disks of an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disks {
    Rams,
    /// Loop devices on top of those: they take requests, as multipath needs.
    Loops,
}

/// Links in /dev as udev would make them, until this is dropped: the first path to the first disk, and so on.
struct Links {
    made: BTreeMap<String, String>,
}

impl Links {
    fn new(paths: BTreeSet<String>, disks: Disks) -> Result<Self> {
        let mut links = Self { made: BTreeMap::new() };
        for (n, path) in paths.into_iter().enumerate() {
            let mut disk = format!("/dev/ram{n}");
            if disks == Disks::Loops {
                let looped = format!("/dev/loop{n}");
                program("losetup", &[&looped, &disk])?;
                disk = looped;
            }
            fs::create_dir_all(Path::new(&path).parent().context("a path of /dev is in a folder")?)?;
            symlink(&disk, &path).with_context(|| path.clone())?;
            links.made.insert(path, disk);
        }
        Ok(links)
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for (path, disk) in &self.made {
            let _ = fs::remove_file(path);
            if disk.starts_with("/dev/loop") {
                let _ = program("losetup", &["--detach", disk]);
            }
        }
    }
}

/// An example in the guest.
struct Example {
    name: String,
    map: PathBuf,
    before: Option<PathBuf>,
    script: Option<PathBuf>,
    _links: Links,
}

impl Example {
    fn new(source: &Path) -> Result<Self> {
        let name = source.file_stem().context("an example has a name")?.to_string_lossy().into_owned();
        let here = |extension: &str| -> Result<Option<PathBuf>> {
            let source = source.with_extension(extension);
            if !source.exists() {
                return Ok(None);
            }
            let path = PathBuf::from(format!("/run/tmp/{name}.{extension}"));
            fs::write(&path, scaled(&fs::read_to_string(source)?))?;
            Ok(Some(path))
        };
        let map = here("toml")?.context("an example is there")?;
        let (before, script) = (here("before.toml")?, here("before.sh")?);
        let wanted = read(&map)?;
        let mut rows = wanted.mappings.values().flat_map(|mapping| &mapping.rows);
        let takes_requests = rows.any(|row| row.target.kind() == "multipath");
        let taken = if takes_requests { Disks::Loops } else { Disks::Rams };
        let mut paths = disks(&wanted);
        if let Some(before) = &before {
            paths.extend(disks(&read(before)?));
        }
        let links = Links::new(paths, taken)?;
        if name == "verity-root" {
            hash(&map, &links)?;
        }
        Ok(Self { name, map, before, script, _links: links })
    }

    fn carry_out(&self, guest: &Guest) -> Result<()> {
        if let Some(before) = &self.before {
            apply(before)?;
        }
        if let Some(script) = &self.script {
            program("sh", &[&script.display().to_string()])?;
        }
        let applied = apply(&self.map)?;
        ensure!(applied.contains("Plan: "), "there was nothing to do: {applied}");
        let there = guest.kernel.list()?.len();
        let wanted = read(&self.map)?;
        let present = wanted.mappings.values().filter(|mapping| !mapping.rows.is_empty()).count();
        ensure!(there == present, "{there} devices, not {present}");
        let again = Document::of(&plan::plan(&guest.kernel, &wanted, &BTreeSet::new())?);
        ensure!(again.is_empty(), "there is still to do: {again:?}");
        Ok(())
    }
}

/// Applies a map with a credential, whatever is at stake.
fn apply(map: &Path) -> Result<String> {
    let credentials = format!("CREDENTIALS_DIRECTORY={CREDENTIALS}");
    let map = map.display().to_string();
    program(
        "env",
        &[&credentials, env!("CARGO_BIN_EXE_dmctl"), "apply", &map, "--allow", "remap,format,loss"],
    )
}

/// Makes the tree that the map of verity-root expects, and writes its root into the map.
fn hash(map: &Path, links: &Links) -> Result<()> {
    let disk = |path: &str| links.made.get(path).with_context(|| format!("{path} is not in the example"));
    let (data, tree) = (disk("/dev/disk/by-partlabel/root")?, disk("/dev/disk/by-partlabel/root-hash")?);
    let text = fs::read_to_string(map)?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} = \"")));
        line.map(|rest| rest.trim_end_matches('"')).with_context(|| format!("no {name} in {text}"))
    };
    let salt = format!("--salt={}", field("salt")?);
    let said = program("veritysetup", &["format", "--data-blocks=256", &salt, data, tree])?;
    let root = said.lines().find_map(|line| line.strip_prefix("Root hash:")).context("no root hash")?.trim();
    let here = text.replace(field("root_hash")?, root).replace("blocks = 262144", "blocks = 256");
    Ok(fs::write(map, here)?)
}

/// The examples of the repository, but for those that are a former state of another.
fn sources() -> Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"))? {
        let path = entry?.path();
        let name = path.to_string_lossy();
        if name.ends_with(".toml") && !name.ends_with(".before.toml") {
            sources.push(path);
        }
    }
    sources.sort();
    Ok(sources)
}

pub fn every_example_is_carried_out(guest: &Guest) -> Result<()> {
    fs::create_dir_all(CREDENTIALS)?;
    let key: Vec<u8> = (0..64).collect();
    private(&format!("{CREDENTIALS}/disk-key"), &key)?;
    let (mut done, mut failures) = (0, Vec::new());
    for source in sources()? {
        let example = Example::new(&source)?;
        if let Some(why) = reason(guest, &example)? {
            println!("{} is not carried out: {why}", example.name);
            continue;
        }
        guest.disks.iter().try_for_each(|disk| disk.fill(0, BLANK, 0))?;
        match example.carry_out(guest) {
            Ok(()) => done += 1,
            Err(error) => failures.push(format!("{}: {error:#}", example.name)),
        }
        guest.clean_up()?;
    }
    if !failures.is_empty() {
        bail!("{} examples failed:\n{}", failures.len(), failures.join("\n"));
    }
    ensure!(done > 20, "only {done} examples");
    Ok(())
}
