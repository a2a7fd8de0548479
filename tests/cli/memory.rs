//! What stays in the memory of a process that read keys. To look into it takes root: no other process may.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use super::lab::{Lab, until};

const KEY: &str = "5ec3e7a1b2c4d6e8f9011a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f";
const MESSAGE: &str = "d00dfeed1a2b3c4d5e6f70818293a4b5";

/// Counts how often a text, or the bytes that it is the hex of, are in the writable memory of a process.
fn count(process: u32, hex: &str) -> usize {
    let raw: Vec<u8> =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut found = 0;
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw")))
    {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|number| u64::from_str_radix(number, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if memory.seek(SeekFrom::Start(from)).is_err() || memory.read_exact(&mut bytes).is_err() {
            continue;
        }
        // The half of a key is one, too.
        for part in [
            &raw[..raw.len() / 2],
            &hex.as_bytes()[..hex.len() / 2],
            &hex.to_uppercase().as_bytes()[..hex.len() / 2],
        ] {
            found += bytes.windows(part.len()).filter(|window| *window == part).count();
        }
    }
    found
}

fn can_look() -> bool {
    nix::unistd::geteuid().is_root() && File::open("/proc/1/mem").is_ok()
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
