//! The verbs for one device, against dmsetup; and two dmctl at once.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dmctl::kernel::{ChangeKernel, Suspend};
use dmctl::lock::{self, Lock};
use serde_json::Value;

use crate::guest::{Disk, Guest, apply_ends, dmctl, named, program, with_map};

const MAP: &str = r#"
    [mappings.one]
    readonly = true
    targets = [
      { type = "linear", length = 64, device = "/dev/ram0" },
      { type = "error", length = 8 },
    ]
    [mappings.two]
    name = "two words"
    targets = [{ type = "linear", length = 32, device = "@one" }]
    readonly = true
    [mappings.three]
    state = "suspended"
    targets = [{ type = "zero", length = 8 }]"#;

const NOTHING: &str = "[policy]\nprune = true\n[mappings]";

/// What dmsetup says of every device, a line each.
fn dmsetup(fields: &str) -> Result<Vec<Vec<String>>> {
    let arguments = ["info", "-c", "--noheadings", "--nameprefixes", "--separator", ";", "-o", fields];
    let text = program("dmsetup", &arguments)?;
    let value =
        |field: &str| field.split_once('=').map_or("", |(_, value)| value).trim_matches('\'').to_string();
    Ok(text.lines().map(|line| line.split(';').map(value).collect()).collect())
}

fn json(arguments: &[&str]) -> Result<Value> {
    let ran = dmctl(&[arguments, &["--json"]].concat())?;
    ensure!(ran.status == Some(0), "{ran:?}");
    serde_json::from_str(&ran.stdout).with_context(|| ran.stdout.clone())
}

pub fn what_is_shown_is_what_dmsetup_shows(guest: &Guest) -> Result<()> {
    guest.apply(MAP, &[])?;
    let devices = dmsetup("name,uuid,major,minor,open,segments,events,suspended,readonly,tables_loaded")?;
    ensure!(devices.len() == 3, "{devices:?}");
    for device in &devices {
        let [name, uuid, major, minor, open, segments, events, suspended, readonly, tables] = &device[..]
        else {
            anyhow::bail!("{device:?}")
        };
        let plain = name.replace("\\x20", " ");
        let info = json(&["info", &plain])?;
        let said = |field: &str| info[field].to_string().trim_matches('"').to_string();
        for (field, expected) in [
            ("uuid", uuid),
            ("major", major),
            ("minor", minor),
            ("open_count", open),
            ("target_count", segments),
            ("event_nr", events),
        ] {
            ensure!(&said(field) == expected, "{name}: {field} {}, dmsetup: {expected}", said(field));
        }
        ensure!((said("suspended") == "true") == (suspended == "Suspended"), "{info} {suspended}");
        ensure!((said("read_only") == "true") == (readonly == "Read-only"), "{info} {readonly}");
        ensure!((said("live_table") == "true") == (tables == "Live"), "{info} {tables}");

        let ours = dmctl(&["table", &plain])?;
        let theirs = program("dmsetup", &["table", name])?;
        let trimmed = |text: &str| text.lines().map(|line| line.trim_end().to_string()).collect::<Vec<_>>();
        ensure!(trimmed(&ours.stdout) == trimmed(&theirs), "{ours:?} {theirs}");
    }
    let list = dmctl(&["list"])?;
    ensure!(list.stdout == "one\nthree\ntwo words\n", "{list:?}");
    let status = with_map("status", MAP, &[])?;
    // One of them is an error target: as the map says, and no I/O of it works.
    ensure!(status.status == Some(8) && status.stdout.matches("in sync").count() == 3, "{status:?}");
    guest.kernel.resume(&named("three"))?;
    let status = with_map("status", MAP, &[])?;
    ensure!(status.status == Some(2), "{status:?}");
    let absent = dmctl(&["info", "absent"])?;
    ensure!(absent.status == Some(1) && absent.stdout.contains("exists: false"), "{absent:?}");
    guest.apply(NOTHING, &[])
}

