//! What a watch says: text for a person, an event a line for a program, and a log for the journal.
//!
//! A look that shows nothing new is not told.

use std::collections::BTreeSet;

use crate::plan::document::Document;
use crate::plan::{Action, Step};
use crate::render::Heading;
use crate::render::json::FORMAT_VERSION;
use crate::watch::Cause;
use serde::Serialize;

use crate::cli::drawing;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::logging;
use crate::cli::note::note;
use crate::cli::output::is_read;
use crate::cli::progress;

/// What a look showed.
pub enum Seen {
    /// The kernel is as the map says.
    InSync {
        /// How many mappings that is.
        mappings: usize,
    },
    /// It is not.
    Differs {
        /// What would make it so.
        plan: Document,
        /// Why that is not applied, where it should be.
        refusal: Option<Failure>,
    },
    /// The map or the kernel can't be read.
    Unclear {
        /// Why.
        failure: Failure,
    },
}

/// One line for a program.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event<'a> {
    InSync {
        causes: &'a BTreeSet<Cause>,
        mappings: usize,
    },
    Plan {
        causes: &'a BTreeSet<Cause>,
        #[serde(flatten)]
        plan: &'a Document,
    },
    Unclear {
        causes: &'a BTreeSet<Cause>,
        error: String,
        details: Vec<String>,
    },
    Refused {
        error: String,
    },
    Held {
        #[serde(skip_serializing_if = "Option::is_none")]
        part: Option<&'a str>,
        error: String,
    },
    Locked {
        error: String,
    },
    StepDone {
        action: Action,
        mapping: Option<String>,
        name: String,
    },
    Applied {
        steps: usize,
    },
    Failed {
        error: String,
        exit: u8,
    },
}

#[derive(Serialize)]
struct Versioned<'a> {
    format_version: u32,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

/// Whoever tells.
pub struct Teller {
    json: bool,
    /// What was told last, to tell nothing twice.
    told: Option<([u8; 32], String)>,
    /// What was said of the map last.
    said: Option<([u8; 32], Vec<String>)>,
    /// The plan that was told last.
    plan: Option<String>,
    /// Whether it was told that somebody else holds the lock.
    locked: bool,
    /// Whether it was told that nothing is applied any more.
    held: bool,
    alone: bool,
    status: String,
}

impl Teller {
    /// One that tells a program, or a person.
    pub fn new(json: bool) -> Self {
        Self {
            json,
            told: None,
            said: None,
            plan: None,
            locked: false,
            held: false,
            alone: false,
            status: String::new(),
        }
    }

    /// How everything stands, in a line.
    pub fn status(&self) -> &str {
        &self.status
    }

    /// Tells what a look showed, if it is new: of a map with this digest, of which `says` is said. `held` is why
    /// nothing is applied any more.
    pub fn seen(
        &mut self,
        causes: &BTreeSet<Cause>,
        digest: &[u8; 32],
        says: &[String],
        seen: &Seen,
        held: Option<&str>,
    ) -> Result<(), Failure> {
        self.status =
            held.map_or_else(|| summary(seen), |why| format!("stopped applying: {why}; {}", summary(seen)));
        let plan = if let Seen::Differs { plan, .. } = seen { Some(as_text(plan)) } else { None };
        let told = Some((*digest, format!("{says:?} {} {plan:?}", summary(seen))));
        if told != self.told || causes.contains(&Cause::Asked) {
            self.told = told;
            self.plan = plan;
            self.locked = false;
            tracing::info!(status = %self.status, "{}", self.status);
            self.text(|| words(causes))?;
            self.say(digest, says, causes);
            self.look(causes, says, seen)?;
        }
        match held {
            Some(why) if matches!(seen, Seen::Differs { .. }) => self.held(why),
            Some(_) => Ok(()),
            None => {
                self.held = false;
                Ok(())
            }
        }
    }

    /// Tells what is to be said of a map, once for each map.
    fn say(&mut self, digest: &[u8; 32], says: &[String], causes: &BTreeSet<Cause>) {
        let said = Some((*digest, says.to_vec()));
        if said != self.said || causes.contains(&Cause::Asked) {
            for line in says {
                complain(line);
            }
            self.said = said;
        }
    }

    fn look(&mut self, causes: &BTreeSet<Cause>, says: &[String], seen: &Seen) -> Result<(), Failure> {
        match seen {
            Seen::InSync { mappings } => {
                self.event(&Event::InSync { causes, mappings: *mappings })?;
                self.text(|| format!("{}.\n", capital(&summary(seen))))
            }
            Seen::Unclear { failure } => {
                report(failure);
                let details = says.iter().map(|says| plain(says)).collect();
                self.event(&Event::Unclear { causes, error: failure.to_string(), details })
            }
            Seen::Differs { plan, refusal } => {
                self.event(&Event::Plan { causes, plan })?;
                self.text(|| drawing::text(plan, &Heading::default()))?;
                let Some(failure) = refusal else { return Ok(()) };
                report(failure);
                self.event(&Event::Refused { error: failure.to_string() })
            }
        }
    }

