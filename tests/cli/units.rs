//! What dmctl is to systemd: a generator of units.

use std::fs;
use std::os::unix::fs::PermissionsExt;
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

/// A map with a key, and the settings of the map in a file of its own.
fn write_maps(lab: &Lab, key: &str) -> String {
    fs::create_dir_all(lab.path("maps")).unwrap();
    lab.write("maps/settings.toml", "format = 1\nowner = \"lab\"\n");
    lab.write("maps/other.toml", &map(&linear("other", 0, 8)).replace("owner = \"lab\"\n", ""));
    let crypt = format!(
        "format = 1\n[mappings.root]\nboot = [\"x-initrd.attach\"]\ntargets = [{{ type = \"crypt\", length = 8, \
         cipher = \"aes-xts-plain64\", device = \"/dev/sda\", offset = 64, key = {key} }}]\n"
    );
    let path = lab.write("maps/root.toml", &crypt);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    lab.path("maps")
}

/// Runs the hook of initramfs-tools on a folder of maps, and returns how it ended. Its functions are stubs; what it copies is
/// in `image`.
fn run_hook(lab: &Lab, maps: &str) -> crate::lab::Ended {
    let hook = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/initramfs-tools/hooks/dmctl");
    let functions = lab.write(
        "hook-functions",
        "copy_exec() { :; }\nmanual_add_modules() { echo \"module $1\"; }\ncopy_modules_dir() { :; }\n",
    );
    let hook = fs::read_to_string(hook).unwrap();
    let hook =
        hook.replace("/usr/share/initramfs-tools/hook-functions", &functions).replace("/etc/dmctl", maps);
    fs::create_dir(lab.path("image")).unwrap();
    let dmctl = Path::new(env!("CARGO_BIN_EXE_dmctl")).parent().unwrap().display().to_string();
    let mut command = std::process::Command::new("sh");
    command.arg(lab.write("hook", &hook)).env("DESTDIR", lab.path("image"));
    ended(command.env("PATH", format!("{dmctl}:/usr/bin:/bin")).stdin(std::process::Stdio::null()))
}

#[test]
fn the_initramfs_gets_what_its_stacks_need_and_nothing_else() {
    let lab = Lab::new();
    let key = lab.write("my key", "k");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let maps = write_maps(&lab, &format!("{{ file = \"{key}\" }}"));
    let ended = run_hook(&lab, &maps);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "module dm-mod\nmodule dm-crypt\n"), "{ended:?}");
    let image = lab.path("image");
    let copied = below(Path::new(&image));
    let expected: Vec<String> = [&key, &format!("{maps}/root.toml"), &format!("{maps}/settings.toml")]
        .iter()
        .map(|path| path.trim_start_matches('/').to_string())
        .collect();
    assert_eq!(copied.iter().collect::<std::collections::BTreeSet<_>>(), expected.iter().collect());
    assert!(ended.stderr.contains("W: ") && ended.stderr.contains(&key), "{ended:?}");
    // It is the same map there.
    let there = lab.ok(["stacks", &format!("{image}{maps}"), "--show", "mappings"]);
    assert_eq!(there, "root\n");
}

#[test]
fn a_type_is_not_a_pattern_of_the_hook() {
    let lab = Lab::new();
    let map = "format = 1\n[mappings.root]\nboot = [\"x-initrd.attach\"]\ntargets = [{ type = \"*\", length = 8, params = [] }]\n";
    lab.write("map.toml", map);
    fs::create_dir(lab.path("maps")).unwrap();
    fs::rename(lab.path("map.toml"), lab.path("maps/map.toml")).unwrap();
    let ended = run_hook(&lab, &lab.path("maps"));
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "module dm-mod\nmodule dm-*\n"), "{ended:?}");
}

#[test]
fn an_initramfs_without_a_key_is_not_made() {
    let lab = Lab::new();
    let maps = write_maps(&lab, &format!("{{ file = \"{}\" }}", lab.path("absent")));
    let ended = run_hook(&lab, &maps);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("E: dmctl: a file of the map can't be copied"), "{ended:?}");
}

#[test]
fn a_key_in_a_map_of_the_initramfs_is_told() {
    let lab = Lab::new();
    let maps = write_maps(&lab, &format!("{{ hex = \"{}\" }}", "11".repeat(64)));
    let ended = run_hook(&lab, &maps);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("W: ") && ended.stderr.contains(&format!("{maps}/root.toml")), "{ended:?}");
    assert!(!ended.stderr.contains("1111"), "{ended:?}");
}

