//! Reports what a watch does: text for a person, an event a line for a program, and a log for the journal.
//!
//! A comparison that shows nothing new is not reported.

use std::collections::BTreeSet;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::plan::Step;
use crate::plan::document::Document;
use crate::render::Heading;
use crate::render::watch_events::{WatchEvent, WrittenFile};
use crate::watch::Cause;

use super::hold::Hold;
use crate::cli::drawing;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::logging;
use crate::cli::note::note;
use crate::cli::output::Output;
use crate::cli::progress;
use crate::cli::report::Report;

/// What a comparison showed.
pub(super) enum Observation {
    /// The kernel is as the map wants it.
    InSync {
        /// The number of mappings.
        mappings: usize,
    },
    /// The kernel differs from the map.
    Differs {
        /// The plan that would make them equal.
        plan: Box<Document>,
        /// Why it is not applied, where it should be.
        refusal: Option<Failure>,
        /// The steps that take something away, in two words each.
        takes_away: Vec<String>,
    },
    /// The map or the kernel can't be read.
    Unclear { failure: Failure },
}

/// A comparison of a map with the kernel.
pub(super) struct Comparison<'a> {
    pub(super) causes: &'a BTreeSet<Cause>,
    /// The digest of the map: another one is another map.
    pub(super) digest: [u8; 32],
    /// The errors and warnings of the map, drawn.
    pub(super) messages: &'a [String],
    pub(super) observation: &'a Observation,
    /// Why nothing is applied any more, when that is so.
    pub(super) held: Option<&'a str>,
}

/// Reports, and remembers what it reported, to repeat nothing.
pub(super) struct Reporter {
    json: bool,
    /// The digest of the map and the result of the last comparison.
    compared: Option<([u8; 32], String)>,
    /// The digest and the messages of the last map.
    messages: Option<([u8; 32], Vec<String>)>,
    /// The last plan, as JSON.
    plan: Option<String>,
    /// Whether it was reported that another dmctl holds the lock.
    locked: bool,
    /// Whether it was reported that nothing is applied any more.
    held: bool,
    /// What was reported to be waited for, with the steps that wait.
    waiting: Option<(Hold, Vec<String>)>,
    output: Report,
    /// Whether this watch changed something.
    changed: bool,
    status: String,
}

impl Reporter {
    /// Creates a reporter for a program or a person, by the options in `output`. No write waits for a reader once
    /// `stop` is set.
    pub(super) fn new(output: &Output, stop: &Arc<AtomicBool>) -> Self {
        Self {
            json: output.is_json(),
            compared: None,
            messages: None,
            plan: None,
            locked: false,
            held: false,
            waiting: None,
            output: Report::new(stop),
            changed: false,
            status: String::new(),
        }
    }

    /// Returns the state of the map and the kernel, in a line.
    pub(super) fn status(&self) -> &str {
        &self.status
    }

    /// Reports a comparison, if it shows something new.
    pub(super) fn compared(&mut self, comparison: &Comparison<'_>) {
        let Comparison { causes, digest, messages, observation, held } = *comparison;
        let summary = summary(observation);
        self.status =
            held.map_or_else(|| summary.clone(), |why| format!("stopped applying: {why}; {summary}"));
        let plan =
            if let Observation::Differs { plan, .. } = observation { Some(as_json(plan)) } else { None };
        let compared = Some((digest, format!("{messages:?} {summary} {plan:?}")));
        if compared != self.compared || causes.contains(&Cause::Asked) {
            self.compared = compared;
            self.plan = plan;
            self.locked = false;
            tracing::info!(status = %self.status, "{}", self.status);
            self.text(|| cause_line(causes));
            self.messages(comparison);
            self.observation(comparison);
        }
        match held {
            Some(why) if matches!(observation, Observation::Differs { .. }) => self.held(why),
            Some(_) => {}
            None => self.held = false,
        }
    }

    /// Reports the errors and warnings of a map, once for each map.
    fn messages(&mut self, comparison: &Comparison<'_>) {
        let messages = Some((comparison.digest, comparison.messages.to_vec()));
        if messages != self.messages || comparison.causes.contains(&Cause::Asked) {
            for line in comparison.messages {
                warn(line);
            }
            self.messages = messages;
        }
    }

    fn observation(&mut self, comparison: &Comparison<'_>) {
        let causes = comparison.causes;
        match comparison.observation {
            Observation::InSync { mappings } => {
                self.event(&WatchEvent::InSync { causes, mappings: *mappings });
                self.text(|| format!("{}.\n", capitalized(&summary(comparison.observation))));
            }
            Observation::Unclear { failure } => {
                report(failure);
                let details = comparison.messages.iter().map(|message| without_colour(message)).collect();
                self.event(&WatchEvent::Unclear { causes, error: failure.to_string(), details });
            }
            Observation::Differs { plan, refusal, .. } => {
                self.event(&WatchEvent::Plan { causes, plan });
                self.text(|| drawing::text(plan, &Heading::default()));
                let Some(failure) = refusal else { return };
                report(failure);
                self.event(&WatchEvent::Refused { error: failure.to_string() });
            }
        }
    }

    /// Reports once that nothing is applied any more.
    pub(super) fn held(&mut self, why: &str) {
        if mem::replace(&mut self.held, true) {
            return;
        }
        warn(&format!("nothing more is applied until the map changes, or SIGHUP asks to try again: {why}"));
        self.event(&WatchEvent::Held { part: None, error: why.to_string() });
    }

