//! The begin of a trial, in the daemon: what has to be done between the plan and the first change.

use std::time::Duration;

use crate::confirm::PendingApply;
use crate::plan::Plan;

use super::reporter::Reporter;
use super::within;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::report::Report;

/// How long the process in front may leave the pipe to it full.
const PATIENCE: Duration = Duration::from_secs(1);

/// An apply on trial, that may have begun.
pub(crate) struct Trial {
    pub(super) pending: Option<PendingApply>,
    pub(super) reporter: Reporter,
}

impl Trial {
    pub(super) fn new(reporter: Reporter) -> Self {
        Self { pending: None, reporter }
    }

    /// Begins, before anything is changed: writes the record, and leaves the terminal: what
    /// `report` prints from now on waits for no reader.
    pub(crate) fn begin(
        &mut self,
        context: &Context,
        plan: &Plan,
        report: &mut Report,
    ) -> Result<(), Failure> {
        self.pending = Some(within::begin(context, plan)?);
        report.limit(PATIENCE);
        self.reporter.leave_terminal().map_err(|error| Failure::new(Exit::Error, error))
    }
}
