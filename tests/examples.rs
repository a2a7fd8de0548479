//! Every map in `examples/` is carried out on a simulated kernel that has the disks it names: it is valid, its
//! plan can be applied, and after that there is nothing left to do.
//!
//! Beside a map `NAME.toml` there may be `NAME.before.toml`, a map that is applied first, or `NAME.before.sh`, a
//! script of `dmsetup create` lines whose devices are there first.

#![allow(clippy::unwrap_used, reason = "an example that can't be read fails its test")]

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dmctl::config::{self, Map};
use dmctl::device::Form;
use dmctl::identity::DevNum;
use dmctl::kernel::Version;
use dmctl::kernel::simulated::{self, Disk, MappingState, State, StateRow};
use dmctl::render::json;
use dmctl::table::RawRow;
use jsonschema::Validator;
use tempfile::TempDir;

/// Larger than anything an example asks of a disk.
const DISK: u64 = 200 << 21;

/// The examples: every map that is no former state of another.
fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut all: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter(|path| !path.to_string_lossy().ends_with(".before.toml"))
        .collect();
    all.sort();
    assert!(all.len() > 20, "only {} examples", all.len());
    all
}

fn map(path: &Path) -> Map {
    let loaded = config::load(&[path.to_path_buf()]);
    let says = loaded.render();
    loaded.map.unwrap_or_else(|| panic!("{} is refused:\n{says}", path.display()))
}

/// The paths of the disks a map uses.
fn disks(map: &Map) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for row in map.mappings.values().flat_map(|mapping| &mapping.rows) {
        let mut target = row.target.clone();
        paths.extend(target.devices_mut().into_iter().filter_map(|device| match device.form {
            Form::Mapping(_) => None,
            _ => device.path().map(String::from),
        }));
    }
    paths
}

/// A kernel on which an example can be carried out.
struct Lab {
    folder: TempDir,
}

impl Lab {
    /// With the disks of `map` and of what was there before.
    fn new(example: &Path) -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        let wanted = map(example);
        let mut paths = disks(&wanted);
        let before = example.with_extension("before.toml");
        if before.exists() {
            paths.extend(disks(&map(&before)));
        }
        let mut state = State::from_disks(&[]).unwrap();
        for (minor, path) in (0..).zip(paths) {
            let disk = Disk::new(DevNum::new(259, minor), DISK);
            state.block_devices.push(Disk { paths: vec![path], blank: true, ..disk });
        }
        for row in wanted.mappings.values().flat_map(|mapping| &mapping.rows) {
            state.kernel.targets.entry(row.target.kind().to_string()).or_insert(Version(1, 0, 0));
        }
        state.mappings = made_by_script(&example.with_extension("before.sh"), &state);
        fs::write(lab.state(), state.to_json()).unwrap();
        lab.write_key("disk-key", 64);
        lab
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state.json")
    }

    /// A credential, as systemd hands it to a service.
    fn write_key(&self, name: &str, bytes: u8) {
        let path = self.folder.path().join(name);
        fs::write(&path, (0..bytes).collect::<Vec<u8>>()).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o400)).unwrap();
    }

    fn dmctl(&self, args: &[&str], map: &Path) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dmctl"));
        command.env("CREDENTIALS_DIRECTORY", self.folder.path());
        command.arg("--kernel").arg(self.state()).args(args).arg(map).output().unwrap()
    }

    /// Runs what must work, and gives what it printed.
    fn ok(&self, args: &[&str], map: &Path) -> Result<String, String> {
        let output = self.dmctl(args, map);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let says = String::from_utf8_lossy(&output.stderr);
        Err(format!("{} {args:?} ends with {}:\n{text}{says}", map.display(), output.status))
    }

    /// Applies a map, whatever is at stake.
    fn apply(&self, map: &Path) -> Result<String, String> {
        self.ok(&["apply", "--allow", "remap,format,loss"], map)
    }
}

