//! A folder with a simulated kernel in it, and the binary to run on that.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::waiting;

/// The folder and its kernel.
pub struct Lab {
    folder: TempDir,
}

/// Writes a file as a careful program does: a reader meanwhile finds the old text or the new one, and never half
/// of it.
pub fn save(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    let path = path.as_ref();
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, path).unwrap();
}

/// How a run ended, and what it said.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Lab {
    /// With the disks `/dev/sda` (8:0, 64 MiB) and `/dev/sdb` (8:16, 32 MiB, read-only).
    pub fn new() -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        let state = lab.state();
        let disks = ["--disk", "/dev/sda=64MiB", "--disk", "/dev/sdb=32MiB,ro"];
        let made = dmctl().arg("simulate").arg(&state).args(disks).status().unwrap();
        assert!(made.success());
        lab
    }

    /// With devices of these names too, 8 sectors of `/dev/sda` each.
    pub fn with(names: &[&str]) -> Self {
        let lab = Self::new();
        for name in names {
            lab.ok(["create", name, "--uuid", &format!("uuid-of-{name}"), "--table", "0 8 linear 8:0 0"]);
        }
        lab
    }

    /// The file of the kernel.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state.json")
    }

    /// The lock beside it.
    pub fn lock(&self) -> PathBuf {
        self.folder.path().join("state.json.lock")
    }

    /// Changes the file by hand, as text.
    pub fn edit(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let text = std::fs::read_to_string(self.state()).unwrap();
        let mut state = serde_json::from_str(&text).unwrap();
        change(&mut state);
        save(self.state(), state.to_string());
    }

    /// A file of the folder, as an argument.
    pub fn path(&self, file: &str) -> String {
        self.folder.path().join(file).to_str().unwrap().to_string()
    }

    /// Writes a file into the folder, and gives its path.
    pub fn write(&self, file: &str, text: &str) -> String {
        let path = self.path(file);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The binary with this kernel, not run yet.
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = dmctl();
        command.arg("--kernel").arg(self.state()).args(args).stdin(Stdio::null());
        command
    }

    /// Runs it.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ended {
        ended(&mut self.command(args))
    }

    /// Runs it with this on standard input.
    pub fn run_with<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>, stdin: &[u8]) -> Ended {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that ends without reading it all is fine.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        finish(child)
    }

    /// Runs what must work, and gives what it printed.
    pub fn ok<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.stdout
    }

    /// Runs what must end with `code`, and gives what it said about that.
    pub fn fails<A: AsRef<OsStr>>(&self, code: i32, args: impl IntoIterator<Item = A>) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(ended.stderr.starts_with("error: "), "{ended:?}");
        ended.stderr
    }

    /// Runs a reading verb that must work, and gives its document.
    pub fn json<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> serde_json::Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    /// The value of a field of `info`.
    pub fn field(&self, name: &str, field: &str) -> String {
        let info = self.ok(["info", name]);
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("{field}: ")));
        line.unwrap_or_else(|| panic!("no {field} in {info}")).to_string()
    }

    /// Whether a file is in the folder.
    pub fn has(&self, file: &str) -> bool {
        Path::exists(&self.folder.path().join(file))
    }
}

/// The binary, away from what this environment says about colours.
pub fn dmctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dmctl"));
    command.env_remove("NO_COLOR").env_remove("CLICOLOR").env_remove("CLICOLOR_FORCE");
    command
}

/// Runs a command to its end.
pub fn ended(command: &mut Command) -> Ended {
    finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

/// Waits until `is_so` holds, which must be in time.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let Ok(came) = waiting::until(|| Ok::<_, Infallible>(is_so()));
    assert!(came, "{what} takes too long");
}

/// Waits for the end of a process.
pub fn finish(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
