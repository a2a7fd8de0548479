//! What dmctl says about its work, on standard error.

use std::io;

use anstream::{AutoStream, ColorChoice};
use tracing::level_filters::LevelFilter;

/// Logs what the library tells from this level on.
pub fn start(level: LevelFilter) {
    let color = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(level)
        .with_ansi(color)
        .with_target(false)
        .without_time()
        // A log that can't be written is no reason to fail.
        .log_internal_errors(false)
        .init();
}
