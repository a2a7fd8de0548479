//! A failed run: the error of the library, the exit code, and hints for a person.
//!
//! The library tells the error; only this file knows the commands that help.

use std::fmt;
use std::io::ErrorKind;

use crate::files::word;
use crate::identity::printable;
use crate::kernel::{Call, KernelError};
use crate::lock::LockError;
use crate::ops::OpError;
use anstyle::{AnsiColor, Style};
use nix::errno::Errno;

use super::exit::Exit;
use super::note::note;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// Why a run failed, and how it ends.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: anyhow::Error,
    hints: Vec<String>,
}

impl Failure {
    /// Creates a failure without a hint.
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), hints: Vec::new() }
    }
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Returns the exit code.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Prints the error and the hints on standard error. The text of an error names its causes itself.
    pub(crate) fn report(&self) {
        note(format_args!("{ERROR}error:{ERROR:#} {}", shown(&self.error.to_string())));
        for hint in &self.hints {
            note(format_args!("{HINT}hint:{HINT:#} {}", shown(hint)));
        }
    }
}

/// Escapes what a terminal would act on: the text of an error may come from a file or the kernel.
fn shown(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

impl fmt::Display for Failure {
    /// Writes the error alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl From<OpError> for Failure {
    fn from(error: OpError) -> Self {
        let error = match error {
            OpError::Kernel(error) => return error.into(),
            error => error,
        };
        let hints = hints(&error);
        Self { exit: Exit::from(&error), error: error.into(), hints }
    }
}

/// Hints at the command to try next.
fn hints(error: &OpError) -> Vec<String> {
    match error {
        OpError::Missing { nearest: Some(nearest), .. } => vec![format!("did you mean `{nearest}`?")],
        OpError::Missing { nearest: None, .. } => vec!["`dmctl list` names every device".to_string()],
        OpError::NameTaken { name, .. } => {
            vec![format!("`dmctl info {}` shows it; `dmctl reload` replaces its table", name.word())]
        }
        OpError::Foreign { .. } => {
            vec!["its own tools keep its parts consistent; `--foreign` does it all the same".to_string()]
        }
        OpError::InUse { .. } => {
            vec!["`--deferred` lets it go away as soon as it is closed".to_string()]
        }
        OpError::Refused { cause, advice } => {
            let mut hints: Vec<String> = advice.iter().map(ToString::to_string).collect();
            hints.extend(privilege(cause));
            hints.extend(freeze(cause));
            hints
        }
        _ => Vec::new(),
    }
}

/// Hints at the ways out where a file system can't be frozen (`lock_fs` in `drivers/md/dm.c`).
fn freeze(error: &KernelError) -> Option<String> {
    let KernelError::Refused { call: Call::Suspend, errno: Errno::EIO | Errno::EBUSY, .. } = error else {
        return None;
    };
    Some(
        "the file system on it can't be frozen: thaw it with `fsfreeze --unfreeze`, unmount it if its journal is aborted, or \
         leave the freeze out with `--no-freeze`"
            .to_string(),
    )
}

/// Hints at root where the kernel denies access.
fn privilege(error: &KernelError) -> Option<String> {
    let denied = match error {
        KernelError::Refused { errno, .. } => matches!(errno, Errno::EPERM | Errno::EACCES),
        // The text of the first has its own advice, and a file that can't be read is not the running kernel.
        KernelError::NoControl { .. }
        | KernelError::Io { .. }
        | KernelError::GaveUp { .. }
        | KernelError::State(_) => false,
    };
    denied
        .then(|| "the running kernel needs root; `--kernel STATE.json` works on a simulated one".to_string())
}

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Self {
        let hints = privilege(&error).into_iter().collect();
        Self { exit: Exit::Error, error: error.into(), hints }
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        match &error {
            LockError::Held { .. } => {
                Self::new(Exit::Locked, error).hint("`--lock-timeout 30s` waits that long for it")
            }
            LockError::Unfit { path, .. } => {
                let word = word(path);
                let hint = format!("only dmctl makes that file; `mv -T {word} {word}.old` moves away what is there");
                Self::new(Exit::Error, error).hint(hint)
            }
            LockError::Unusable { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                Self::new(Exit::Error, error).hint(
                    "dmctl must be able to write there while it changes devices: run it as root, or on a simulated kernel whose folder you can write to",
                )
            }
            LockError::Unusable { .. } => Self::new(Exit::Error, error).hint(
                "dmctl must be able to write there while it changes devices: `--lock-dir FOLDER` takes the lock in another folder, which only root should be able to write to",
            ),
        }
    }
}
