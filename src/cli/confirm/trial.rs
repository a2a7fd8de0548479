//! The begin of a trial, in the daemon: what has to be done between the plan and the first change.

use crate::confirm::PendingApply;
use crate::plan::Plan;

use super::reporter::Reporter;
use super::within;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;

/// An apply on trial, that may have begun.
pub(crate) struct Trial {
    pub(super) pending: Option<PendingApply>,
    pub(super) reporter: Reporter,
}

impl Trial {
    pub(super) fn new(reporter: Reporter) -> Self {
        Self { pending: None, reporter }
    }

    /// Begins, before anything is changed: writes the record, and leaves the terminal.
    pub(crate) fn begin(&mut self, context: &Context, plan: &Plan) -> Result<(), Failure> {
        self.pending = Some(within::begin(context, plan)?);
        self.reporter.leave_terminal().map_err(|error| Failure::new(Exit::Error, error))
    }
}
