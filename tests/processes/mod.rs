//! Processes as `/proc` shows them, so that a test need not guess how long one takes.

use std::fs;
use std::path::{Path, PathBuf};

/// The state of a process or thread by its folder, a letter of proc(5): `S` sleeps, `D` waits for I/O, `Z` has ended.
/// `None` for a process that is gone.
pub fn state(folder: &Path) -> Option<char> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // The name before it may hold anything.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether a process is gone, or waits for nothing but its parent.
pub fn has_ended(pid: u32) -> bool {
    matches!(state(&folder(pid)), None | Some('Z'))
}

/// How often each thread of a process went to sleep, and how often it was put to sleep.
pub fn switches(pid: u32) -> Vec<String> {
    let counts = |thread: PathBuf| {
        let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
        let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
        counts.map(str::to_string).collect::<Vec<_>>()
    };
    threads(pid).into_iter().flat_map(counts).collect()
}

/// Whether a process that waits in poll(2) does so until something happens: every thread sleeps, and the first one has no
/// time at which it would wake. `None` where the kernel does not show that, as User-Mode Linux.
pub fn waits_for_ever(pid: u32) -> Option<bool> {
    let call = fs::read_to_string(folder(pid).join("syscall")).ok()?;
    let before = switches(pid);
    let asleep = threads(pid).iter().all(|thread| state(thread) == Some('S'));
    // One thread may have woken another between two reads: then it has run since.
    Some(has_no_timeout(&call)? && asleep && switches(pid) == before && in_same_call(pid, &call))
}

fn in_same_call(pid: u32, call: &str) -> bool {
    fs::read_to_string(folder(pid).join("syscall")).is_ok_and(|now| now == call)
}

/// Whether a call, as a number and arguments, is poll(2) with -1 as its timeout. `None` where calls have other numbers.
fn has_no_timeout(call: &str) -> Option<bool> {
    const POLL: &str = "7";
    // An `int` is the lower half of its argument; -1 has every bit.
    const INT: u64 = 0xffff_ffff;
    let mut words = call.split_whitespace();
    let polls = words.next() == Some(POLL);
    let timeout = words.nth(2).and_then(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
    cfg!(target_arch = "x86_64").then(|| polls && timeout.is_some_and(|timeout| timeout & INT == INT))
}

fn folder(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

fn threads(pid: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(pid).join("task")).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}
