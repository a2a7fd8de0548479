//! How many system calls a run takes, counted as strace(1) counts them.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{fs, thread};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// The most calls that one more file of a folder may take: it is opened, looked at, read to its end and closed, and a build
/// with debug assertions checks the descriptor.
const A_FILE: usize = 6;

/// The files beside those of the smaller folder.
const MORE: usize = 200;

/// Counts the system calls of `dmctl validate FOLDER`, and those of the shell that starts it. `None` where the system does
/// not let one process trace another.
fn calls(folder: &Path) -> Option<usize> {
    let mut started = Command::new("sh")
        .args(["-c", "read go; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_dmctl"), "validate"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let process = Pid::from_raw(started.id().cast_signed());
    let mut go = started.stdin.take().unwrap();
    let options = Options::PTRACE_O_TRACESYSGOOD.union(Options::PTRACE_O_EXITKILL);
    if ptrace::seize(process, options) == Err(Errno::EPERM) {
        drop(go);
        started.wait().unwrap();
        return None;
    }
    ptrace::interrupt(process).unwrap();
    waitpid(process, None).unwrap();
    ptrace::syscall(process, None).unwrap();
    go.write_all(b"\n").unwrap();
    let mut stops = 0;
    let code = loop {
        let signal = match waitpid(process, None).unwrap() {
            WaitStatus::Exited(_, code) => break code,
            WaitStatus::PtraceSyscall(_) => {
                stops += 1;
                None
            }
            WaitStatus::Stopped(_, signal) => Some(signal),
            WaitStatus::PtraceEvent(..) => None,
            other => panic!("{other:?}"),
        };
        ptrace::syscall(process, signal).unwrap();
    };
    // Its end was waited for above, so there is not another one.
    let _ = started.wait();
    assert_eq!(code, 0);
    // A call stops it twice: when it begins and when it ends.
    Some(stops / 2)
}

fn fill(folder: &Path, files: usize) {
    for file in 0..files {
        let path = folder.join(format!("{file}.toml"));
        let map =
            format!("format = 1\n[mappings.m{file}]\ntargets = [{{ type = \"zero\", length = 2048 }}]\n");
        fs::write(&path, map).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
}

#[test]
fn each_map_of_a_folder_is_opened_once_and_looked_at_once() {
    let count = |files: usize| {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), files);
        // Threads that wait for one another take calls as well, on a busy machine more of them: the fewest of some runs count.
        let run = || {
            let path = folder.path().to_path_buf();
            // The thread that traces a process is the one that must go on doing so.
            thread::spawn(move || calls(&path)).join().unwrap()
        };
        (0..3).filter_map(|_| run()).min()
    };
    let (Some(few), Some(many)) = (count(10), count(10 + MORE)) else { return };
    // Memory and the list of the folder take some calls more.
    assert!(many - few <= MORE * A_FILE + 40, "{few} calls, and {many} with {MORE} files more");
}
