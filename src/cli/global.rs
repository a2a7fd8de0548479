//! The options of every verb, and the one of every verb that changes a device.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::parse_duration;
use crate::kernel::live;
use crate::ops::Foreign;
use clap::{ArgAction, ValueEnum};
use tracing::level_filters::LevelFilter;

/// The options that every verb takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The kernel to act on: `live`, the running one, or the file of a simulated one
    #[arg(long, global = true, value_name = "live|STATE.json", default_value = "live")]
    pub(crate) kernel: PathBuf,

    /// Whether to work with udev where it runs, or to keep device nodes without it
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) udev: Udev,

    /// How long to wait for udev; after that there is a warning
    #[arg(long, global = true, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub(crate) udev_timeout: Duration,

    /// How long to wait for another dmctl to finish
    #[arg(long, global = true, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    pub(crate) lock_timeout: Duration,

    /// The folder of the lock while the running kernel is changed, and of the record of an apply on trial; without this
    /// /run, or /dev where /run can't be written
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(crate) lock_dir: Option<PathBuf>,

    /// What to log to standard error
    #[arg(long, global = true, value_name = "LEVEL", conflicts_with = "verbose")]
    pub(crate) log_level: Option<LogLevel>,

    /// Log more: what was done (-v), how (-vv), everything (-vvv)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Whether to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

impl Global {
    /// Returns the level of the log: warnings without an option.
    pub(crate) fn log_level(&self) -> LevelFilter {
        match (self.log_level, self.verbose) {
            (Some(level), _) => level.into(),
            (None, 0) => LevelFilter::WARN,
            (None, 1) => LevelFilter::INFO,
            (None, 2) => LevelFilter::DEBUG,
            (None, _) => LevelFilter::TRACE,
        }
    }
}

/// What to do about udev.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Udev {
    /// Where it runs, wait for it; otherwise keep the nodes below /dev/mapper
    Auto,
    /// Keep the nodes below /dev/mapper, and don't wait
    Off,
}

impl From<Udev> for live::Udev {
    fn from(udev: Udev) -> Self {
        match udev {
            Udev::Auto => Self::Auto,
            Udev::Off => Self::Off,
        }
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::OFF,
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// When colour is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    Always,
    Never,
}

impl Color {
    /// Sets the choice for everything that this process prints.
    pub(crate) fn choose(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// The option of every verb that changes a device.
#[derive(Debug, clap::Args)]
pub(crate) struct Consent {
    /// Do it even if the uuid marks the device as another subsystem's (LVM, cryptsetup, ...)
    #[arg(long)]
    foreign: bool,
}

impl From<&Consent> for Foreign {
    fn from(consent: &Consent) -> Self {
        if consent.foreign { Self::Allow } else { Self::Refuse }
    }
}