    /// Nothing is applied any more: told once.
    pub fn held(&mut self, why: &str) -> Result<(), Failure> {
        if std::mem::replace(&mut self.held, true) {
            return Ok(());
        }
        complain(&format!(
            "nothing more is applied until the map changes, or SIGHUP asks to try again: {why}"
        ));
        self.event(&Event::Held { part: None, error: why.to_string() })
    }

    /// A part of the map is not applied any more.
    pub fn left_alone(&mut self, part: &str) -> Result<(), Failure> {
        let why = format!("{part} is left alone until the map changes, or SIGHUP asks to try again");
        complain(&why);
        self.event(&Event::Held { part: Some(part), error: why })
    }

    /// Tells the plan that is about to be carried out, if it is not the one that was told.
    pub fn plan(&mut self, plan: &Document) -> Result<(), Failure> {
        let shown = Some(as_text(plan));
        if shown == self.plan || plan.is_empty() {
            return Ok(());
        }
        self.plan = shown;
        self.event(&Event::Plan { causes: &BTreeSet::from([Cause::Again]), plan })?;
        self.text(|| drawing::text(plan, &Heading::default()))
    }

    /// Somebody else holds the lock.
    pub fn locked(&mut self, failure: &Failure) -> Result<(), Failure> {
        if std::mem::replace(&mut self.locked, true) {
            return Ok(());
        }
        self.status = format!("waiting, {failure}");
        complain(&format!("{failure} and is waited for"));
        self.event(&Event::Locked { error: failure.to_string() })
    }

    /// A step was carried out.
    pub fn done(&mut self, step: &Step) {
        let mapping = step.mapping.as_ref().map(ToString::to_string);
        tracing::info!(
            mapping = mapping.as_deref().unwrap_or_default(),
            device = %step.name,
            step = step.action().name(),
            class = %step.class,
            "{} {}: done", step.action().name(), step.name
        );
        // Standard output that can't be written to ends the watch when the plan is through, and not in its midst.
        let _ = self.event(&Event::StepDone { action: step.action(), mapping, name: step.name.to_string() });
    }

    /// Everything was carried out.
    pub fn applied(&mut self, steps: usize) -> Result<(), Failure> {
        self.event(&Event::Applied { steps })?;
        self.text(|| progress::applied(steps))
    }

    /// An apply failed.
    pub fn failed(&mut self, failure: &Failure) -> Result<(), Failure> {
        report(failure);
        self.event(&Event::Failed { error: failure.to_string(), exit: failure.exit() as u8 })?;
        self.status = format!("stopped applying: {failure}");
        Ok(())
    }

    /// Whether whoever read what was told has gone away.
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    fn event(&mut self, event: &Event<'_>) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let event = Versioned { format_version: FORMAT_VERSION, event };
        let line = serde_json::to_string(&event).map_err(|error| Failure::new(Exit::Error, error))?;
        self.print(&format!("{line}\n"))
    }

    fn text(&mut self, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.print(&text()) }
    }

    fn print(&mut self, text: &str) -> Result<(), Failure> {
        self.alone |= !is_read(text)?;
        Ok(())
    }
}

/// A plan as something to compare.
fn as_text(plan: &Document) -> String {
    serde_json::to_string(plan).unwrap_or_default()
}

/// What a look showed, in a few words.
fn summary(seen: &Seen) -> String {
    match seen {
        Seen::InSync { mappings: 1 } => "in sync, 1 mapping".to_string(),
        Seen::InSync { mappings } => format!("in sync, {mappings} mappings"),
        Seen::Unclear { failure } => failure.to_string(),
        Seen::Differs { plan, .. } => {
            let line = plan.summary_line();
            let steps = line.trim_start_matches("Plan: ").trim_end_matches('.');
            format!("drift: {steps}")
        }
    }
}

/// Why there was a look, as a line.
fn words(causes: &BTreeSet<Cause>) -> String {
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

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Tells a person of a failure: in the journal with its priority, elsewhere as every verb does.
fn report(failure: &Failure) {
    if logging::is_journal() {
        tracing::error!(exit = failure.exit() as u8, "{failure}");
    } else {
        failure.report();
    }
}

/// Tells a person what is no failure of its own.
fn complain(says: &str) {
    if logging::is_journal() {
        tracing::warn!("{}", plain(says));
    } else {
        note(says);
    }
}

/// Without colours.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
