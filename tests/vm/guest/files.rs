//! File systems, mounted for as long as they are looked at.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::program::program;

/// A file system of its own on a device, mounted until this is dropped.
pub struct Mounted {
    pub at: PathBuf,
}

impl Mounted {
    /// Makes a file system on `device` and mounts it.
    pub fn fresh(device: &str, kind: &str, at: &str) -> Result<Self> {
        program("mke2fs", &["-q", "-F", "-t", kind, device])?;
        Self::of(device, kind, at)
    }

    /// Mounts the file system that is on `device`.
    pub fn of(device: &str, kind: &str, at: &str) -> Result<Self> {
        fs::create_dir_all(at)?;
        program("busybox", &["mount", "-t", kind, device, at])?;
        Ok(Self { at: PathBuf::from(at) })
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.at.join(name)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Where it stays mounted, the clean-up tells what is left.
        let _ = program("busybox", &["umount", &path(&self.at)]);
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// Writes a file that its owner alone can read.
pub fn private(path: &str, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(bytes)?)
}
