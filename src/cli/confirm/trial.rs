//! The begin of a trial, in the daemon: what has to be done between the plan and the first change.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::confirm::PendingApply;
use crate::plan::Plan;

use super::reporter::Reporter;
use super::wait::RemovalWatch;
use super::within;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::report::Report;
use crate::cli::signals;

/// How long the process in front may leave the pipe to it full.
const PATIENCE: Duration = Duration::from_secs(1);

/// An apply on trial, that may have begun.
pub(crate) struct Trial {
    pub(super) pending: Option<PendingApply>,
    /// What ends the wait: the end of the record, and a signal, which makes the stream readable.
    pub(super) ends: Option<(RemovalWatch, UnixStream)>,
    pub(super) reporter: Reporter,
}

impl Trial {
    pub(super) fn new(reporter: Reporter) -> Self {
        Self { pending: None, ends: None, reporter }
    }

    /// Lets the end of the process in front end this one, too (`PR_SET_PDEATHSIG`, prctl(2)): a map may be read that never
    /// comes. Where that can't be asked for, a signal ends the wait.
    pub(super) fn end_with_parent() {
        let _ = set_parent_process_death_signal(Some(Signal::TERM));
    }

    /// Lets this process go on, whatever becomes of the one in front: what is asked for is read.
    pub(crate) fn outlive_parent() {
        let _ = set_parent_process_death_signal(None);
    }

    /// Begins, before anything is changed: writes the record, and leaves the terminal: what
    /// `report` prints from now on waits for no reader.
    pub(crate) fn begin(
        &mut self,
        context: &Context,
        plan: &Plan,
        report: &mut Report,
    ) -> Result<(), Failure> {
        // A signal since the lock was taken has set the flag at which the apply stops before its first change.
        let failed = |error| Failure::new(Exit::Error, error);
        self.ends = Some((RemovalWatch::new().map_err(failed)?, signals::wake().map_err(failed)?));
        self.pending = Some(within::begin(context, plan)?);
        report.limit(PATIENCE);
        self.reporter.leave_terminal().map_err(|error| Failure::new(Exit::Error, error))
    }
}
