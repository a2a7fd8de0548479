//! What is exported, in front of those who read it: dmsetup, and dmctl itself on the file of this kernel.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use dmctl::export::{self, Selection};
use dmctl::identity::DevNum;
use dmctl::kernel::{ReadKernel, Slot};

use crate::guest::{Guest, Ran, apply_ends, dmctl, program, with_map};

/// A stack with a name that has to be escaped.
const STACK: &str = r#"
[mappings.pool]
name = "a b,c;d"
targets = [
  { type = "linear", length = "1MiB", device = "/dev/ram0", offset = "1MiB" },
  { type = "linear", length = "1MiB", device = "/dev/ram1" },
]
[mappings.half]
readonly = true
targets = [{ type = "linear", length = "1MiB", device = "@pool" }]
[mappings.nothing]
targets = [{ type = "zero", length = 8 }]
"#;

/// Runs dmctl, which must work, and gives what it printed.
fn ok(arguments: &[&str]) -> Result<String> {
    let ran = dmctl(arguments)?;
    ensure!(ran.status == Some(0), "{ran:?}");
    Ok(ran.stdout)
}

/// The tables by name, with the numbers of mappings as they are.
fn tables(guest: &Guest) -> Result<BTreeMap<String, (String, bool, String)>> {
    let states = guest.states()?.into_iter();
    let uuid = |info: &dmctl::kernel::Info| info.uuid.as_ref().map(ToString::to_string).unwrap_or_default();
    Ok(states.map(|(info, live, _)| (info.name.to_string(), (uuid(&info), info.read_only, live))).collect())
}

fn nothing_to_do(ran: &Ran) -> Result<()> {
    ensure!(ran.status == Some(0) && ran.stdout.contains("Nothing to do."), "{ran:?}");
    Ok(())
}

pub fn dmsetup_takes_what_is_printed(guest: &Guest) -> Result<()> {
    guest.apply(STACK, &[])?;
    let before = tables(guest)?;
    let concise = ok(&["export", "--format", "concise"])?;
    guest.clean_up()?;
    program("dmsetup", &["create", "--concise", concise.trim_end()])?;
    ensure!(tables(guest)? == before, "{concise}: {before:?}, then {:?}", tables(guest)?);
    // They are ours again, so the map they came from has nothing to do.
    guest.in_sync(STACK)?;
    guest.clean_up().map(drop)
}

pub fn what_dmsetup_prints_becomes_a_map(guest: &Guest) -> Result<()> {
    guest.apply(STACK, &[])?;
    guest.device("by hand", "0 16 striped 2 8 1:2 0 1:3 0")?;
    let concise = program("dmsetup", &["table", "--concise"])?;
    let major = guest.kernel.list()?.first().map_or(0, |listed| listed.number.major).to_string();
    let map = ok(&["import-concise", "--major", &major, concise.trim_end()])?;
    ensure!(map.contains("device = \"@pool\"") && map.contains("adopt = true"), "{map}");
    fs::write("/run/tmp/imported.toml", &map)?;
    let plan = dmctl(&["plan", "/run/tmp/imported.toml"])?;
    // The one by hand has no uuid: it is given one, and that is all.
    ensure!(plan.stdout.ends_with("Plan: 1 set-uuid.\n"), "{map}\n{plan:?}");
    let applied = dmctl(&["apply", "/run/tmp/imported.toml"])?;
    ensure!(applied.status == Some(0), "{applied:?}");
    nothing_to_do(&dmctl(&["plan", "/run/tmp/imported.toml", "--detailed-exitcode"])?)?;
    guest.clean_up().map(drop)
}

pub fn a_plan_is_rehearsed_on_the_file(guest: &Guest) -> Result<()> {
    guest.apply(STACK, &[])?;
    fs::write("/run/tmp/host.json", ok(&["export", "--format", "json"])?)?;
    let changed =
        STACK.replace("length = 8 ", "length = 16 ").replace("name = \"a b,c;d\"", "name = \"plain\"");
    let on_host = with_map("plan", &changed, &[])?;
    let rehearsed = with_map("plan", &changed, &["--kernel", "/run/tmp/host.json"])?;
    ensure!(
        on_host.stdout == rehearsed.stdout && on_host.stdout.contains("Plan: "),
        "{on_host:?} {rehearsed:?}"
    );
    nothing_to_do(&with_map("plan", STACK, &["--kernel", "/run/tmp/host.json"])?)?;
    let applied = with_map("apply", &changed, &["--kernel", "/run/tmp/host.json"])?;
    ensure!(applied.status == Some(0), "{applied:?}");
    guest.in_sync(STACK)?;
    guest.clean_up().map(drop)
}