pub fn the_verbs_do_as_dmsetup_does(guest: &Guest) -> Result<()> {
    let works = |arguments: &[&str]| -> Result<()> {
        let ran = dmctl(arguments)?;
        ensure!(ran.status == Some(0), "{arguments:?}: {ran:?}");
        Ok(())
    };
    works(&["create", "v", "--table", "0 64 linear /dev/ram0 0"])?;
    works(&["reload", "v", "--table", "0 64 linear /dev/ram0 0\n64 64 linear 1:1 8"])?;
    ensure!(program("dmsetup", &["table", "v"])? == "0 64 linear 1:0 0\n64 64 linear 1:1 8\n");
    works(&["suspend", "v"])?;
    ensure!(guest.state("v")?.0.suspended);
    works(&["resume", "v"])?;
    works(&["rename", "v", "w"])?;
    ensure!(Path::new("/dev/mapper/w").exists() && !Path::new("/dev/mapper/v").exists());
    let refused = dmctl(&["reload", "w", "--table", "0 64 nonsense"])?;
    ensure!(refused.status == Some(6) && refused.stderr.contains("nonsense"), "{refused:?}");
    ensure!(!guest.state("w")?.0.inactive_table);
    works(&["remove", "w"])
}

pub fn names_are_completed(guest: &Guest) -> Result<()> {
    guest.apply(MAP, &[])?;
    let asked = ["DMCTL_COMPLETE=bash", "_CLAP_COMPLETE_INDEX=2", env!("CARGO_BIN_EXE_dmctl"), "--", "dmctl"];
    let offered = program("env", &[&asked[..], &["table", "t"]].concat())?;
    // The third is "two words", which a shell would take apart.
    ensure!(offered == "three", "{offered}");
    let offered = program("env", &[&asked[..], &["table", "o"]].concat())?;
    ensure!(offered == "one", "{offered}");
    apply_ends(NOTHING, &[], 0).map(drop)
}

pub fn one_dmctl_at_a_time(guest: &Guest) -> Result<()> {
    let lock = Lock::acquire(Path::new(lock::LIVE), Duration::ZERO, "a test")?;
    let refused = guest.refused(MAP, &[], 5)?;
    let says = &refused.stderr;
    ensure!(says.contains(&process::id().to_string()) && says.contains("a test"), "{refused:?}");
    // Reading needs no lock.
    let plan = with_map("plan", MAP, &["--detailed-exitcode"])?;
    ensure!(plan.status == Some(2), "{plan:?}");
    drop(lock);

    // The map is written by the first of these; from then on it is the same for all.
    guest.apply(MAP, &[])?;
    guest.apply(NOTHING, &[])?;
    with_map("plan", MAP, &[])?;
    let run = || dmctl(&["apply", "/run/tmp/map.toml"]);
    let ends: Vec<Option<i32>> = thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        runs.into_iter().map(|run| run.join().ok().and_then(Result::ok).and_then(|ran| ran.status)).collect()
    });
    ensure!(ends.iter().all(|end| matches!(end, Some(0 | 5))) && ends.contains(&Some(0)), "{ends:?}");
    guest.in_sync(MAP)?;
    // With patience, all of them get their turn.
    apply_ends(NOTHING, &["--lock-timeout", "30s"], 0)?;
    Ok(())
}

pub fn a_missing_control_node_is_made(_: &Guest) -> Result<()> {
    const CONTROL: &str = "/dev/mapper/control";
    let before = fs::metadata(CONTROL)?.rdev();
    fs::remove_file(CONTROL)?;
    let listed = dmctl(&["list"])?;
    ensure!(listed.status == Some(0), "{listed:?}");
    let made = fs::metadata(CONTROL)?;
    ensure!(made.rdev() == before && made.mode() & 0o777 == 0o600, "another node was made");
    Ok(())
}

