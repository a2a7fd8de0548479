//! Saved plans on the kernel that they were made on.

use std::fs;

use anyhow::{Result, ensure};

use crate::guest::{Guest, dmctl, program, write_map};

pub fn another_file_behind_the_loop_device_makes_a_plan_stale(_: &Guest) -> Result<()> {
    let (node, plan) = ("/dev/loop5", "/run/tmp/plan.json");
    let images = ["/run/tmp/one.img", "/run/tmp/two.img"];
    for image in images {
        fs::File::create(image)?.set_len(1 << 20)?;
    }
    program("losetup", &[node, images[0]])?;
    let map =
        format!("[mappings.a]\ntargets = [{{ type = \"linear\", length = 64, device = \"{node}\" }}]\n");
    let made = dmctl(&["plan", write_map(&map)?, "--out", plan])?;
    let rehearsed = dmctl(&["export", "--format", "json"])?;
    program("losetup", &["--detach", node])?;
    program("losetup", &[node, images[1]])?;
    let other = dmctl(&["apply", "--plan", plan])?;
    program("losetup", &["--detach", node])?;
    program("losetup", &[node, images[0]])?;
    let same = dmctl(&["apply", "--plan", plan])?;
    let _ = program("dmsetup", &["remove", "a"]);
    program("losetup", &["--detach", node])?;
    images.iter().try_for_each(fs::remove_file)?;
    ensure!(made.status == Some(0), "{made:?}");
    let told = "it is known by file /run/tmp/two.img, the one of the plan by file /run/tmp/one.img";
    ensure!(other.status == Some(4) && other.stderr.contains(told), "{other:?}");
    ensure!(same.status == Some(0), "{same:?}");
    ensure!(rehearsed.stdout.contains("\"backing_file\": \"/run/tmp/one.img\""), "{rehearsed:?}");
    Ok(())
}