    /// Reports what `steps` wait for, once; `None` when nothing waits.
    pub(super) fn waiting(&mut self, waiting: Option<(&Hold, &[String])>) {
        let Some((hold, steps)) = waiting else {
            self.waiting = None;
            return;
        };
        let reason = format!("{} held back until {hold}: {}", counted(steps), steps.join(", "));
        self.status = format!("{}; {reason}", self.status);
        let told = self.waiting.as_ref().is_some_and(|(old, held)| hold.was_told_with(old) && held == steps);
        if told {
            return;
        }
        self.waiting = Some((hold.clone(), steps.to_vec()));
        warn(&reason);
        self.event(&WatchEvent::Waiting {
            written: hold.written.iter().map(|(file, writers)| WrittenFile::of(file, writers)).collect(),
            absent: texts(&hold.awaited.absent),
            rewritten: texts(&hold.awaited.rewritten),
            seconds: hold.quiet().map(|quiet| quiet.as_secs_f64()),
            steps,
            reason,
        });
    }

    /// Reports that a part of the map is not applied any more.
    pub(super) fn left_alone(&mut self, part: &str) {
        let why = format!("{part} is left alone until the map changes, or SIGHUP asks to try again");
        warn(&why);
        self.event(&WatchEvent::Held { part: Some(part), error: why });
    }

    /// Reports the plan that is about to be carried out, if it is another one than was reported last. Where that can't
    /// be written, the plan may not be carried out.
    pub(super) fn plan(&mut self, plan: &Document) -> Result<(), Failure> {
        let json = Some(as_json(plan));
        if json != self.plan && !plan.is_empty() {
            self.plan = json;
            self.event(&WatchEvent::Plan { causes: &BTreeSet::from([Cause::Again]), plan });
            self.text(|| drawing::text(plan, &Heading::default()));
        }
        self.permit()
    }

    /// Reports once that another dmctl holds the lock.
    pub(super) fn locked(&mut self, failure: &Failure) {
        if mem::replace(&mut self.locked, true) {
            return;
        }
        self.status = format!("waiting, {failure}");
        warn(&format!("{failure} and is waited for"));
        self.event(&WatchEvent::Locked { error: failure.to_string() });
    }

    /// Reports a step that was carried out.
    pub(super) fn step_done(&mut self, step: &Step) {
        let mapping = step.mapping.as_ref().map(ToString::to_string);
        tracing::info!(
            mapping = mapping.as_deref().unwrap_or_default(),
            device = %step.name,
            step = step.action().name(),
            class = %step.class,
            "{} {}: done", step.action().name(), step.name
        );
        self.event(&WatchEvent::StepDone { action: step.action(), mapping, name: step.name.to_string() });
    }

    /// Reports that every step was carried out.
    pub(super) fn applied(&mut self, steps: usize) {
        self.changed |= steps > 0;
        self.event(&WatchEvent::Applied { steps });
        self.text(|| progress::applied(steps));
    }

    /// Reports an apply that failed.
    pub(super) fn failed(&mut self, failure: &Failure) {
        self.changed |= failure.exit() == Exit::Inconsistent;
        report(failure);
        self.event(&WatchEvent::Failed { error: failure.to_string(), exit: failure.exit() as u8 });
        self.status = format!("stopped applying: {failure}");
    }

    /// Returns whether the reader of standard output has gone away.
    pub(super) fn is_unread(&self) -> bool {
        self.output.is_unread()
    }

    /// Fails where standard output can't be written to: that ends a watch, and never in the midst of an apply.
    pub(super) fn permit(&self) -> Result<(), Failure> {
        if self.changed { self.output.end().map(drop) } else { self.output.permit() }
    }

    fn event(&mut self, event: &WatchEvent<'_>) {
        if self.json {
            self.output.event(event);
        }
    }

    fn text(&mut self, text: impl FnOnce() -> String) {
        if !self.json {
            self.output.tell(&text());
        }
    }
}

/// Writes a plan in a form that can be compared.
fn as_json(plan: &Document) -> String {
    serde_json::to_string(plan).unwrap_or_default()
}

/// Describes an observation in a few words.
fn summary(observation: &Observation) -> String {
    match observation {
        Observation::InSync { mappings: 1 } => "in sync, 1 mapping".to_string(),
        Observation::InSync { mappings } => format!("in sync, {mappings} mappings"),
        Observation::Unclear { failure } => failure.to_string(),
        Observation::Differs { plan, .. } => format!("drift: {}", plan.counts()),
    }
}

/// Describes the causes of a comparison in a line; empty where there is nothing to tell a person.
fn cause_line(causes: &BTreeSet<Cause>) -> String {
    let (map, kernel) = (causes.contains(&Cause::Map), causes.contains(&Cause::Kernel));
    match (map, kernel) {
        (true, true) => "The map and the kernel changed.\n",
        (true, false) => "The map changed.\n",
        (false, true) => "The kernel changed.\n",
        (false, false) if causes.contains(&Cause::Asked) => "Asked to look again.\n",
        (false, false) => "",
    }
    .to_string()
}

/// Writes paths as JSON has them.
fn texts(files: &BTreeSet<PathBuf>) -> Vec<String> {
    files.iter().map(|file| file.to_string_lossy().into_owned()).collect()
}

/// Counts the steps that take something away.
fn counted(steps: &[String]) -> String {
    match steps.len() {
        1 => "1 step that takes something away is".to_string(),
        count => format!("{count} steps that take something away are"),
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Reports a failure to a person: in the journal with its priority, elsewhere as every verb does.
fn report(failure: &Failure) {
    if logging::is_journal() {
        tracing::error!(exit = failure.exit() as u8, "{failure}");
    } else {
        failure.report();
    }
}

/// Reports to a person what is not a failure.
fn warn(message: &str) {
    if logging::is_journal() {
        tracing::warn!("{}", without_colour(message));
    } else {
        note(message);
    }
}

fn without_colour(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
