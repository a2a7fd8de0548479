//! The keys of what was exported, put where the map says, as its user would.

use std::fs;

use anyhow::{Context, Result, ensure};
use dmctl::config::Map;
use dmctl::kernel::{Id, ReadKernel, Slot};
use dmctl::keys::KeySource;
use dmctl::targets;

use super::{Client, MAP};
use crate::guest::{Guest, dmctl, private, program};

/// The folder that an export names.
pub const FOLDER: &str = "/etc/dmctl/keys";
/// The folder in its place: nothing of the host can be written to.
pub const HERE: &str = "/run/tmp/client-keys";

/// Writes every file of a key that the map names, out of the running tables.
pub fn fill_files(guest: &Guest, map: &Map) -> Result<()> {
    fs::create_dir_all(HERE)?;
    for mapping in map.mappings.values() {
        let live = guest.kernel.device(&Id::Uuid(mapping.uuid.clone()), Slot::Live)?.context("not there")?;
        for (row, live) in mapping.rows.iter().zip(live.table.iter()) {
            let mut wanted = row.target.clone();
            let mut live = targets::parse(&live.kind, live.params())?;
            for (wanted, live) in wanted.keys_mut().into_iter().zip(live.keys_mut()) {
                if let KeySource::File { path, .. } = &wanted.key.source {
                    let hex = live.key.material().with_context(|| format!("no key for {path}"))?.reveal();
                    private(path, &bytes(hex)?)?;
                }
            }
        }
    }
    Ok(())
}

fn bytes(hex: &str) -> Result<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| Ok(u8::from_str_radix(&hex[at..at + 2], 16)?)).collect()
}

/// Puts the keys into a keyring that the rows take from one. Before that, a plan must tell that they are not there.
pub fn fill_keyrings(client: &Client, map: &Map) -> Result<()> {
    for (name, file) in client.keyring {
        let mapping =
            map.mappings.values().find(|mapping| mapping.name.plain() == *name).context("no mapping")?;
        let mut target = mapping.rows[0].target.clone();
        let slots = target.keys_mut();
        let Some(KeySource::Keyring(keyring)) = slots.first().map(|slot| &slot.key.source) else {
            anyhow::bail!("{name} has no key in a keyring")
        };
        let plan = dmctl(&["plan", MAP])?;
        let says =
            format!("no keyring of this process holds the {} key `{}`", keyring.kind, keyring.description);
        ensure!(plan.status == Some(1) && format!("{plan:?}").contains(&says), "{plan:?}");
        let put = format!("keyctl padd logon '{}' @u </run/tmp/{file}", keyring.description);
        program("busybox", &["sh", "-ec", &put])?;
    }
    Ok(())
}
