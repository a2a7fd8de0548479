//! Keys: read from where the map says, and never shown.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

/// The key in the file, and another one.
const FILE: [u8; 64] = [0xa7; 64];
const OTHER: [u8; 64] = [0xb9; 64];
/// The keys that stand in the map.
const HEX: &str = "c4d1c4d1c4d1c4d1c4d1c4d1c4d1c4d1";
const ROW: &str = "e3f5e3f5e3f5e3f5e3f5e3f5e3f5e3f5";

/// A folder with a map, its key, and a simulated kernel.
struct Lab(TempDir);

impl Lab {
    fn new() -> Self {
        let lab = Self(tempfile::tempdir().unwrap());
        let disks = ["--disk", "/dev/sda=64MiB", "--disk", "/dev/sdb=64MiB", "--disk", "/dev/sdc=64MiB"];
        let made = dmctl().arg("simulate").arg(lab.path("state.json")).args(disks).status().unwrap();
        assert!(made.success());
        lab.write("key", &FILE, 0o600);
        lab.write("map.toml", lab.map().as_bytes(), 0o600);
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8], mode: u32) {
        fs::write(self.path(name), content).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn map(&self) -> String {
        format!(
            r#"
            format = 1
            [mappings.file]
            targets = [{{ type = "crypt", length = "1MiB", cipher = "aes-xts-plain64", device = "/dev/sda", key = {{ file = "{}" }} }}]
            [mappings.hex]
            targets = [{{ type = "crypt", length = "1MiB", cipher = "aes-cbc-essiv:sha256", device = "/dev/sdb", key = {{ hex = "{HEX}" }} }}]
            [mappings.row]
            targets = [{{ start = 0, length = "1MiB", type = "crypt", params = "aes-cbc-essiv:sha256 {ROW} 0 /dev/sdc 0" }}]
            "#,
            self.path("key").display()
        )
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = dmctl();
        command.arg("--kernel").arg(self.path("state.json")).args(args).current_dir(self.0.path());
        command.output().unwrap()
    }

    /// Runs it, and holds when no key is in what it says. Gives how it ended, and all that it said.
    fn discreet(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args);
        let said = [output.stdout, output.stderr].concat();
        for key in [FILE, OTHER] {
            assert!(!holds(&said, &key[..8]), "{args:?} shows a key as it is");
        }
        let text = String::from_utf8_lossy(&said).into_owned();
        for key in ["a7a7a7a7", "b9b9b9b9", &HEX[..8], &ROW[..8]] {
            assert!(!text.to_lowercase().contains(key), "{args:?} shows a key:\n{text}");
        }
        (output.status.code().unwrap(), text)
    }

    fn state(&self) -> String {
        fs::read_to_string(self.path("state.json")).unwrap()
    }
}

fn dmctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dmctl"));
    command.env_remove("CREDENTIALS_DIRECTORY");
    command
}

fn holds(said: &[u8], key: &[u8]) -> bool {
    said.windows(key.len()).any(|window| window == key)
}

/// Every way to look at a map and at a device.
const LOOKS: &[&[&str]] = &[
    &["validate", "map.toml"],
    &["plan", "map.toml"],
    &["plan", "map.toml", "--json"],
    &["plan", "map.toml", "-vvv"],
    &["status", "map.toml"],
    &["status", "map.toml", "--json"],
    &["status"],
    &["list"],
    &["list", "--long", "--json"],
    &["table", "file"],
    &["table", "row", "--json"],
    &["table", "hex", "--inactive"],
    &["info", "file"],
    &["info", "row", "--json"],
];

