//! The crates that are linked into the command, as cargo tells them: `cargo tree` knows what a build takes, and
//! `cargo metadata` where each crate is.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A crate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    pub name: String,
    pub version: String,
    /// Its licences, as an SPDX expression.
    pub license: String,
    /// Where its source is kept; empty where its manifest does not tell.
    pub repository: String,
    /// The folder of its source in this version.
    pub folder: PathBuf,
}

/// Lists the crates that are linked into `dmctl`, but for itself. Those that only build it, and those that run in the
/// compiler, are not in it.
pub fn linked() -> Result<Vec<Crate>, String> {
    let tree = cargo(&["tree", "--package", "dmctl", "--edges", "normal,no-proc-macro", "--prefix", "none"])?;
    // A line is `NAME vVERSION`, and behind that a folder or a mark.
    let linked: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?.strip_prefix('v')?))
        })
        .filter(|(name, _)| *name != "dmctl")
        .collect();
    let metadata = cargo(&["metadata", "--format-version", "1"])?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let known: BTreeMap<(&str, &str), &Value> =
        packages.iter().map(|package| ((text(package, "name"), text(package, "version")), package)).collect();
    let one = |(name, version): (&str, &str)| {
        let package = known.get(&(name, version)).ok_or(format!("cargo does not know {name} {version}"))?;
        Ok(Crate {
            name: name.to_string(),
            version: version.to_string(),
            license: text(package, "license").to_string(),
            repository: text(package, "repository").to_string(),
            folder: Path::new(text(package, "manifest_path")).parent().map(PathBuf::from).unwrap_or_default(),
        })
    };
    linked.into_iter().map(one).collect()
}

fn text<'v>(package: &'v Value, field: &str) -> &'v str {
    package[field].as_str().unwrap_or_default()
}

/// Runs cargo in the repository, and returns what it prints.
fn cargo(arguments: &[&str]) -> Result<String, String> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .args(["--locked", "--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .output()
        .map_err(|error| format!("cargo can't be run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}
