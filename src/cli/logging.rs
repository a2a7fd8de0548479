//! Logs to standard error, or to the journal where standard error goes there.

use std::env;
use std::io;
use std::os::fd::AsFd;

use anstream::{AutoStream, ColorChoice};
use nix::sys::stat::fstat;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt;

use super::stderr::Stderr;

/// The prefix of dmctl's own fields in the journal.
const PREFIX: &str = "DMCTL";

/// Starts to log the events of the library, from `level` on.
pub(crate) fn start(level: LevelFilter) {
    if is_journal()
        && let Ok(journal) = tracing_journald::layer()
    {
        let journal = journal.with_field_prefix(Some(PREFIX.to_string()));
        registry().with(level).with(journal.with_syslog_identifier("dmctl".to_string())).init();
        return;
    }
    let color = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
    tracing_subscriber::fmt()
        .with_writer(|| Stderr)
        .with_max_level(level)
        .with_ansi(color)
        .with_target(false)
        .without_time()
        // An apply goes on when its log can't be written.
        .log_internal_errors(false)
        .init();
}

/// Whether standard error goes to the journal: its device and inode are those in `JOURNAL_STREAM`
/// (systemd.exec(5)).
pub(crate) fn is_journal() -> bool {
    let stream = env::var("JOURNAL_STREAM").ok();
    let own = fstat(io::stderr().as_fd()).ok();
    stream.zip(own).is_some_and(|(stream, own)| stream == format!("{}:{}", own.st_dev, own.st_ino))
}
