//! What was typed: the verbs, and the options that all of them share.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::parse_duration;
use clap::{ArgAction, Args as _, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;

use super::{
    apply, completions, confirm, create, deactivate, export, graph, import_concise, info, list, man, plan,
    reload, remove, rename, repair, resume, schema, show, simulate, stacks, status, suspend, table, targets,
    units, validate, watch,
};

/// Keeps the Device Mapper devices of a Linux host equal to a TOML file
#[derive(Debug, Parser)]
#[command(name = "dmctl", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

impl Args {
    /// What these words mean, or why they mean nothing.
    ///
    /// To build what all verbs take is more work than most of them do. A first word that is a verb is enough, unless
    /// there is something to be said: then everything is built, so that it is said about the whole.
    pub fn of(words: &[OsString]) -> Result<Self, clap::Error> {
        Self::of_one_verb(words).map_or_else(|| Self::of_any(words), Ok)
    }

    fn of_one_verb(words: &[OsString]) -> Option<Self> {
        let verbs = Verb::augment_subcommands(Command::new(""));
        let verb = verbs.find_subcommand(words.get(1)?)?.clone();
        let command = Global::augment_args(Command::new("")).subcommand(verb);
        Self::from_arg_matches(&command.try_get_matches_from(words).ok()?).ok()
    }

    fn of_any(words: &[OsString]) -> Result<Self, clap::Error> {
        let mut command = Self::whole();
        let mut matches = command.try_get_matches_from_mut(words)?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    }

    /// The command with all that its verbs take.
    pub fn whole() -> Command {
        let mut command = Self::command();
        command.build();
        command
    }
}

/// Every verb, with its options. Those of a verb are built when they are needed.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    Validate(validate::Args),
    Plan(plan::Args),
    Show(show::Args),
    Apply(apply::Args),
    Deactivate(deactivate::Args),
    Confirm(confirm::Args),
    Watch(watch::Args),
    Status(status::Args),
    Repair(repair::Args),
    Export(export::Args),
    ImportConcise(import_concise::Args),
    Graph(graph::Args),
    List(list::Args),
    Info(info::Args),
    Table(table::Args),
    Targets(targets::Args),
    Create(create::Args),
    Reload(reload::Args),
    Rename(rename::Args),
    Remove(remove::Args),
    Suspend(suspend::Args),
    Resume(resume::Args),
    Stacks(stacks::Args),
    Units(units::Args),
    Simulate(simulate::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// The options that every verb takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The kernel to act on: `live`, the running one, or the file of a simulated one
    #[arg(long, global = true, value_name = "live|STATE.json", default_value = "live")]
    pub kernel: PathBuf,

    /// Whether to work with udev where it runs, or to keep device nodes without it
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub udev: Udev,

    /// How long to wait for udev; after that there is a warning
    #[arg(long, global = true, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub udev_timeout: Duration,

    /// How long to wait for another dmctl to finish
    #[arg(long, global = true, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    pub lock_timeout: Duration,

    /// What to log to standard error
    #[arg(long, global = true, value_name = "LEVEL", conflicts_with = "verbose")]
    pub log_level: Option<LogLevel>,

    /// Log more: what was done (-v), how (-vv), everything (-vvv)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,

    /// Whether to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

impl Global {
    /// What is logged: warnings, unless more or less was asked for.
    pub fn log_level(&self) -> LevelFilter {
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
pub enum Udev {
    /// Where it runs, wait for it; elsewhere keep the nodes below /dev/mapper
    Auto,
    /// Keep the nodes below /dev/mapper, and wait for nobody
    Off,
}

impl From<Udev> for crate::kernel::live::Udev {
    fn from(udev: Udev) -> Self {
        match udev {
            Udev::Auto => Self::Auto,
            Udev::Off => Self::Off,
        }
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
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
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    Always,
    Never,
}

impl Color {
    /// Makes it so for everything this process prints.
    pub fn choose(self) {
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
pub struct Consent {
    /// Do it even if the uuid marks the device as another subsystem's (LVM, cryptsetup, ...)
    #[arg(long)]
    foreign: bool,
}

impl From<&Consent> for crate::ops::Foreign {
    fn from(consent: &Consent) -> Self {
        if consent.foreign { Self::Allow } else { Self::Refuse }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    fn words(typed: &str) -> Vec<OsString> {
        typed.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn a_verb_means_by_itself_what_it_means_among_all() {
        let typed = [
            "dmctl apply map.toml --allow remap --jobs 3 -vv --kernel state.json",
            "dmctl plan a b --json --udev off",
            "dmctl repair --color never",
            "dmctl man somewhere",
        ];
        for words in typed.map(words) {
            let alone = format!("{:?}", Args::of_one_verb(&words).unwrap());
            assert_eq!(alone, format!("{:?}", Args::of_any(&words).unwrap()));
        }
    }

    #[test]
    fn what_is_said_is_said_about_the_whole() {
        for typed in [
            "dmctl",
            "dmctl --help",
            "dmctl aply",
            "dmctl apply",
            "dmctl apply --help",
            "dmctl info --jobs 3",
        ] {
            let says = Args::of(&words(typed)).unwrap_err().to_string();
            assert_eq!(says, Args::whole().try_get_matches_from(words(typed)).unwrap_err().to_string());
            assert!(says.contains("Usage: dmctl"), "{says}");
        }
    }

    #[test]
    fn every_verb_shows_an_example() {
        for verb in Args::whole().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("dmctl {}", verb.get_name())), "{}: {help}", verb.get_name());
        }
    }
}
