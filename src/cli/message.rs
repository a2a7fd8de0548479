//! `dmctl message`: sends a message to a target.

use crate::health;
use crate::identity::{Name, printable};
use crate::kernel::{Id, ReadKernel};
use crate::ops::{self, MessageError, Order};
use crate::policy::Class;
use crate::secret::Secret;
use crate::targets::Health;
use serde::Serialize;

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::global::Consent;
use super::note::note;
use super::output::Output;
use super::report::Report;
use super::rows;

/// Send a message to a target, and print its answer; what loses data needs --allow
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl message worn addbadblock 60\n  dmctl message worn listbadblocks\n  dmctl message fast migration_threshold 4096\n  dmctl message pool delete 3 --allow loss"
)]
pub(crate) struct Args {
    /// The device: its name, a path of it, or its number
    #[arg(add = complete::names())]
    name: String,
    /// The message, in one word or several; `-` reads it from standard input: give one with a key there
    #[arg(value_name = "WORD", required = true, add = complete::messages())]
    words: Vec<String>,
    /// A sector of the target that is meant, in a table of several rows
    #[arg(long, value_name = "SECTOR", default_value_t = 0)]
    sector: u64,
    /// Also allow messages of these risk classes: remap, loss
    #[arg(long = "allow", value_name = "CLASS,..", value_delimiter = ',', add = complete::classes())]
    allow: Vec<Class>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

/// The document.
#[derive(Serialize)]
struct Answer {
    name: Name,
    sector: u64,
    /// What the target answered; null where it gave no answer.
    answer: Option<String>,
    /// How the device fares afterwards; null where its targets have no state.
    health: Option<Health>,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let text = match args.words.as_slice() {
        [only] if only == "-" => rows::text_of_stdin("message")?,
        words => Secret::new(words.join(" ")),
    };
    let (sector, allow) = (args.sector, args.allow);
    let mut answered = None;
    context.changing_device("message", &args.name, |kernel, name| {
        let foreign = (&args.consent).into();
        let answer = ops::message(kernel, name, &Order { sector, text, allow: &allow, foreign })?;
        answered = Some(Answer { name: name.clone(), sector, answer, health: after(kernel, name) });
        Ok(())
    })?;
    let Some(answered) = answered else { return Ok(Exit::Done) };
    let mut report = Report::new(context.stopping());
    if args.output.is_json() {
        report.document(&answered);
    } else {
        report.tell(&text_of(answered.answer.as_deref()));
    }
    // The kernel answers 0 even where it could not keep what it was told (`(void) commit` in `drivers/md/dm-thin.c`).
    if answered.health == Some(Health::Failed) {
        note(format_args!(
            "`{0}` is failed, and may not have kept it: `dmctl health {0}` tells why",
            answered.name.word()
        ));
        return report.end().map(|_| Exit::Unwell);
    }
    report.end()
}

/// Reads how the device fares now, where its targets have a state.
fn after(kernel: &dyn ReadKernel, name: &Name) -> Option<Health> {
    let device = health::read(kernel, &Id::Name(name.clone())).ok().flatten()?;
    device.rows.iter().any(|row| row.text.is_some()).then(|| device.health())
}

/// Writes an answer, a line a line.
fn text_of(answer: Option<&str>) -> String {
    let mut text = String::new();
    for line in answer.into_iter().flat_map(str::lines) {
        text.push_str(&printable(line));
        text.push('\n');
    }
    text
}

impl From<MessageError> for Failure {
    fn from(error: MessageError) -> Self {
        let (exit, hint) = match error {
            MessageError::Op(error) => return error.into(),
            MessageError::Refused { cause } => {
                return ops::OpError::Refused { cause, advice: Vec::new() }.into();
            }
            MessageError::NotAllowed { class, .. } => {
                (Exit::Refused, Some(format!("`--allow {class}` sends it all the same")))
            }
            MessageError::Never { .. } => (Exit::Refused, None),
            MessageError::Suspended { ref name, .. } | MessageError::NoTable(ref name) => {
                (Exit::Error, Some(format!("`dmctl info {}` shows it", name.word())))
            }
            MessageError::VolumeInUse { ref device, .. } => {
                let word = device.word();
                (
                    Exit::Refused,
                    Some(format!("`dmctl suspend {word}` first, and `dmctl resume {word}` after it")),
                )
            }
            MessageError::Outside { .. } => {
                (Exit::Error, Some("`--sector` names a sector of the target's row".to_string()))
            }
            _ => (Exit::Error, None),
        };
        let failure = Self::new(exit, error);
        hint.into_iter().fold(failure, Self::hint)
    }
}
