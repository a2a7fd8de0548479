//! A failed run: the error as the library has it, the exit code, and hints for the person at the keyboard.
//!
//! The library says what is wrong; what to type about it is known only here.

use std::fmt;

use crate::identity::{Name, printable};
use crate::kernel::KernelError;
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
pub struct Failure {
    exit: Exit,
    error: anyhow::Error,
    hints: Vec<String>,
}

impl Failure {
    /// An error with its exit code, and no hint yet.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), hints: Vec::new() }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// How the run ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Tells a person, on standard error. Every error's text names its causes itself.
    pub fn report(&self) {
        note(format_args!("{ERROR}error:{ERROR:#} {}", shown(&self.error.to_string())));
        for hint in &self.hints {
            note(format_args!("{HINT}hint:{HINT:#} {}", shown(hint)));
        }
    }
}

/// Lines whose words may come from anywhere, as a terminal may have them.
fn shown(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

impl fmt::Display for Failure {
    /// The error alone.
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

/// What to type, or to look at, next.
fn hints(error: &OpError) -> Vec<String> {
    match error {
        OpError::Missing { nearest: Some(nearest), .. } => vec![format!("did you mean `{nearest}`?")],
        OpError::Missing { nearest: None, .. } => vec!["`dmctl list` names every device".to_string()],
        OpError::NameTaken { name, .. } => {
            vec![format!("`dmctl info {}` shows it; `dmctl reload` replaces its table", shell(name))]
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
            hints
        }
        _ => Vec::new(),
    }
}

/// A name as it can be typed.
fn shell(name: &Name) -> &str {
    name.kernel()
}

/// What to do about a kernel that lets nobody in.
fn privilege(error: &KernelError) -> Option<String> {
    let denied = match error {
        KernelError::Refused { errno, .. } => matches!(errno, Errno::EPERM | Errno::EACCES),
        KernelError::Io { source, .. } => source.kind() == std::io::ErrorKind::PermissionDenied,
        // The first says by itself what to do about it.
        KernelError::NoControl { .. } | KernelError::State(_) => false,
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
            LockError::Unusable { .. } => Self::new(Exit::Error, error).hint(
                "dmctl must be able to write there while it changes devices: run it as root, or on a simulated kernel whose folder you can write to",
            ),
        }
    }
}