pub fn the_keys_stay_in_the_kernel(guest: &Guest) -> Result<()> {
    let key = "c0ffee11".repeat(16);
    guest.device("secret", &format!("0 1024 crypt aes-xts-plain64 {key} 0 1:0 0"))?;
    for format in ["toml", "json", "concise", "dm-init"] {
        let ran = dmctl(&["export", "--format", format])?;
        ensure!(!format!("{ran:?}").contains("c0ffee11"), "{format}: {ran:?}");
    }
    let map = ok(&["export", "secret"])?;
    fs::create_dir_all("/run/tmp/keys")?;
    let bytes: Vec<u8> = [0xc0, 0xff, 0xee, 0x11].repeat(16);
    crate::guest::private("/run/tmp/keys/secret", &bytes)?;
    let body = map.replace("/etc/dmctl/keys", "/run/tmp/keys").replace("format = 1\n", "");
    let plan = with_map("plan", &body, &[])?;
    ensure!(plan.stdout.ends_with("Plan: 1 set-uuid.\n"), "{map}\n{plan:?}");
    apply_ends(&body, &[], 0)?;
    guest.clean_up().map(drop)
}

/// Its superblocks have no bitmap, and the kernel refuses them in a row without `sync`.
pub fn an_array_that_was_made_with_sync_comes_back(guest: &Guest) -> Result<()> {
    let mut legs = Vec::new();
    for n in 0..3 {
        let meta = guest.device(&format!("meta{n}"), &format!("0 16384 linear 1:{n} 0"))?;
        let meta = guest.kernel.device(&meta, Slot::Live)?.context("not there")?;
        legs.push(format!("{} 1:{}", meta.info.number, n + 3));
    }
    let row = format!("raid4 4 64 sync min_recovery_rate 20 3 {}", legs.join(" "));
    guest.device("array", &format!("0 65536 raid {row}"))?;
    let map = ok(&["export"])?;
    ensure!(map.contains("sync = \"sync\"") && map.contains("min_recovery_rate = 20"), "{map}");
    fs::write("/run/tmp/array.toml", &map)?;
    for name in ["array", "meta0", "meta1", "meta2"] {
        ok(&["remove", name])?;
    }
    ok(&["apply", "/run/tmp/array.toml", "--allow", "format"])?;
    nothing_to_do(&dmctl(&["plan", "/run/tmp/array.toml"])?)?;
    guest.clean_up().map(drop)
}

pub fn paths_of_disks_and_mappings(guest: &Guest) -> Result<()> {
    guest.apply(STACK, &[])?;
    let paths = guest.kernel.paths()?;
    let of = |number| paths.get(&number).cloned().unwrap_or_default();
    ensure!(of(DevNum::new(1, 0)) == ["/dev/ram0"], "{:?}", of(DevNum::new(1, 0)));
    let pool = guest.state("a b,c;d")?.0.number;
    let expected = [format!("/dev/dm-{}", pool.minor), "/dev/mapper/a\\x20b\\x2cc\\x3bd".to_string()];
    ensure!(of(pool) == expected, "{:?}", of(pool));
    ensure!(guest.kernel.block_devices()?.contains(&pool));
    let text = export::map(&guest.kernel, &Selection::default())?;
    ensure!(text.contains("device = \"/dev/ram0\", offset = \"1MiB\""), "{text}");
    guest.clean_up().map(drop)
}

pub fn a_graph_shows_what_stands_on_what(guest: &Guest) -> Result<()> {
    guest.apply(STACK, &[])?;
    guest.device("stranger", "0 8 linear 1:1 4096")?;
    let tree = ok(&["graph"])?;
    for line in ["/dev/ram0 ", "└─a b,c;d ", "  └─half ", "├─a b,c;d ", "└─stranger ", "nothing "]
    {
        ensure!(tree.lines().any(|other| other.starts_with(line)), "{line:?} is not in\n{tree}");
    }
    ensure!(
        tree.contains("2.0 MiB  linear  [lab: pool]") && tree.contains("read-only  [lab: half]"),
        "{tree}"
    );
    let more = format!(
        "{STACK}\n[mappings.more]\ntargets = [{{ type = \"linear\", length = 8, device = \"@half\" }}]\nreadonly = true"
    );
    let ran = with_map("graph", &more, &[])?;
    ensure!(
        ran.status == Some(0) && ran.stdout.contains("missing  read-only  -> create  [lab: more]"),
        "{ran:?}"
    );
    guest.clean_up().map(drop)
}