/// The devices that a script makes with lines `dmsetup create NAME --table 'ROW'`; none without a script.
fn made_by_script(script: &Path, state: &State) -> Vec<MappingState> {
    let text = fs::read_to_string(script).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.strip_prefix("dmsetup create "));
    let number = |path: &str| {
        let disk = state.block_devices.iter().find(|disk| disk.paths.iter().any(|own| own == path));
        disk.map_or_else(|| path.to_string(), |disk| disk.number.to_string())
    };
    let made = lines.zip(0..).map(|(line, minor)| {
        let (name, table) = line.split_once(" --table ").unwrap();
        let rows = table.trim_matches('\'').split(' ').map(number).collect::<Vec<_>>().join(" ");
        let row = StateRow::from(&RawRow::parse(&rows).unwrap());
        serde_json::from_value(serde_json::json!({
            "name": name, "number": DevNum::new(254, minor), "live": [row],
        }))
        .unwrap()
    });
    made.collect()
}

/// What documents are held against.
struct Schemas {
    plan: Validator,
    state: Validator,
}

/// Carries an example out, or says what went wrong.
fn carry_out(example: &Path, schemas: &Schemas) -> Result<(), String> {
    let lab = Lab::new(example);
    let before = example.with_extension("before.toml");
    if before.exists() {
        lab.apply(&before)?;
    }
    lab.ok(&["validate"], example)?;
    let plan = lab.ok(&["plan"], example)?;
    if plan == "Nothing to do.\n" {
        return Err(format!("{}: there is nothing to do from the start", example.display()));
    }
    let document = lab.ok(&["plan", "--json"], example)?;
    fits(&serde_json::from_str(&document).unwrap(), &schemas.plan)
        .map_err(|error| format!("{}: the plan: {error}", example.display()))?;
    lab.apply(example)?;
    let again = lab.ok(&["plan", "--detailed-exitcode"], example)?;
    // Messages that a table does not show are told all the same.
    if again.lines().last() != Some("Nothing to do.") {
        return Err(format!("{}: after apply there is still to do:\n{again}", example.display()));
    }
    let state = serde_json::from_str(&fs::read_to_string(lab.state()).unwrap()).unwrap();
    fits(&state, &schemas.state)
        .map_err(|error| format!("{}: the kernel afterwards: {error}", example.display()))
}

fn fits(document: &serde_json::Value, schema: &Validator) -> Result<(), String> {
    schema.validate(document).map_err(|error| format!("{error} at {}", error.instance_path()))
}

#[test]
fn every_example_can_be_carried_out_and_is_then_in_sync() {
    let schemas = Schemas {
        plan: jsonschema::validator_for(&json::plan_schema()).unwrap(),
        state: jsonschema::validator_for(&simulated::schema()).unwrap(),
    };
    let wrong: Vec<String> =
        examples().iter().filter_map(|example| carry_out(example, &schemas).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_example_says_what_it_is_and_fits_the_schema() {
    let schema = jsonschema::validator_for(&config::schema()).unwrap();
    for example in examples() {
        let text = fs::read_to_string(&example).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("#:schema ../schema/mappings.schema.json"), "{}", example.display());
        assert!(lines.next().is_some_and(|line| line.starts_with("# ")), "{}", example.display());
        let document = serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
        fits(&document, &schema).unwrap_or_else(|error| panic!("{}: {error}", example.display()));
    }
}

#[test]
fn no_example_prints_a_key() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/crypt-credential.toml");
    let lab = Lab::new(&example);
    let shown = lab.apply(&example).unwrap() + &lab.ok(&["plan", "--json"], &example).unwrap();
    assert!(!shown.contains("000102030405"), "{shown}");
}

#[test]
fn every_former_state_belongs_to_an_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some((example, _)) = name.split_once(".before.") {
            assert!(folder.join(format!("{example}.toml")).exists(), "{name} belongs to nothing");
        }
    }
}
