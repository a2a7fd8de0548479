//! Standard output of a run that changes a kernel.
//!
//! What is about to be changed is shown first; where that can't be written, nothing is changed. From then on output
//! decides nothing: a full disk or a terminal that went away must not leave a change half made, or made for good though it
//! was to be on trial. What can't be written then is remembered, and the end of the run tells it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::anyhow;
use serde::Serialize;

use super::exit::Exit;
use super::failure::Failure;
use super::note::note;
use super::output::{is_unread, json, json_line, unwritable};
use super::stdout::{Wait, write};

/// What a run that changes a kernel prints. Nothing is printed any more after the first text that can't be written: a
/// program that reads lines never reads a line that begins with a part of another.
#[derive(Debug, Default)]
#[must_use = "its end tells whether everything was written"]
pub(crate) struct Report {
    state: State,
    wait: Wait,
}

#[derive(Debug, Default)]
enum State {
    /// Everything was written so far.
    #[default]
    Written,
    /// The reader has gone away: it has read enough.
    Unread,
    Lost(io::Error),
}

impl Report {
    /// Begins a report of which no write waits for a reader once `stop` is set.
    pub(crate) fn new(stop: &Arc<AtomicBool>) -> Self {
        Self { state: State::default(), wait: Wait { stop: Some(Arc::clone(stop)), limit: None } }
    }

    /// Shows what is about to be changed. Fails where that can't be written: nothing may be changed then.
    pub(crate) fn announce(mut self, text: &str) -> Result<Self, Failure> {
        self.tell(text);
        self.permit().map(|()| self)
    }

    /// Shows what is about to be changed as JSON on one line, as [`announce`](Self::announce) does.
    pub(crate) fn announce_event(mut self, event: &impl Serialize) -> Result<Self, Failure> {
        self.event(event);
        self.permit().map(|()| self)
    }

    /// Lets no write wait longer than `limit` from now on.
    pub(crate) fn limit(&mut self, limit: Duration) {
        self.wait.limit = Some(limit);
    }

    /// Prints text.
    pub(crate) fn tell(&mut self, text: &str) {
        self.write(Ok(text.to_string()));
    }

    /// Prints a document as JSON on one line, with its version.
    pub(crate) fn event(&mut self, event: &impl Serialize) {
        self.write(json_line(event));
    }

    /// Prints a document as JSON, with its version.
    pub(crate) fn document(&mut self, data: &impl Serialize) {
        self.write(json(data));
    }

    fn write(&mut self, text: serde_json::Result<String>) {
        if !matches!(self.state, State::Written) {
            return;
        }
        let written = text.map_err(io::Error::from).and_then(|text| write(&text, &self.wait));
        self.state = match written {
            Ok(()) => State::Written,
            Err(error) if is_unread(&error) => State::Unread,
            Err(error) => State::Lost(error),
        };
    }

    /// Whether the reader of standard output has gone away.
    pub(crate) fn is_unread(&self) -> bool {
        matches!(self.state, State::Unread)
    }

    /// Fails where something could not be written, before anything is changed.
    pub(crate) fn permit(&self) -> Result<(), Failure> {
        let State::Lost(error) = &self.state else { return Ok(()) };
        Err(Failure::new(Exit::Error, unwritable(error)))
    }

    /// Ends a run that did all that it should. Fails where that could not be told.
    pub(crate) fn end(&self) -> Result<Exit, Failure> {
        let State::Lost(error) = &self.state else { return Ok(Exit::Done) };
        untold(error).map_or(Ok(Exit::Done), Err)
    }

    /// Ends a run that failed, which decides how it ends. That not everything was printed is told beside it.
    pub(crate) fn fail(self, failure: Failure) -> Failure {
        if let State::Lost(error) = &self.state {
            note(format_args!("warning: {}", unwritable(error)));
        }
        failure
    }
}

/// Describes a run that did all that it should, and could not tell it; `None` where only the reader has gone away.
pub(crate) fn untold(error: &io::Error) -> Option<Failure> {
    let failure = || {
        let error = anyhow!("everything was done, but {}", unwritable(error));
        Failure::new(Exit::Inconsistent, error)
    };
    (!is_unread(error)).then(failure)
}