pub fn the_lock_is_where_it_can_be_written(_: &Guest) -> Result<()> {
    let folder = "/dev/dmctl-locks";
    fs::create_dir_all(folder)?;
    let create = |more: &[&str]| dmctl(&[&["create", "a", "--table", "0 8 zero"], more].concat());
    let remove = || program("dmsetup", &["remove", "a"]);
    program("busybox", &["mount", "-o", "remount,ro", "/run"])?;
    let fallback = create(&[]);
    let chosen = remove().and_then(|_| create(&["--lock-dir", folder]));
    let nowhere = remove().and_then(|_| create(&["--lock-dir", "/nowhere"]));
    program("busybox", &["mount", "-o", "remount,rw", "/run"])?;
    let fallback = fallback?;
    ensure!(
        fallback.status == Some(0) && fallback.stderr.contains("the lock is /dev/dmctl.lock"),
        "{fallback:?}"
    );
    let chosen = chosen?;
    ensure!(chosen.status == Some(0) && chosen.stderr.is_empty(), "{chosen:?}");
    let nowhere = nowhere?;
    ensure!(nowhere.status == Some(1) && nowhere.stderr.contains("`--lock-dir FOLDER`"), "{nowhere:?}");
    ensure!(Path::new(folder).join("dmctl.lock").exists());
    let usual = create(&[])?;
    ensure!(usual.status == Some(0) && usual.stderr.is_empty(), "{usual:?}");
    remove()?;
    Ok(())
}

/// Messages as dmctl sends them and as dmsetup does: the same answers, and what loses data is asked for first.
pub fn messages_are_answered_as_to_dmsetup(guest: &Guest) -> Result<()> {
    for kind in ["dust", "thin-pool", "era"] {
        guest.needs(kind)?;
    }
    guest.device("worn", "0 2048 dust /dev/ram0 0 512")?;
    for message in [
        "addbadblock 60",
        "addbadblock 7",
        "countbadblocks",
        "listbadblocks",
        "queryblock 60",
        "queryblock 61",
    ] {
        let words: Vec<&str> = message.split(' ').collect();
        let ours = dmctl(&[&["message", "worn"][..], &words].concat())?;
        ensure!(ours.status == Some(0), "{message}: {ours:?}");
        if !message.starts_with("add") {
            let theirs = program("dmsetup", &[&["message", "worn", "0"][..], &words].concat())?;
            ensure!(ours.stdout.trim_end() == theirs.trim_end() && !theirs.is_empty(), "{ours:?} {theirs}");
        }
    }
    let twice = dmctl(&["message", "worn", "addbadblock", "60"])?;
    ensure!(twice.status == Some(6), "the kernel refuses it: {twice:?}");

    guest.device("pool", "0 65536 thin-pool /dev/ram1 /dev/ram2 128 0")?;
    for words in [&["create_thin", "1"][..], &["create_thin", "2"]] {
        ensure!(dmctl(&[&["message", "pool"][..], words].concat())?.status == Some(0));
    }
    let pool = Disk::mapping("pool")?;
    guest.device("volume", &format!("0 65536 thin {} 1", pool.number))?;
    let refused = dmctl(&["message", "pool", "create_snap", "3", "1"])?;
    ensure!(refused.status == Some(3) && refused.stderr.contains("dmctl suspend volume"), "{refused:?}");
    for words in
        [&["suspend", "volume"][..], &["message", "pool", "create_snap", "3", "1"], &["resume", "volume"]]
    {
        let ran = dmctl(words)?;
        ensure!(ran.status == Some(0), "{words:?}: {ran:?}");
    }
    ensure!(dmctl(&["message", "pool", "delete", "2"])?.status == Some(3));
    ensure!(dmctl(&["message", "pool", "delete", "2", "--allow", "loss"])?.status == Some(0));

    let era = guest.device("eras", "0 65536 era /dev/ram3 /dev/ram4 8")?;
    ensure!(dmctl(&["message", "eras", "checkpoint"])?.status == Some(0));
    guest.kernel.suspend(&era, Suspend::default())?;
    let suspended = dmctl(&["message", "eras", "checkpoint"])?;
    ensure!(suspended.status == Some(1) && suspended.stderr.contains("would not answer"), "{suspended:?}");
    guest.kernel.resume(&era)?;
    for name in ["volume", "pool", "eras", "worn"] {
        ensure!(dmctl(&["remove", name])?.status == Some(0), "{name}");
    }
    Ok(())
}
