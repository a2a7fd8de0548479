//! The arguments: a verb with its own options, and those of [`Global`].
//!
//! No file of a verb imports this one: it imports every verb, and each would be on a circle.

use std::ffi::OsString;

use clap::{Args as _, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::global::Global;
use super::taken::Taken;
use super::{
    apply, clear, completions, confirm, create, deactivate, export, graph, health, import_concise, info,
    list, man, message, metrics, plan, reload, remove, rename, repair, resume, schema, show, simulate,
    stacks, status, suspend, table, targets, units, validate, volumes, wait, watch,
};

/// Keeps the Device Mapper devices of a Linux host equal to a TOML file
#[derive(Debug, Parser)]
#[command(name = "dmctl", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

impl Args {
    /// Parses the words of a command line.
    ///
    /// To build the options of all verbs is more work than most verbs do. When the first word is a verb, that one is
    /// enough. On an error, and for help, all are built, so that the text is about the whole command.
    pub(crate) fn of(words: &[OsString]) -> Result<Self, clap::Error> {
        Self::of_one_verb(words).map_or_else(|| Self::of_any(words), Ok)
    }

    /// Puts back the word that was taken out of the command line.
    pub(crate) fn with(mut self, taken: Option<Taken>) -> Self {
        match (&mut self.verb, taken) {
            (Verb::Create(args), Some(Taken::Table(text))) => args.rows.put(text),
            (Verb::Reload(args), Some(Taken::Table(text))) => args.rows.put(text),
            (Verb::ImportConcise(args), Some(Taken::Concise(text))) => args.put(text),
            _ => {}
        }
        self
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

    /// Builds the command with the options of all verbs.
    pub(crate) fn whole() -> Command {
        let mut command = Self::command();
        command.build();
        command
    }
}

/// Every verb, with its options, which are built when they are needed.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Verb {
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
    Health(health::Args),
    Wait(wait::Args),
    Message(message::Args),
    Metrics(metrics::Args),
    Volumes(volumes::Args),
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
    Clear(clear::Args),
    Stacks(stacks::Args),
    Units(units::Args),
    Simulate(simulate::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
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
            let text = Args::of(&words(typed)).unwrap_err().to_string();
            assert_eq!(text, Args::whole().try_get_matches_from(words(typed)).unwrap_err().to_string());
            assert!(text.contains("Usage: dmctl"), "{text}");
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
