//! Files that are written into a sticky folder of all, whatever the kernel itself refuses there (`fs.protected_symlinks` and
//! `fs.protected_regular`, `may_follow_link` and `may_create_in_sticky` in `fs/namei.c`).

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};

use anyhow::{Result, ensure};

use crate::guest::{Guest, dmctl, write_map};

/// The user number of an account that owns nothing.
const OTHER: u32 = 65534;

const FOLDER: &str = "/run/tmp/writing";
const SHARED: &str = "/run/tmp/writing/shared";
const TARGET: &str = "/run/tmp/writing/of-root";

const MAP: &str = "[mappings.new]\ntargets = [{ type = \"zero\", length = 8 }]\n";

/// Sets a setting of the kernel, and puts the old one back at its end.
struct Setting(String, String);

impl Setting {
    fn set(name: &str, value: u32) -> Result<Self> {
        let path = format!("/proc/sys/fs/{name}");
        let before = fs::read_to_string(&path)?;
        fs::write(&path, value.to_string())?;
        ensure!(fs::read_to_string(&path)?.trim() == value.to_string(), "{name} is not {value}");
        Ok(Self(path, before))
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = fs::write(&self.0, &self.1);
    }
}

/// Makes a folder that all may write to, with a link of another user's to a file of root's, and a file of that user's.
fn plant() -> Result<()> {
    let _ = fs::remove_dir_all(FOLDER);
    fs::create_dir_all(SHARED)?;
    fs::set_permissions(SHARED, Permissions::from_mode(0o1777))?;
    fs::write(TARGET, "of root")?;
    for (name, to) in [("link", TARGET), ("dangling", "/run/tmp/writing/absent")] {
        let path = format!("{SHARED}/{name}");
        symlink(to, &path)?;
        lchown(path, Some(OTHER), None)?;
    }
    let theirs = format!("{SHARED}/theirs");
    fs::write(&theirs, "theirs")?;
    fs::set_permissions(&theirs, Permissions::from_mode(0o666))?;
    chown(theirs, Some(OTHER), None)?;
    Ok(())
}

/// Writes a file in each way that there is.
fn written(verb: &[&str], name: &str) -> Result<()> {
    plant()?;
    let path = format!("{SHARED}/{name}");
    let whole: Vec<&str> =
        verb.iter().map(|word| if *word == "FILE" { path.as_str() } else { word }).collect();
    // What another user still has open of its file must not be what is read later.
    let theirs = fs::metadata(format!("{SHARED}/theirs"))?.ino();
    let ran = dmctl(&whole)?;
    if name == "theirs" {
        let now = fs::metadata(&path)?;
        let is_replaced = now.ino() != theirs && now.uid() == 0 && now.mode() & 0o022 == 0;
        ensure!(ran.status == Some(0) && is_replaced, "{whole:?}: {ran:?}: {now:?}");
    } else {
        let told = "belongs to user 65534";
        ensure!(ran.status == Some(1) && ran.stderr.contains(told), "{whole:?}: {ran:?}");
        ensure!(fs::symlink_metadata(&path)?.is_symlink(), "{whole:?}: the link is gone");
    }
    ensure!(fs::read_to_string(TARGET)? == "of root", "{whole:?}");
    ensure!(!fs::exists("/run/tmp/writing/absent")?, "{whole:?}");
    Ok(())
}

pub fn nothing_is_written_through_what_another_user_planted(guest: &Guest) -> Result<()> {
    let map = write_map(MAP)?;
    for value in [0, 1] {
        let _settings =
            (Setting::set("protected_symlinks", value)?, Setting::set("protected_regular", value)?);
        for name in ["link", "dangling", "theirs"] {
            written(&["plan", map, "--out", "FILE"], name)?;
            written(&["simulate", "FILE", "--force", "--disk", "/dev/sda=1MiB"], name)?;
        }
    }
    ensure!(guest.states()?.is_empty());
    Ok(fs::remove_dir_all(FOLDER)?)
}
