//! Files that other users could have written: nothing is done by them, nothing that they name is opened, and the command
//! that mends it is told.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::guest::{Background, Guest, Ran, dmctl, program, write_map_to};

const MAP: &str = "[mappings.new]\ntargets = [{ type = \"linear\", length = 64, device = \"/dev/ram0\" }]\n";

/// The user number of an account that owns nothing.
const OTHER: u32 = 65534;

/// How long a verb may take that must not wait.
const AT_ONCE: Duration = Duration::from_secs(8);

/// A folder with files of this user's, and of others'.
struct Lab(&'static str);

impl Lab {
    fn new() -> Result<Self> {
        let lab = Self("/run/tmp/believing");
        let _ = fs::remove_dir_all(lab.0);
        lab.folder("", 0o755)?;
        Ok(lab)
    }

    fn at(&self, name: &str) -> String {
        Path::new(self.0).join(name).to_string_lossy().into_owned()
    }

    fn folder(&self, name: &str, mode: u32) -> Result<String> {
        let path = self.at(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        Ok(path)
    }

    fn map(&self, name: &str, map: &str) -> Result<String> {
        let path = self.at(name);
        write_map_to(&path, map)?;
        Ok(path)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0);
    }
}

/// Returns the command that a message tells to run.
fn told(ran: &Ran) -> Result<&str> {
    let (_, rest) = ran.stderr.split_once("run `").with_context(|| format!("{ran:?}"))?;
    Ok(rest.split_once('`').context("the end of the command")?.0)
}

/// Expects that a file of another user's is refused, and that what is told is a copy, which is applied: nothing is taken from
/// the user.
fn refused_until_copied(guest: &Guest, before: &[&str], file: &str, told_of: &str) -> Result<()> {
    let ran = dmctl(&[before, &[file]].concat())?;
    ensure!(ran.status == Some(1) && ran.stderr.contains(told_of), "{file}: {ran:?}");
    ensure!(guest.states()?.is_empty(), "{file}: a device was made");
    ensure!(!ran.stderr.contains("chown") && !ran.stderr.contains("chmod"), "{ran:?}");
    let (_, rest) = ran.stderr.split_once("`install").with_context(|| format!("{ran:?}"))?;
    let command = rest.split_once('`').context("the end of the command")?.0;
    // The file system of the guest is read-only.
    let (command, folder) = command.rsplit_once(' ').context("a folder")?;
    ensure!(["/etc/dmctl/", "/root/"].contains(&folder), "{ran:?}");
    let copies = "/run/tmp/copies";
    let _ = fs::remove_dir_all(copies);
    fs::create_dir(copies)?;
    program("sh", &["-c", &format!("install{command} {copies}/")])?;
    let copy = fs::read_dir(copies)?.next().context("a copy")??.path();
    let ran = dmctl(&[before, &[&copy.to_string_lossy()]].concat())?;
    fs::remove_dir_all(copies)?;
    ensure!(ran.status == Some(0), "{file}: {ran:?}");
    program("dmsetup", &["remove", "new"])?;
    Ok(())
}

/// Expects that the arguments are refused and change nothing, and, once the commands that are told were run, are not.
fn refused_until_mended(guest: &Guest, arguments: &[&str], told_of: &str) -> Result<()> {
    let ran = dmctl(arguments)?;
    ensure!(ran.status == Some(1) && ran.stderr.contains(told_of), "{arguments:?}: {ran:?}");
    ensure!(guest.states()?.is_empty(), "{arguments:?}: a device was made");
    program("sh", &["-c", told(&ran)?])?;
    let ran = dmctl(arguments)?;
    ensure!(ran.status == Some(0), "{arguments:?}: {ran:?}");
    program("dmsetup", &["remove", "new"])?;
    Ok(())
}

pub fn a_map_is_as_good_as_each_folder_on_its_way(guest: &Guest) -> Result<()> {
    let lab = Lab::new()?;
    let mine = lab.map("mine.toml", MAP)?;
    for (folder, below) in [("open", ""), ("high", "low/")] {
        lab.folder(folder, 0o777)?;
        if !below.is_empty() {
            lab.folder(&format!("{folder}/low"), 0o755)?;
        }
        let map = lab.map(&format!("{folder}/{below}map.toml"), MAP)?;
        refused_until_mended(
            guest,
            &["apply", &map],
            &format!("the folder `{}` is writable", lab.at(folder)),
        )?;
    }
    // A link of another user's in a folder of all, which is fine for one's own files.
    lab.folder("sticky", 0o1777)?;
    symlink(&mine, lab.at("sticky/link.toml"))?;
    lchown(lab.at("sticky/link.toml"), Some(OTHER), None)?;
    let link = lab.at("sticky/link.toml");
    refused_until_copied(guest, &["apply"], &link, &format!("the link `{link}` belongs to user 65534"))?;
    let own = lab.map("sticky/own.toml", MAP)?;
    ensure!(dmctl(&["apply", &own])?.status == Some(0));
    program("dmsetup", &["remove", "new"])?;
    // The file itself, and a folder of maps.
    chown(&own, Some(OTHER), None)?;
    refused_until_copied(guest, &["apply"], &own, &format!("`{own}` belongs to user 65534"))?;
    fs::set_permissions(&mine, Permissions::from_mode(0o664))?;
    chown(&mine, None, Some(OTHER))?;
    refused_until_mended(guest, &["apply", &mine], "by its group (mode 0664)")?;
    lab.folder("maps", 0o777)?;
    lab.map("maps/map.toml", MAP)?;
    refused_until_mended(guest, &["apply", &lab.at("maps")], "the folder")?;
    // A home, and a checkout in it.
    lab.folder("home", 0o755)?;
    lab.folder("home/lab", 0o775)?;
    let checkout = lab.map("home/lab/map.toml", MAP)?;
    for name in ["home", "home/lab", "home/lab/map.toml"] {
        chown(lab.at(name), Some(OTHER), Some(OTHER))?;
    }
    refused_until_copied(
        guest,
        &["apply"],
        &checkout,
        &format!("the folder `{}` belongs to user 65534", lab.at("home")),
    )?;
    // A folder of root's that a group works in is left to the group.
    lab.folder("shared", 0o2775)?;
    let shared = lab.map("shared/map.toml", MAP)?;
    chown(lab.at("shared"), None, Some(OTHER))?;
    refused_until_copied(guest, &["apply"], &shared, "by its group (mode 2775)")?;
    Ok(())
}

pub fn the_group_of_root_is_root(_: &Guest) -> Result<()> {
    let lab = Lab::new()?;
    lab.folder("maps", 0o775)?;
    let map = lab.map("maps/map.toml", MAP)?;
    fs::set_permissions(&map, Permissions::from_mode(0o664))?;
    for arguments in [["plan", &map], ["apply", &lab.at("maps")], ["status", &map], ["deactivate", &map]] {
        let ran = dmctl(&arguments)?;
        ensure!(ran.status == Some(0) && !ran.stderr.contains("warning"), "{arguments:?}: {ran:?}");
    }
    Ok(())
}

pub fn the_text_on_standard_input_is_what_root_gives(guest: &Guest) -> Result<()> {
    let lab = Lab::new()?;
    let map = lab.map("map.toml", MAP)?;
    fs::set_permissions(&map, Permissions::from_mode(0o666))?;
    chown(&map, Some(OTHER), Some(OTHER))?;
    let bin = env!("CARGO_BIN_EXE_dmctl");
    for given in ["-", "/dev/stdin", "/proc/self/fd/0"] {
        for line in [format!("{bin} apply {given} < {map}"), format!("cat {map} | {bin} apply {given}")] {
            program("sh", &["-c", &line])?;
            ensure!(guest.states()?.len() == 1, "{line}");
            program("dmsetup", &["remove", "new"])?;
        }
    }
    Ok(())
}

pub fn a_key_that_others_can_read_is_told_as_that(_: &Guest) -> Result<()> {
    let lab = Lab::new()?;
    let key = "11".repeat(64);
    let text = format!(
        "[mappings.new]\ntargets = [{{ type = \"crypt\", cipher = \"aes-xts-plain64\", length = 64, device = \
         \"/dev/ram0\", key = {{ hex = \"{key}\" }} }}]\n"
    );
    let map = lab.map("map.toml", &text)?;
    fs::set_permissions(&map, Permissions::from_mode(0o644))?;
    let ran = dmctl(&["apply", &map])?;
    ensure!(ran.status == Some(1) && ran.stderr.contains("able to read it"), "{ran:?}");
    ensure!(!ran.stderr.contains("write it") && told(&ran)? == format!("chmod go-rwx {map}"), "{ran:?}");
    Ok(())
}

pub fn a_plan_is_as_good_as_each_folder_on_its_way(guest: &Guest) -> Result<()> {
    let lab = Lab::new()?;
    let map = lab.map("map.toml", MAP)?;
    for (folder, told_of) in [("open", "is writable"), ("theirs", "belongs to user 65534")] {
        let folder = lab.folder(folder, 0o755)?;
        let plan = format!("{folder}/plan.json");
        let made = dmctl(&["plan", &map, "--out", &plan])?;
        ensure!(made.status == Some(0), "{made:?}");
        if told_of == "is writable" {
            fs::set_permissions(&folder, Permissions::from_mode(0o777))?;
        } else {
            chown(&folder, Some(OTHER), None)?;
        }
        // Shown, but nothing that it names is looked at.
        let shown = dmctl(&["show", &plan])?;
        ensure!(shown.status == Some(0) && shown.stderr.contains("can't be checked"), "{shown:?}");
        if told_of == "is writable" {
            refused_until_mended(guest, &["apply", "--plan", &plan], told_of)?;
        } else {
            refused_until_copied(guest, &["apply", "--plan"], &plan, told_of)?;
        }
    }
    Ok(())
}

pub fn a_device_that_an_untrusted_map_names_is_not_opened(_: &Guest) -> Result<()> {
    let lab = Lab::new()?;
    let pool = "[mappings.pool]\ntargets = [{ type = \"thin-pool\", length = 2048, metadata = \"/dev/ram0\", \
                data = \"/dev/ram1\", block_size = 128 }]\n";
    program("dmsetup", &["create", "made", "--table", "0 2048 thin-pool 1:0 1:1 128 0"])?;
    program("dmsetup", &["remove", "made"])?;
    let map = lab.map("map.toml", pool)?;
    let believed = dmctl(&["plan", &map])?;
    ensure!(believed.status == Some(0) && !believed.stdout.contains("format"), "{believed:?}");
    fs::set_permissions(&map, Permissions::from_mode(0o666))?;
    // That metadata is there is not seen, and so it is not told to be safe.
    let lax = dmctl(&["plan", &map])?;
    ensure!(lax.stdout.contains("refused: needs --allow format"), "{lax:?}");
    Ok(())
}

pub fn no_line_of_a_file_that_a_plan_names_is_drawn(_: &Guest) -> Result<()> {
    let lab = Lab::new()?;
    let key = "11".repeat(64);
    let text = |secret: &str| {
        format!(
            "[mappings.new]\ntargets = [{{ type = \"crypt\", cipher = \"aes-xts-plain64\", length = 64, device = \
             \"/dev/ram0\", key = {{ hex = \"{key}\" }} }}]\n{secret}"
        )
    };
    let map = lab.map("map.toml", &text(""))?;
    let plan = lab.at("plan.json");
    let made = dmctl(&["plan", &map, "--out", &plan])?;
    ensure!(made.status == Some(0), "{made:?}");
    // The file is another one by now: its lines are not for the reader of the plan.
    lab.map("map.toml", &text("root:hash-of-root:1\nsecond-line\n"))?;
    for arguments in [&["show", &plan][..], &["apply", "--plan", &plan]] {
        let ran = dmctl(arguments)?;
        let all = format!("{}{}", ran.stdout, ran.stderr);
        ensure!(!all.contains("hash-of-root") && !all.contains("second-line"), "{ran:?}");
        ensure!(all.contains(&format!("in `{map}`; see `dmctl validate {map}`")), "{ran:?}");
    }
    // A FIFO in its place is not waited for, nor a device opened.
    fs::remove_file(&map)?;
    mkfifo(Path::new(&map), Mode::S_IRUSR)?;
    let ran = dmctl(&["show", &plan])?;
    ensure!(ran.status == Some(0) && ran.stderr.contains("can't be checked"), "{ran:?}");
    Ok(())
}

pub fn a_pipe_among_maps_is_waited_for_by_none(_: &Guest) -> Result<()> {
    let lab = Lab::new()?;
    let maps = lab.folder("maps", 0o755)?;
    mkfifo(Path::new(&lab.at("maps/z.toml")), Mode::S_IRUSR)?;
    let units = lab.folder("units", 0o755)?;
    for arguments in [
        &["apply", &maps][..],
        &["deactivate", &maps],
        &["stacks", &maps],
        &["units", &units, "--map", &maps],
        &["validate", &maps],
        &["plan", &maps],
    ] {
        let ran = dmctl(arguments)?;
        ensure!(ran.status == Some(1) && ran.stderr.contains("is a FIFO"), "{arguments:?}: {ran:?}");
    }
    Ok(())
}

/// Another user gives a name of its own to a file of root's, which the kernel allows where `fs.protected_hardlinks` is 0.
pub fn a_name_that_others_could_have_made_is_theirs(guest: &Guest) -> Result<()> {
    let lab = Lab::new()?;
    let sticky = lab.folder("sticky", 0o1777)?;
    let map = lab.map("map.toml", MAP)?;
    let plan = lab.at("plan.json");
    let made = dmctl(&["plan", &map, "--out", &plan])?;
    ensure!(made.status == Some(0), "{made:?}");
    let key = lab.map("key", &"11".repeat(64))?;
    fs::set_permissions(&key, Permissions::from_mode(0o600))?;
    symlink(&map, lab.at("link.toml"))?;
    let pipe = lab.at("pipe.toml");
    mkfifo(Path::new(&pipe), Mode::S_IRUSR)?;
    fs::write("/proc/sys/fs/protected_hardlinks", "0")?;
    for name in ["map.toml", "plan.json", "key", "link.toml", "pipe.toml"] {
        // That of busybox follows no link.
        let link = Command::new("busybox")
            .args(["ln", &lab.at(name), &format!("{sticky}/{name}")])
            .uid(OTHER)
            .gid(OTHER)
            .status()?;
        ensure!(link.success(), "{name}");
    }
    let uses_key = format!(
        "[mappings.new]\ntargets = [{{ type = \"crypt\", cipher = \"aes-xts-plain64\", length = 64, device = \
         \"/dev/ram0\", key = {{ file = \"{sticky}/key\", encoding = \"hex\" }} }}]\n"
    );
    let keyed = lab.map("keyed.toml", &uses_key)?;
    let at = |name: &str| format!("{sticky}/{name}");
    for (arguments, named) in [
        (&["apply", &at("map.toml")][..], format!("`{}` has 2 names", at("map.toml"))),
        (&["deactivate", &at("map.toml")], format!("`{}` has 2 names", at("map.toml"))),
        (&["apply", &sticky], format!("`{}` has 2 names", at("map.toml"))),
        (&["apply", &at("link.toml")], format!("the link `{}` has 2 names", at("link.toml"))),
        (&["apply", &at("pipe.toml")], format!("`{}` has 2 names", at("pipe.toml"))),
        (&["apply", "--plan", &at("plan.json")], format!("`{}` has 2 names", at("plan.json"))),
        (&["apply", &keyed], format!("`{}` has 2 names", at("key"))),
    ] {
        let ran = Background::dmctl(arguments)?.end_within(AT_ONCE)?;
        ensure!(ran.status != Some(0) && ran.stderr.contains(&named), "{arguments:?}: {ran:?}");
        ensure!(guest.states()?.is_empty(), "{arguments:?}: a device was made");
    }
    refused_until_copied(guest, &["apply"], &at("map.toml"), "has 2 names")?;
    // The name that root has given is root's.
    let ran = dmctl(&["apply", &map])?;
    ensure!(ran.status == Some(0), "{ran:?}");
    program("dmsetup", &["remove", "new"])?;
    Ok(())
}

/// A FIFO with a name is judged as a file is. A pipe without one is taken from any program.
pub fn a_pipe_with_a_name_is_judged_as_a_file(guest: &Guest) -> Result<()> {
    let lab = Lab::new()?;
    let mine = lab.map("mine.toml", MAP)?;
    for (folder, owner, mode) in
        [("open", 0, 0o777), ("theirs", OTHER, 0o755), ("sticky", 0, 0o1777), ("closed", 0, 0o755)]
    {
        let folder = lab.folder(folder, mode)?;
        chown(&folder, Some(owner), None)?;
        let pipe = format!("{folder}/map.toml");
        mkfifo(Path::new(&pipe), Mode::S_IRUSR | Mode::S_IWUSR)?;
        chown(&pipe, Some(OTHER), None)?;
        // Refused before it is opened: a writer is not waited for.
        for arguments in [&["apply", &pipe][..], &["deactivate", &pipe], &["stacks", &pipe]] {
            let ran = Background::dmctl(arguments)?.end_within(AT_ONCE)?;
            let told_of = format!("`{pipe}` belongs to user 65534");
            ensure!(ran.status == Some(1) && ran.stderr.contains(&told_of), "{arguments:?}: {ran:?}");
        }
        ensure!(guest.states()?.is_empty(), "{folder}: a device was made");
        // A verb that only reads warns.
        let writer = Background::program("sh", &["-c", &format!("cat {mine} >{pipe}")])?;
        let ran = Background::dmctl(&["plan", &pipe])?.end_within(AT_ONCE)?;
        writer.end_within(AT_ONCE)?;
        ensure!(ran.stderr.contains("warning: ") && ran.stderr.contains("belongs to user 65534"), "{ran:?}");
    }
    // Root's own in a folder of root's, and a pipe without a name.
    let pipe = lab.at("closed/map.toml");
    chown(&pipe, Some(0), None)?;
    let dmctl = env!("CARGO_BIN_EXE_dmctl");
    for apply in [
        format!("cat {mine} >{pipe} & {dmctl} apply {pipe}"),
        format!("cat {mine} | {dmctl} apply /proc/self/fd/0"),
        format!("cat {mine} | {dmctl} apply -"),
    ] {
        program("sh", &["-c", &apply])?;
        program("dmsetup", &["remove", "new"])?;
    }
    Ok(())
}

pub fn what_runs_by_itself_judges_as_apply_does(_: &Guest) -> Result<()> {
    let lab = Lab::new()?;
    let map = lab.map("map.toml", MAP)?;
    let units = lab.folder("units", 0o755)?;
    fs::set_permissions(&map, Permissions::from_mode(0o666))?;
    for arguments in [
        &["apply", &map][..],
        &["deactivate", &map],
        &["stacks", &map],
        &["stacks", &map, "--show", "key-files"],
        &["units", &units, "--map", &map],
    ] {
        let ran = dmctl(arguments)?;
        let told_of = format!("`{map}` is writable");
        ensure!(ran.status == Some(1) && ran.stderr.contains(&told_of), "{arguments:?}: {ran:?}");
        ensure!(ran.stdout.is_empty(), "{arguments:?}: {ran:?}");
    }
    ensure!(fs::read_dir(&units)?.next().is_none(), "a unit was written");
    // What only reads warns.
    let ran = dmctl(&["plan", &map])?;
    ensure!(ran.status == Some(0) && ran.stderr.contains("warning: "), "{ran:?}");
    Ok(())
}

pub fn a_key_that_an_untrusted_map_names_is_not_read(_: &Guest) -> Result<()> {
    let lab = Lab::new()?;
    let key = lab.at("key");
    fs::write(&key, [7; 64])?;
    fs::set_permissions(&key, Permissions::from_mode(0o400))?;
    let text = format!(
        "[mappings.new]\ntargets = [{{ type = \"crypt\", cipher = \"aes-xts-plain64\", length = 64, device = \
         \"/dev/ram0\", key = {{ file = \"{key}\" }} }}]\n"
    );
    let map = lab.map("map.toml", &text)?;
    let watch = Inotify::init(InitFlags::IN_NONBLOCK)?;
    watch.add_watch(key.as_str(), AddWatchFlags::IN_ACCESS)?;
    let was_read = || match watch.read_events() {
        Ok(events) => Ok(!events.is_empty()),
        Err(nix::Error::EAGAIN) => Ok(false),
        Err(error) => Err(error),
    };
    ensure!(dmctl(&["plan", &map])?.status == Some(0) && was_read()?, "the key of a trusted map is read");
    fs::set_permissions(&map, Permissions::from_mode(0o666))?;
    for verb in ["plan", "status", "apply", "deactivate"] {
        let ran = dmctl(&[verb, &map])?;
        ensure!(ran.status == Some(1), "{verb}: {ran:?}");
        ensure!(ran.stderr.contains("mode 0666"), "{verb}: {ran:?}");
        ensure!(!was_read()?, "{verb} read the key: {ran:?}");
    }
    // Nor one in whose place others can put another.
    fs::set_permissions(&map, Permissions::from_mode(0o600))?;
    lab.folder("open", 0o777)?;
    fs::rename(&key, lab.at("open/key"))?;
    lab.map("map.toml", &text.replace("/believing/key", "/believing/open/key"))?;
    let ran = dmctl(&["apply", &map])?;
    ensure!(ran.status == Some(1) && ran.stderr.contains("is not opened: the folder"), "{ran:?}");
    ensure!(!was_read()?, "the key was read: {ran:?}");
    Ok(())
}
