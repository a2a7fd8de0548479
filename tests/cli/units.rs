//! What dmctl is to systemd: a generator of units.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::lab::{Lab, dmctl, ended};
use crate::plan::{linear, map};

/// Every file and link below a folder, sorted.
fn below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn units_are_written_again_as_they_were() {
    let lab = Lab::new();
    let file = lab.write("map.toml", &map(&linear("data", 0, 8)));
    for _ in 0..2 {
        lab.ok(["units", &lab.path("units"), "--map", &file]);
        assert_eq!(
            below(Path::new(&lab.path("units"))),
            [
                "dev-mapper-data.device.requires/dmctl@data.service",
                "dmctl.service.requires/dmctl@data.service",
                "dmctl@data.service.d/10-stack.conf",
            ]
        );
    }
    // Nothing of it belongs into an initramfs.
    lab.ok(["units", &lab.path("initrd"), "--map", &file, "--initrd"]);
    assert!(!lab.has("initrd"));
}

#[test]
fn a_map_that_is_wrong_makes_no_units() {
    let lab = Lab::new();
    let file = lab.write("map.toml", "format = 1\n[mappings.data]\nboot = [\"netdev\"]\ntargets = []\n");
    let ended = lab.run(["units", &lab.path("units"), "--map", &file]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("did you mean `_netdev`?"), "{ended:?}");
    assert!(!lab.has("units"));
}

#[test]
fn a_file_that_has_no_end_is_an_error_of_every_verb() {
    let lab = Lab::new();
    fs::create_dir(lab.path("maps")).unwrap();
    lab.write("maps/map.toml", &map(&linear("data", 0, 8)));
    let pipe = lab.path("maps/pipe.toml");
    nix::unistd::mkfifo(Path::new(&pipe), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (maps, units) = (lab.path("maps"), lab.path("units"));
    for command in [
        &["validate", &maps][..],
        &["plan", &maps],
        &["apply", &maps],
        &["status", &maps],
        &["stacks", &maps],
        &["graph", &maps],
        &["deactivate", &maps],
        &["units", &units, "--map", &maps],
    ] {
        let refused = lab.fails(1, command.iter().copied());
        assert!(
            refused.contains("pipe.toml` is a FIFO: in a directory only regular files are maps"),
            "{refused}"
        );
    }
    assert!(!Path::new(&units).exists());
    fs::remove_file(&pipe).unwrap();
    std::os::unix::fs::symlink("/nowhere/map.toml", &pipe).unwrap();
    let refused = lab.fails(1, ["validate", &maps]);
    assert!(refused.contains("pipe.toml` leads to /nowhere/map.toml, which does not exist"), "{refused}");
}

#[test]
fn called_by_systemd_it_is_a_generator() {
    let lab = Lab::new();
    let mut generator = dmctl();
    // Its three folders, and nothing else: it does not even look at them where there is no map.
    generator
        .arg0("/usr/lib/systemd/system-generators/dmctl-generator")
        .args(["a", "b", "c"].map(|f| lab.path(f)));
    let quiet = ended(&mut generator);
    if Path::new("/etc/dmctl").exists() {
        return;
    }
    assert_eq!((quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()), (0, "", ""));
}

#[test]
fn the_binary_needs_no_library_of_device_mapper() {
    let linked = std::process::Command::new("ldd").arg(env!("CARGO_BIN_EXE_dmctl")).output().unwrap();
    let linked = String::from_utf8(linked.stdout).unwrap();
    assert!(linked.contains("libc.so"), "{linked}");
    assert!(!linked.contains("devmapper"), "{linked}");
}
