//! What stays in the memory of a process that read keys. To look into it takes root: no other process may.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use dmctl::lock::Lock;
use nix::sys::signal::{Signal, kill};

use super::confirm;
use super::lab::{Lab, until};
use super::readers::pipe_with_full;
use super::scan::{count, other};

const KEY: &str = "5ec3e7a1b2c4d6e8f9011a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f";
const MESSAGE: &str = "d00dfeed1a2b3c4d5e6f70818293a4b5";

/// Whether this process may look into those that are not dumpable: with `CAP_SYS_PTRACE`, whatever else it lacks.
fn can_look() -> bool {
    const PTRACE: u32 = 19;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() >> PTRACE & 1 == 1
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_watch_that_idles_keeps_no_key_of_its_map() {
    if !can_look() {
        return;
    }
    let message = format!(", messages = [\"key set {MESSAGE}\"]");
    // A warning draws the line of the device, and of the key.
    for more in ["", &message] {
        let lab = Lab::new();
        let map = format!(
            "format = 1\nowner = \"lab\"\n[mappings.c]\ntargets = [{{ type = \"crypt\", length = \"1MiB\", \
             cipher = \"aes-xts-plain64\", device = \"/dev/sda\", key = {{ hex = \"{KEY}\" }}{more} }}]\n"
        );
        let map = lab.write("map.toml", &map);
        fs::set_permissions(&map, fs::Permissions::from_mode(0o600)).unwrap();
        let out = lab.path("out");
        let mut watch = lab.command(["watch", &map]);
        watch.stdout(File::create(&out).unwrap()).stderr(Stdio::null());
        let watch = Running(watch.spawn().unwrap());
        until("the watch", || fs::read_to_string(&out).unwrap().contains("Plan: "));
        until("the wait", || {
            let state = fs::read_to_string(format!("/proc/{}/stat", watch.0.id())).unwrap();
            state.contains(") S ")
        });
        let process = watch.0.id();
        assert!(count(process, &hex(map.as_bytes())) > 0, "the path of the map is found");
        assert_eq!((count(process, KEY), count(process, MESSAGE)), (0, 0));
    }
}

/// A map with a mapping of crypt for each key.
fn mapped(keys: &[&str]) -> String {
    let head = "format = 1\nowner = \"lab\"\n".to_string();
    keys.iter().enumerate().fold(head, |map, (at, key)| {
        format!(
            "{map}[mappings.c{at}]\ntargets = [{{ type = \"crypt\", length = 2048, cipher = \"aes-xts-plain64\", \
             device = \"/dev/sda\", offset = {}, key = {{ hex = \"{key}\" }} }}]\n",
            2048 * at
        )
    })
}

#[test]
fn a_trial_keeps_the_keys_of_the_way_back_and_no_other() {
    if !can_look() {
        return;
    }
    let (old, new, made) = (KEY, other(KEY, 1), other(KEY, 2));
    let lab = Lab::new();
    let before = lab.write("before.toml", &mapped(&[old]));
    let after = lab.write("after.toml", &mapped(&[&new, &made]));
    for map in [&before, &after] {
        fs::set_permissions(map, fs::Permissions::from_mode(0o600)).unwrap();
    }
    lab.ok(["apply", &before]);
    lab.ok(["apply", &after, "--allow", "remap", "--confirm-within", "1h"]);
    let guard = confirm::pid(&lab);
    let process = u32::try_from(guard.as_raw()).unwrap();
    assert!(count(process, old) > 0, "the key that is put back is found");
    assert_eq!([&new, &made].map(|key| count(process, key)), [0; 2]);
    kill(guard, Signal::SIGTERM).unwrap();
    assert_eq!(confirm::ends(&lab).unwrap()["phase"], "put-back");
    assert!(fs::read_to_string(lab.state()).unwrap().contains(old), "the old key is back");
}

/// A mirror is looked at before another table takes its place: that look is over once the trial waits.
#[test]
fn a_trial_keeps_no_new_key_of_a_table_that_was_looked_at() {
    if !can_look() {
        return;
    }
    let lab = Lab::new();
    let mirror = "format = 1\nowner = \"lab\"\n[mappings.c0]\ntargets = [{ type = \"mirror\", length = 2048, log = \
                  { type = \"core\", region_size = 1024 }, legs = [{ device = \"/dev/sda\" }, { device = \
                  \"/dev/sda\", offset = 8192 }] }]\n";
    let before = lab.write("before.toml", mirror);
    let after = lab.write("after.toml", &mapped(&[KEY]));
    fs::set_permissions(&after, fs::Permissions::from_mode(0o600)).unwrap();
    lab.ok(["apply", &before, "--allow", "format"]);
    lab.ok(["apply", &after, "--allow", "remap", "--confirm-within", "1h"]);
    let guard = confirm::pid(&lab);
    assert_eq!(count(u32::try_from(guard.as_raw()).unwrap(), KEY), 0);
    kill(guard, Signal::SIGTERM).unwrap();
    assert_eq!(confirm::ends(&lab).unwrap()["phase"], "put-back");
}

/// The words of a command, with this text in place of `TEXT`; without it on standard input.
const GIVEN: [(&[&str], &str); 5] = [
    (&["import-concise", "TEXT"], "c,,,rw,0 2048 crypt aes-xts-plain64 KEY 0 8:0 0"),
    (&["import-concise"], "c,,,rw,0 2048 crypt aes-xts-plain64 KEY 0 8:0 0"),
    (&["create", "c", "--table", "TEXT"], "0 2048 crypt aes-xts-plain64 KEY 0 8:0 0"),
    (&["create", "c", "--table=TEXT", "-vv"], "0 2048 crypt aes-xts-plain64 KEY 0 8:0 0"),
    (&["reload", "c"], "0 2048 crypt aes-xts-plain64 KEY 0 8:0 0"),
];

#[test]
fn a_key_on_the_command_line_is_seen_for_a_moment_and_kept_nowhere() {
    for (words, text) in GIVEN {
        let lab = Lab::new();
        let text = text.replace("KEY", KEY);
        let words: Vec<String> = words.iter().map(|word| word.replace("TEXT", &text)).collect();
        // It waits for the lock with its table, or for its reader without one.
        let held = Lock::acquire(&lab.lock(), Duration::ZERO, "this test").unwrap();
        let (reader, writer) = pipe_with_full(2);
        let mut command = lab.command(&words);
        command.arg("--lock-timeout=1h").stdout(writer).stderr(Stdio::null());
        command.stdin(File::open(lab.write("text", &text)).unwrap());
        let mut process = Running(command.spawn().unwrap());
        let pid = process.0.id();
        let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        until("the wait", || state().contains(") S "));
        let typed = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        let typed = String::from_utf8(typed).unwrap();
        assert!(!typed.contains(&KEY[..16]), "{typed}");
        assert!(typed.contains(&words[0]) && typed.contains("\0--lock-timeout=1h\0"), "{typed}");
        if can_look() {
            let needed = usize::from(words[0] != "import-concise");
            until("the last copy", || count(pid, KEY) <= needed);
        }
        drop((held, reader));
        process.0.wait().unwrap();
    }
}

/// Writes bytes as hex.
fn hex(bytes: &[u8]) -> String {
    let digit = |number: u8| char::from_digit(number.into(), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[test]
fn no_other_process_of_the_user_reads_the_memory() {
    let lab = Lab::new();
    let map = lab.write("map.toml", "format = 1\n");
    let mut watch = lab.command(["watch", &map]);
    let watch = Running(watch.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let path = format!("/proc/{}", watch.0.id());
    let limits = || fs::read_to_string(format!("{path}/limits")).unwrap_or_default();
    let core = || limits().lines().find(|line| line.starts_with("Max core file size")).map(str::to_string);
    let none = |line: String| line.split_whitespace().skip(4).take(2).all(|word| word == "0");
    until("the limit", || core().is_some_and(none));
    // What is not dumpable belongs to root (proc(5)), and is read by none but a process with CAP_SYS_PTRACE.
    if !nix::unistd::geteuid().is_root() {
        until("the end of reading", || File::open(format!("{path}/mem")).is_err());
    }
}
