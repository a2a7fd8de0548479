//! The command line.
//!
//! A run has three stages. `args` parses the arguments; the file of a verb has its options, and carries it out by
//! calls of the library; `context` gives it the kernel to read or to change. The errors of the library get an exit
//! code and hints in `failure`.
//!
//! Standard output carries data and nothing else. To add a verb, write its file and name it in `args::Verb`.

mod args;
mod clear;
mod complete;
mod context;
mod drawing;
mod exit;
mod failure;
mod global;
mod host;
mod logging;
mod map;
mod note;
mod output;
mod report;
mod rows;
mod selection;
mod stderr;
mod stdout;
mod taken;

mod apply;
mod completions;
mod confirm;
mod create;
mod deactivate;
mod export;
mod graph;
mod health;
mod import_concise;
mod info;
mod list;
mod man;
mod message;
mod metrics;
mod plan;
mod progress;
mod reload;
mod remove;
mod rename;
mod repair;
mod resume;
mod schema;
mod show;
mod signals;
mod simulate;
mod stacks;
mod status;
mod suspend;
mod table;
mod targets;
mod units;
mod usage;
mod validate;
mod volumes;
mod wait;
mod waiting;
mod watch;

use std::env;
use std::ffi::OsString;
use std::path::Path;

use args::{Args, Verb};
use clap::CommandFactory as _;
use context::Context;
use exit::Exit;
use failure::Failure;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Runs dmctl with the arguments of this process.
pub fn main() -> Exit {
    // While the memory of this process can be opened: a process without a core can't, unless it is root's.
    let mut words = words();
    let taken = taken::take(&mut words);
    leave_no_core();
    // Where it can't be caught, a file that grows too large ends this process, as it ends others.
    let _ = signals::outlive_full_files();
    complete::answer(Args::command);
    let args = match Args::of(&words) {
        Ok(args) => args.with(taken),
        Err(error) => return usage::unparsed(error),
    };
    args.global.color.choose();
    logging::start(args.global.log_level());
    let context = Context::new(&args.global);
    run(&context, args.verb).unwrap_or_else(|failure| {
        failure.report();
        if is_generator(&words) {
            units::write_kernel_log(&failure);
        }
        failure.exit()
    })
}

/// Prevents a core dump, which would hold the keys that were read, and that another process of the same user reads this
/// memory (`PR_SET_DUMPABLE`, ptrace(2)). A core that goes to a program is not limited: only the second prevents that one.
fn leave_no_core() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Whether systemd runs this process, with these words, as a generator.
fn is_generator(words: &[OsString]) -> bool {
    let name = words.first().and_then(|word| Path::new(word).file_name());
    name.is_some_and(|name| name == "dmctl-generator")
}

/// Returns the words of the command line. systemd gives a generator folders and nothing else.
fn words() -> Vec<OsString> {
    let mut words: Vec<OsString> = env::args_os().collect();
    if is_generator(&words) {
        words.insert(1, "units".into());
    }
    words
}

fn run(context: &Context, verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Validate(args) => validate::run(context, &args),
        Verb::Plan(args) => plan::run(context, &args),
        Verb::Show(args) => show::run(context, &args),
        Verb::Apply(args) => apply::run(context, &args),
        Verb::Deactivate(args) => deactivate::run(context, &args),
        Verb::Confirm(args) => confirm::run(context, &args),
        Verb::Watch(args) => watch::run(context, &args),
        Verb::Status(args) => status::run(context, &args),
        Verb::Repair(args) => repair::run(context, &args),
        Verb::Export(args) => export::run(context, &args),
        Verb::ImportConcise(args) => import_concise::run(context, args),
        Verb::Graph(args) => graph::run(context, &args),
        Verb::Health(args) => health::run(context, &args),
        Verb::Wait(args) => wait::run(context, &args),
        Verb::Message(args) => message::run(context, args),
        Verb::Metrics(args) => metrics::run(context, &args),
        Verb::Volumes(args) => volumes::run(context, &args),
        Verb::List(args) => list::run(context, &args),
        Verb::Info(args) => info::run(context, &args),
        Verb::Table(args) => table::run(context, &args),
        Verb::Targets(args) => targets::run(context, &args),
        Verb::Create(args) => create::run(context, args),
        Verb::Reload(args) => reload::run(context, args),
        Verb::Rename(args) => rename::run(context, &args),
        Verb::Remove(args) => remove::run(context, &args),
        Verb::Suspend(args) => suspend::run(context, &args),
        Verb::Resume(args) => resume::run(context, &args),
        Verb::Clear(args) => clear::run(context, &args),
        Verb::Stacks(args) => stacks::run(&args),
        Verb::Units(args) => units::run(&args),
        Verb::Simulate(args) => simulate::run(&args),
        Verb::Schema(args) => schema::run(&args),
        Verb::Completions(args) => completions::run(&args),
        Verb::Man(args) => man::run(&args, &Args::whole()),
    }
}