#[test]
fn the_initramfs_gets_nothing_of_a_map_that_others_could_have_written() {
    let lab = Lab::new();
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let maps = write_maps(&lab, "{ file = \"/etc/shadow\" }");
    fs::set_permissions(format!("{maps}/root.toml"), fs::Permissions::from_mode(0o666)).unwrap();
    let ended = run_hook(&lab, &maps);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("is writable by users other than its owner"), "{ended:?}");
    assert!(below(Path::new(&lab.path("image"))).is_empty());
}

/// Puts something into the place of a key file.
type Plant = fn(&Path);

#[test]
fn the_initramfs_gets_no_key_that_apply_refuses() {
    use std::os::unix::fs::{chown, lchown, symlink};

    const OTHER: u32 = 65534;
    let key = |path: &Path, mode| {
        fs::write(path, "k").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let plants: [(u32, Plant, &str); 8] = [
        (
            0o1777,
            |path| {
                symlink("/etc/hostname", path).unwrap();
                lchown(path, Some(OTHER), None).unwrap();
            },
            "is open to others",
        ),
        (0o755, |path| symlink("/etc/passwd", path).unwrap(), "is open to others"),
        (0o755, |path| symlink("/dev/zero", path).unwrap(), "is not a regular file"),
        (0o777, |_| {}, "is writable by users other than its owner"),
        (0o755, |path| chown(path, Some(OTHER), None).unwrap(), "belongs to user 65534"),
        (0o755, |path| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap(), "mode 0644"),
        (
            0o1777,
            |path| {
                fs::rename(path, path.with_extension("moved")).unwrap();
                symlink(path.with_extension("moved"), path).unwrap();
                lchown(path, Some(OTHER), None).unwrap();
            },
            "belongs to user 65534, who could decide where it leads",
        ),
        (
            0o1777,
            |path| {
                nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRUSR).unwrap();
                chown(path, Some(OTHER), None).unwrap();
            },
            "is not a regular file, but a FIFO of user 65534",
        ),
    ];
    for (number, (mode, plant, told)) in plants.into_iter().enumerate() {
        let lab = Lab::new();
        let folder = lab.path("folder");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        let path = format!("{folder}/key");
        let maps = write_maps(&lab, &format!("{{ file = \"{path}\" }}"));
        if ![0, 1, 2, 7].contains(&number) {
            key(Path::new(&path), 0o600);
        }
        plant(Path::new(&path));
        let ended = run_hook(&lab, &maps);
        assert!(ended.code == 1 && ended.stderr.contains(told), "{number}: {ended:?}");
        assert!(below(Path::new(&lab.path("image"))).is_empty(), "{number}");
        for shown in [&["--show", "key-files"][..], &["--show", "secret-files", "--null"], &["--json"]] {
            let ended = lab.run([&["stacks", maps.as_str()], shown].concat());
            assert!(ended.code == 1 && ended.stderr.contains(told), "{number} {shown:?}: {ended:?}");
            assert_eq!(ended.stdout, "");
        }
        assert!(lab.ok(["stacks", &maps]).contains("root\n"), "what names no key is told");
    }
}

#[test]
fn lists_for_scripts_end_with_a_nul() {
    let lab = Lab::new();
    let maps = write_maps(&lab, "{ file = \"/srv/tur\u{202e}ned\" }");
    assert_eq!(lab.ok(["stacks", &maps, "--show", "key-files"]), "/srv/tur\\u{202e}ned\n");
    assert_eq!(lab.ok(["stacks", &maps, "--show", "key-files", "--null"]), "/srv/tur\u{202e}ned\0");
}

#[test]
fn no_text_of_a_map_adds_a_line_to_a_unit() {
    let lab = Lab::new();
    for (key, told) in [
        ("{ credential = \"a\\nExecStartPre=+sh -c 'id'\" }", "the name of a credential"),
        ("{ credential = \"a\\u0085b\" }", "the name of a credential"),
        ("{ file = \"/nokey\\n/etc/shadow\" }", "holds a control character"),
    ] {
        let maps = write_maps(&lab, key);
        let message = lab.fails(1, ["units", &lab.path("units"), "--map", &maps]);
        assert!(message.contains(told), "{message}");
        assert!(!lab.has("units"));
    }
}