#[test]
fn no_command_shows_a_key() {
    let lab = Lab::new();
    for args in LOOKS {
        lab.discreet(args);
    }
    let (code, said) = lab.discreet(&["apply", "map.toml", "-vvv"]);
    assert_eq!(code, 0, "{said}");
    for key in ["a7a7a7a7", HEX, ROW] {
        assert!(lab.state().contains(key), "the kernel has the key");
    }
    for args in LOOKS {
        lab.discreet(args);
    }
    let (code, said) = lab.discreet(&["plan", "map.toml", "--detailed-exitcode"]);
    assert_eq!(code, 0, "{said}");

    // Another key is a remap that shows neither, refused and then allowed.
    lab.write("key", &OTHER, 0o600);
    for args in LOOKS {
        lab.discreet(args);
    }
    assert_eq!(lab.discreet(&["apply", "map.toml", "--json"]).0, 3);
    let (code, said) = lab.discreet(&["apply", "map.toml", "--allow", "remap", "-vvv"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("key differs"), "{said}");
    assert!(lab.state().contains("b9b9b9b9"));
    lab.discreet(&["remove", "hex"]);

    let shown = lab.run(&["table", "row", "--show-keys"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains(ROW), "asked for, it is shown");
}

#[test]
fn a_key_that_cannot_be_had_changes_nothing_and_says_where() {
    let lab = Lab::new();
    let before = lab.state();
    for (content, mode, says) in [
        (&FILE[..], 0o640, "open to others"),
        (&FILE[..63], 0o600, "has 63 bytes"),
        (&b""[..], 0o600, "is empty"),
    ] {
        lab.write("key", content, mode);
        for verb in ["plan", "apply", "status"] {
            let (code, said) = lab.discreet(&[verb, "map.toml"]);
            assert_eq!(code, 1, "{verb}: {said}");
            assert!(said.contains(says) && said.contains("map.toml:4:"), "{verb}: {said}");
        }
        assert_eq!(lab.discreet(&["validate", "map.toml"]).0, 0, "checking a map needs no key");
    }
    fs::remove_file(lab.path("key")).unwrap();
    let (code, said) = lab.discreet(&["apply", "map.toml"]);
    assert_eq!(code, 1);
    assert!(said.contains("can't be read"), "{said}");
    assert_eq!(lab.state(), before);
}

#[test]
fn an_apply_that_fails_shows_no_key() {
    let lab = Lab::new();
    assert_eq!(lab.discreet(&["apply", "map.toml"]).0, 0);
    // A key that is too long, a table that is longer than its disk, and a type that there is not.
    for (length, kind, key) in
        [(8, "crypt", format!("{ROW}ff")), (999_999, "crypt", ROW.into()), (8, "crypted", ROW.into())]
    {
        let row = format!("0 {length} {kind} aes-cbc-essiv:sha256 {key} 0 8:32 0");
        let (code, said) = lab.discreet(&["reload", "row", "--table", &row]);
        assert_ne!(code, 0, "{said}");
    }
    // Another program has the disk: the kernel refuses the table of the map.
    let state = lab.state().replace("\"number\": \"8:32\",", "\"number\": \"8:32\", \"exclusive\": true,");
    lab.write("state.json", state.as_bytes(), 0o600);
    assert_eq!(lab.discreet(&["remove", "row"]).0, 0);
    let (code, said) = lab.discreet(&["apply", "map.toml", "-vvv"]);
    assert_eq!(code, 6, "{said}");
}

#[test]
fn credentials_are_found_where_systemd_puts_them() {
    let lab = Lab::new();
    lab.write("disk", &FILE, 0o600);
    let map = "format = 1\n[mappings.file]\ntargets = [{ type = 'crypt', length = '1MiB', cipher = 'aes-xts-plain64', device = '/dev/sda', key = { credential = 'disk' } }]\n";
    lab.write("map.toml", map.as_bytes(), 0o600);
    let (code, said) = lab.discreet(&["apply", "map.toml"]);
    assert_eq!(code, 1);
    assert!(said.contains("LoadCredential"), "{said}");
    let mut command = dmctl();
    command.env("CREDENTIALS_DIRECTORY", lab.0.path()).arg("--kernel").arg(lab.path("state.json"));
    assert!(command.arg("apply").arg(lab.path("map.toml")).status().unwrap().success());
    assert!(lab.state().contains("a7a7a7a7"));
}

/// The key of a row that the kernel has.
fn drawn(lab: &Lab) -> String {
    let shown = lab.run(&["table", "swap", "--show-keys"]);
    let row = String::from_utf8(shown.stdout).unwrap();
    row.split_whitespace().nth(4).unwrap().to_string()
}

#[test]
fn a_random_key_is_another_whenever_the_device_is_made_and_stays_while_it_is_there() {
    let lab = Lab::new();
    let map = |more: &str| {
        let text = format!(
            "format = 1\nowner = \"lab\"\n[mappings.swap]\ntargets = [{{ type = \"crypt\", length = 2048, \
             cipher = \"aes-xts-plain64\", key = {{ random = 64 }}, device = \"/dev/sda\"{more} }}]\n"
        );
        lab.write("swap.toml", text.as_bytes(), 0o644);
    };
    let run = |args: &[&str]| {
        let ran = lab.run(args);
        let said =
            format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        (ran.status.code(), said)
    };
    map("");
    assert_eq!(run(&["apply", "swap.toml"]).0, Some(0));
    let first = drawn(&lab);
    assert!(first.len() == 128 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    let (_, said) = run(&["apply", "swap.toml"]);
    assert!(said.contains("Nothing to do.") && drawn(&lab) == first, "{said}");

    // Another option keeps the key: the device may be in use.
    map(", allow_discards = true");
    let (code, said) = run(&["apply", "swap.toml", "-vvv"]);
    assert!(code == Some(0) && !said.contains(&first) && drawn(&lab) == first, "{said}");

    // Neither a saved plan nor an export holds one.
    map(", allow_discards = true, same_cpu_crypt = true");
    let (code, said) = run(&["plan", "swap.toml", "--out", "plan.json", "--json"]);
    assert!(code == Some(0) && !said.contains(&first), "{said}");
    let saved = fs::read_to_string(lab.path("plan.json")).unwrap();
    assert!(!saved.contains(&first[..16]), "{saved}");
    assert_eq!(run(&["apply", "--plan", "plan.json"]).0, Some(0));
    assert_eq!(drawn(&lab), first);
    for format in ["toml", "json", "concise"] {
        let (_, said) = run(&["export", "--format", format]);
        assert!(!said.contains(&first[..16]), "{said}");
    }

    assert_eq!(run(&["remove", "swap"]).0, Some(0));
    assert_eq!(run(&["plan", "swap.toml", "--out", "again.json"]).0, Some(0));
    assert_eq!(run(&["apply", "--plan", "again.json"]).0, Some(0));
    assert_ne!(drawn(&lab), first);

    // What is there now is lost with another cipher.
    let text = fs::read_to_string(lab.path("swap.toml")).unwrap();
    lab.write(
        "swap.toml",
        text.replace("xts-plain64", "cbc-essiv:sha256").replace("64 }", "32 }").as_bytes(),
        0o644,
    );
    let (code, said) = run(&["apply", "swap.toml", "--allow", "remap"]);
    assert!(code == Some(3) && said.contains("[loss]"), "{said}");
    assert_eq!(run(&["apply", "swap.toml", "--allow", "remap,loss"]).0, Some(0));
    assert_eq!(drawn(&lab).len(), 64);
}

#[test]
fn a_random_key_over_what_can_be_told_is_a_loss() {
    let lab = Lab::new();
    let map = |target: &str| {
        let text = format!("format = 1\nowner = \"lab\"\n[mappings.swap]\ntargets = [{{ {target} }}]\n");
        lab.write("swap.toml", text.as_bytes(), 0o644);
    };
    let random = "type = \"crypt\", length = 2048, cipher = \"aes-xts-plain64\", key = { random = 64 }, device = \"/dev/sda\"";
    let plan = || String::from_utf8(lab.run(&["plan", "swap.toml"]).stdout).unwrap();
    map(random);
    assert!(plan().contains("[create]"), "{}", plan());

    // A signature on the disk, and a file system behind the first sectors that are used.
    let state = lab.state();
    let mut head = vec![0u8; 4096];
    head[1080..1082].copy_from_slice(&[0x53, 0xef]);
    let head: String = head
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect();
    let mut with_head: serde_json::Value = serde_json::from_str(&state).unwrap();
    with_head["block_devices"][0]["head"] = head.into();
    fs::write(lab.path("state.json"), with_head.to_string()).unwrap();
    assert!(plan().contains("this loses the ext file system on /dev/sda (8:0)"), "{}", plan());
    assert_eq!(lab.run(&["apply", "swap.toml"]).status.code(), Some(3));
    fs::write(lab.path("state.json"), &state).unwrap();

    // Another table, until now.
    map("type = \"linear\", length = 2048, device = \"/dev/sda\"");
    assert_eq!(lab.run(&["apply", "swap.toml"]).status.code(), Some(0));
    map(random);
    assert!(plan().contains("this loses what is on it, for its key is drawn again"), "{}", plan());
    assert_eq!(lab.run(&["apply", "swap.toml", "--allow", "remap,format"]).status.code(), Some(3));
    assert_eq!(lab.run(&["apply", "swap.toml", "--allow", "loss"]).status.code(), Some(0));
    assert_eq!(lab.run(&["plan", "swap.toml", "--detailed-exitcode"]).status.code(), Some(0));
}
