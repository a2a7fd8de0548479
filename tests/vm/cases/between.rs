//! A file system on a device that is swapped together with one far below it, with mappings between them that keep their
//! tables: it is frozen before the lower one is suspended, and thawed after that is resumed, or the kernel hangs.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::guest::{Background, Guest, Mounted, dmctl, write_map};

/// The time after which an apply hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn linear(key: &str, length: &str, device: &str) -> String {
    format!(
        "[mappings.{key}]\ntargets = [{{ type = \"linear\", length = \"{length}\", device = \"{device}\" }}]\n"
    )
}

/// Applies one map, mounts a file system on `d`, and applies the other, and the first again.
fn follows(guest: &Guest, before: &str, after: &str) -> Result<()> {
    let options = ["--allow", "remap"];
    guest.apply(before, &options)?;
    let mounted = Mounted::fresh("/dev/mapper/d", "ext4", "/run/tmp/between")?;
    for map in [after, before] {
        // What the file system holds back is written when it is frozen.
        fs::write(mounted.file("data"), vec![7; 1 << 20])?;
        let ran = Background::dmctl(&["apply", write_map(map)?, "--allow", "remap"])?.end_within(PATIENCE)?;
        ensure!(ran.status == Some(0), "{ran:?}");
        guest.in_sync(map)?;
    }
    take_down(mounted, before)
}

fn take_down(mounted: Mounted, map: &str) -> Result<()> {
    drop(mounted);
    let ran = dmctl(&["deactivate", write_map(map)?])?;
    ensure!(ran.status == Some(0), "{ran:?}");
    Ok(())
}

pub fn a_stack_grows_above_and_below_one_that_stays(guest: &Guest) -> Result<()> {
    let stack = |w: &str, v: &str| {
        let all = [
            linear("w", w, "/dev/ram0"),
            linear("v", v, "@w"),
            linear("u", v, "@v"),
            linear("y", v, "@u"),
            linear("m", "16MiB", "@y"),
        ];
        format!(
            "{}[mappings.n]\ntargets = [{{ type = \"linear\", device = \"@w\", offset = \"32MiB\" }}]\n[mappings.d]\n\
             targets = [{{ type = \"linear\", device = \"@m\" }}, {{ type = \"linear\", device = \"@n\" }}]\n",
            all.concat()
        )
    };
    // Smaller again would cut the file system: only the growth is tried.
    guest.apply(&stack("48MiB", "20MiB"), &[])?;
    let mounted = Mounted::fresh("/dev/mapper/d", "ext4", "/run/tmp/between")?;
    fs::write(mounted.file("data"), vec![7; 1 << 20])?;
    let map = stack("60MiB", "24MiB");
    let ran = Background::dmctl(&["apply", write_map(&map)?])?.end_within(PATIENCE)?;
    ensure!(ran.status == Some(0), "{ran:?}");
    guest.in_sync(&map)?;
    take_down(mounted, &map)
}

pub fn three_turn_around_above_a_disk(guest: &Guest) -> Result<()> {
    let turned = |order: [&str; 3]| {
        let [first, second, third] = order;
        let above = |key: &str| format!("@{key}");
        [
            linear(first, "16MiB", "/dev/ram0"),
            linear(second, "16MiB", &above(first)),
            linear(third, "16MiB", &above(second)),
            linear("d", "16MiB", &above(third)),
        ]
        .concat()
    };
    follows(guest, &turned(["y", "z", "x"]), &turned(["x", "y", "z"]))
}
