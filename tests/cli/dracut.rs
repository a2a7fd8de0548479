//! The module of dracut, whose functions are run as dracut runs them, beside stubs of dracut's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::lab::{Ended, Lab, ended};

/// dracut's own functions: each writes what it is asked for, with an end that no path holds.
const STUBS: &str = r#"
require_binaries() { command -v "$1" >/dev/null; }
instmods() { for module in "$@"; do printf 'module %s\0' "$module"; done; }
inst_multiple() { printf 'program %s\0' "$@"; }
inst_simple() { [[ -e $1 || $1 == */systemd/* ]] && printf 'file %s\0' "$1"; }
derror() { echo "dracut: $*" >&2; }
systemdsystemunitdir=/usr/lib/systemd/system
"#;

/// What dracut does with a module: `check` decides, and a code of 255 leaves the module out.
const RUN: &str = r#"
check; code=$?
[[ $code -eq 0 ]] || exit "$code"
depends >/dev/null && installkernel && install
"#;

/// Runs the functions in an empty folder but for one name that a pattern would find.
fn run(lab: &Lab) -> Ended {
    let module = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/dracut/90dmctl/module-setup.sh");
    let script = format!("{STUBS}\n. '{module}'\n{RUN}");
    let dmctl = std::path::Path::new(env!("CARGO_BIN_EXE_dmctl")).parent().unwrap();
    fs::create_dir_all(lab.path("here/dm-found")).unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(lab.path("here")).stdin(Stdio::null());
    command
        .env("PATH", format!("{}:/usr/bin:/bin", dmctl.display()))
        .env("dracutsysrootdir", lab.path("root"));
    ended(&mut command)
}

/// Writes a map that root alone can read, and returns its path.
fn write_map(lab: &Lab, name: &str, rows: &str) -> String {
    fs::create_dir_all(lab.path("root/etc/dmctl")).unwrap();
    let text = format!(
        "format = 1\n[mappings.{}]\nboot = [\"x-initrd.attach\"]\ntargets = [{rows}]\n",
        name.trim_end_matches(".toml")
    );
    let path = lab.write(&format!("root/etc/dmctl/{name}"), &text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn crypt(key: &str) -> String {
    let key = serde_json::to_string(key).unwrap();
    format!(
        "{{ type = \"crypt\", length = 8, cipher = \"aes-xts-plain64\", device = \"/dev/sda\", key = {{ file = {key} }} }}"
    )
}

fn write_key(lab: &Lab, name: &str, mode: u32) -> String {
    let path = lab.path(name);
    fs::write(&path, "k").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn dracut_gets_each_file_whatever_is_in_its_name() {
    let lab = Lab::new();
    for name in [
        "my key",
        "$(touch made)",
        "`touch made`;touch made",
        "-n",
        "a*b?[c]",
        "it's \"q\" \\n",
        "tur\u{202e}ned",
    ] {
        let key = write_key(&lab, name, 0o600);
        let map = write_map(&lab, "root.toml", &crypt(&key));
        let ended = run(&lab);
        assert_eq!(ended.code, 0, "{name}: {ended:?}");
        let told: Vec<&str> = ended.stdout.split_terminator('\0').collect();
        let expected = [
            "module dm-mod",
            "module dm-crypt",
            "module =crypto",
            "module =arch/x86/crypto",
            "program dmctl",
            "file /usr/lib/systemd/system-generators/dmctl-generator",
            "file /usr/lib/systemd/system/dmctl@.service",
            &format!("file {map}"),
            &format!("file {key}"),
        ];
        assert_eq!(told, expected, "{name}: {ended:?}");
        let here: Vec<_> =
            fs::read_dir(lab.path("here")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(here, ["dm-found"], "{name}");
    }
}

#[test]
fn a_type_is_not_a_pattern_of_dracut() {
    let lab = Lab::new();
    write_map(&lab, "root.toml", "{ type = \"*\", length = 8, params = [] }");
    let ended = run(&lab);
    assert!(ended.code == 0 && ended.stdout.starts_with("module dm-mod\0module dm-*\0program"), "{ended:?}");
}

#[test]
fn dracut_leaves_out_what_no_stack_needs_and_fails_where_apply_does() {
    let lab = Lab::new();
    assert_eq!(run(&lab).code, 255, "there is no map");
    let key = write_key(&lab, "key", 0o644);
    let map = write_map(&lab, "root.toml", &crypt(&key));
    for (mode, told) in [(0o644, "mode 0644"), (0o666, "mode 0666")] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let ended = run(&lab);
        assert!(ended.code == 1 && ended.stderr.contains(told) && ended.stdout.is_empty(), "{ended:?}");
    }
    // A key that is not there is found by dracut, which can't copy it.
    fs::remove_file(&key).unwrap();
    let ended = run(&lab);
    assert!(ended.code == 1 && ended.stderr.contains("key can't be copied"), "{ended:?}");
    write_key(&lab, "key", 0o600);
    assert_eq!(run(&lab).code, 0);
    if nix::unistd::geteuid().is_root() {
        fs::set_permissions(&map, fs::Permissions::from_mode(0o666)).unwrap();
        let ended = run(&lab);
        assert!(ended.code == 1 && ended.stderr.contains("is writable by users other"), "{ended:?}");
        assert!(ended.stdout.is_empty(), "{ended:?}");
    }
    let text = fs::read_to_string(&map).unwrap().replace("x-initrd.attach", "nofail");
    fs::write(&map, text).unwrap();
    fs::set_permissions(&map, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(run(&lab).code, 255, "no stack is for an initramfs");
}
