//! Compares the map with the kernel, and puts right what may be put right.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::apply::{self, ApplyError, Progress};
use crate::config::{Map, State};
use crate::kernel::ReadKernel;
use crate::kernel::live::Events;
use crate::plan::document::Document;
use crate::plan::{self, Plan, Step, StepId};
use crate::watch::{Cause, CircuitBreaker, FileChanges, FileMark, Files, Waker};
use anyhow::anyhow;

use super::args::Args;
use super::hold::{self, Hold};
use super::parts::{self, Blame, Parts};
use super::report::{Comparison, Observation, Reporter};
use super::service::Service;
use crate::cli::apply::perform;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::map;
use crate::cli::signals::Signals;

/// The first pause while another dmctl holds the lock. Each pause is twice the one before.
const MIN_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// What follows a comparison.
pub(super) enum Next {
    /// Wait for an event.
    Wait,
    /// Compare again after this time, for no event will tell when it can succeed.
    Retry(Duration),
    End(Exit),
}

/// Whether the map is to be applied.
enum Todo {
    Apply,
    Nothing,
}

pub(super) struct Reconciler<'a> {
    context: Context,
    args: &'a Args,
    signals: &'a Signals,
    files: Files,
    /// The events of the running kernel. A simulated one is a file like the map's.
    events: Option<Events>,
    /// Open while nothing is applied. A map is identified by its digest.
    breaker: CircuitBreaker<[u8; 32]>,
    /// The stacks of the map that is followed now.
    parts: Parts,
    /// The files of the map that went away, or were written in place.
    changes: FileChanges,
    /// Why nothing is taken away now.
    hold: Option<Hold>,
    reporter: Reporter,
    pause: Duration,
}

/// How an apply ended after which others may follow.
enum Attempt {
    /// It was carried out, and counts for the breaker.
    Applied,
    /// It was carried out to find the stack that fails, and does not count for the breaker.
    Probed,
    /// The plan that was made with the lock held is refused.
    Refused,
    /// Another dmctl holds the lock.
    Locked(Failure),
    /// The plan that was made with the lock held can't be shown.
    Unshown(Failure),
    /// It failed and was put back, and other stacks can still be tried. Names the part that is left alone from now
    /// on, once that is known.
    Failed(Option<String>, Failure),
}

impl<'a> Reconciler<'a> {
    /// Begins to follow the files and the kernel. A kernel that can't be read now is an error: it won't be later.
    pub(super) fn new(
        context: &Context,
        args: &'a Args,
        waker: &Waker,
        signals: &'a Signals,
    ) -> Result<Self, Failure> {
        context.reading()?;
        let maps = args.files.iter().map(|file| (file.clone(), Cause::Map));
        let kernel = context.simulated().map(|file| (file.to_path_buf(), Cause::Kernel));
        Ok(Self {
            context: context.caught(signals.stopping()),
            args,
            signals,
            files: Files::new(maps.chain(kernel).collect(), waker)?,
            events: if context.is_live() { Some(Events::open()?) } else { None },
            breaker: CircuitBreaker::new([0; 32]),
            parts: Parts::default(),
            changes: FileChanges::default(),
            hold: None,
            reporter: Reporter::new(&args.output, &signals.stopping()),
            pause: MIN_PAUSE,
        })
    }

    /// Returns the descriptor of the running kernel's events.
    pub(super) fn events(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().map(AsFd::as_fd)
    }

    /// Arms that descriptor for the next event.
    pub(super) fn arm(&self) -> Result<(), Failure> {
        Ok(self.events.as_ref().map_or(Ok(()), Events::arm)?)
    }

    /// Returns the state of the map and the kernel, in words.
    pub(super) fn status(&self) -> &str {
        self.reporter.status()
    }

    /// Compares, reports, and applies, until nothing more can be applied now.
    pub(super) fn reconcile(
        &mut self,
        causes: &BTreeSet<Cause>,
        service: &mut Service,
    ) -> Result<Next, Failure> {
        // Before anything is read: a change while it is being read is an event then.
        if causes.iter().any(|cause| *cause != Cause::Again) {
            self.files.follow()?;
        }
        self.arm()?;
        if causes.contains(&Cause::Asked) {
            self.breaker.reset();
            self.parts = Parts::default();
        }
        let mut causes = causes.clone();
        loop {
            let Some(map) = self.observe(&causes)? else {
                // Without --apply all that it does is to report.
                let over = self.reporter.is_unread() && !self.args.apply;
                return Ok(if over { Next::End(Exit::Done) } else { self.wait() });
            };
            match self.apply(&map, service) {
                Ok(attempt @ (Attempt::Applied | Attempt::Probed)) => {
                    self.pause = MIN_PAUSE;
                    if matches!(attempt, Attempt::Applied) {
                        self.breaker.record_apply(Instant::now());
                    }
                    causes = BTreeSet::from([Cause::Again]);
                }
                Ok(Attempt::Refused) => return Ok(Next::Retry(MAX_PAUSE)),
                Ok(Attempt::Locked(failure)) => {
                    let pause = self.pause;
                    self.pause = (pause * 2).min(MAX_PAUSE);
                    self.reporter.locked(&failure);
                    self.reporter.permit()?;
                    return Ok(Next::Retry(pause));
                }
                Ok(Attempt::Unshown(failure)) => return Err(failure),
                Ok(Attempt::Failed(part, failure)) => {
                    self.reporter.failed(&failure);
                    if let Some(part) = part {
                        self.reporter.left_alone(&part);
                    }
                    causes = BTreeSet::from([Cause::Again]);
                }
                Err(failure) => {
                    self.reporter.failed(&failure);
                    if self.signals.stop() {
                        let inconsistent = failure.exit() == Exit::Inconsistent;
                        return Ok(Next::End(if inconsistent { Exit::Inconsistent } else { Exit::Done }));
                    }
                    self.breaker.record_failure(failure.to_string());
                    self.reporter.held("an apply failed");
                    self.reporter.permit()?;
                    return Ok(self.wait());
                }
            }
            self.reporter.permit()?;
            if self.signals.stop() {
                return Ok(Next::End(Exit::Done));
            }
        }
    }

    /// Waits for an event, or until what is held back may be carried out.
    fn wait(&self) -> Next {
        let until = self.hold.as_ref().map(|hold| hold.until.saturating_duration_since(Instant::now()));
        until.map_or(Next::Wait, Next::Retry)
    }

    /// Reads the map. Returns also the digest of all that was read.
    fn read(&self) -> (map::Read, [u8; 32]) {
        map::read_quietly(&self.args.files, self.context.trust_to_apply())
    }

    /// Compares, and reports what is new. Returns the map when it is to be applied.
    fn observe(&mut self, causes: &BTreeSet<Cause>) -> Result<Option<Map>, Failure> {
        let (mut read, digest) = self.read();
        let changed = self.breaker.set_map(digest);
        if changed {
            self.parts = Parts::default();
        }
        let files: BTreeSet<_> = read.files.drain(..).filter_map(|file| file.path).collect();
        // A file that is gone by now is an event, too.
        let marks = files.iter().filter_map(|file| Some((file.clone(), FileMark::of(file).ok()?))).collect();
        self.changes.record(marks, changed, Instant::now());
        if read.map.is_err() {
            self.changes.record_gap();
        }
        let find_hold = || Hold::find(&files, &mut self.changes, self.args.removal_delay);
        // Without a map nothing is carried out, and only an event can end that.
        self.hold = (self.args.apply && read.map.is_ok()).then(find_hold).flatten();
        let (observation, map) = match read.map {
            Ok(mut map) => {
                self.expect_lowers(&mut map)?;
                match self.compare(&map) {
                    Ok((observation, Todo::Apply)) => (observation, Some(map)),
                    Ok((observation, Todo::Nothing)) => (observation, None),
                    Err(failure) => (Observation::Unclear { failure }, None),
                }
            }
            Err(failure) => (Observation::Unclear { failure }, None),
        };
        if map.is_none() {
            self.parts.end_probing();
        }
        let stopped = self.breaker.reason().filter(|_| self.args.apply);
        let comparison =
            Comparison { causes, digest, messages: &read.messages, observation: &observation, held: stopped };
        self.reporter.compared(&comparison);
        let taken = match (&observation, &self.hold) {
            (Observation::Differs { takes_away, .. }, Some(hold)) if stopped.is_none() => {
                Some((hold, takes_away.as_slice()))
            }
            _ => None,
        };
        self.reporter.waiting(taken.filter(|(_, steps)| !steps.is_empty()));
        self.reporter.permit()?;
        let may = self.args.apply && stopped.is_none();
        Ok(map.filter(|_| may))
    }

    /// Follows the paths of lower devices that are not there: to come is an event, and planning need not wait.
    fn expect_lowers(&mut self, map: &mut Map) -> Result<(), Failure> {
        map.mappings.values_mut().for_each(|mapping| mapping.wait = Duration::ZERO);
        // The devices of a simulated kernel come into its file.
        while self.context.is_live() && self.files.expect(absent_lowers(map))? {}
        Ok(())
    }

    /// Compares, and finds whether drift may be put right.
    fn compare(&self, map: &Map) -> Result<(Observation, Todo), Failure> {
        let kernel = self.context.reading()?;
        let map = self.followed(map, kernel.as_ref())?;
        let plan = plan::plan(kernel.as_ref(), &map, &self.args.allow.classes())?;
        if plan.is_empty() {
            return Ok((Observation::InSync { mappings: map.mappings.len() }, Todo::Nothing));
        }
        let refusal = apply::permit(&plan).err().filter(|_| self.args.apply);
        let takes_away: Vec<String> = hold::takes_away(&plan).map(hold::describe).collect();
        let may = match (self.args.apply, self.args.each_stack) {
            (false, _) => false,
            (true, true) => !self.plan(&map, kernel.as_ref())?.is_empty(),
            (true, false) if self.hold.is_some() && !takes_away.is_empty() => {
                let part = self.plan(&map, kernel.as_ref())?;
                refusal.is_none() && !part.is_empty() && apply::permit(&part).is_ok()
            }
            (true, false) => refusal.is_none(),
        };
        let refusal = refusal.map(|error| if may { left_out(&error) } else { error.into() });
        let todo = if may { Todo::Apply } else { Todo::Nothing };
        Ok((Observation::Differs { plan: Box::new(Document::of(&plan)), refusal, takes_away }, todo))
    }

    /// Returns the part of the map that is followed: all of it, but for `noauto` stacks that are not up.
    fn followed(&self, map: &Map, kernel: &dyn ReadKernel) -> Result<Map, Failure> {
        let mut map = map.clone();
        if self.args.each_stack {
            parts::leave_out_inactive(&mut map, kernel)?;
        }
        Ok(map)
    }

    /// Plans what to carry out: the whole map, or the stacks without a conflict or a refused step. While a file of the map
    /// is written, or went away, nothing is taken away.
    fn plan(&self, map: &Map, kernel: &dyn ReadKernel) -> Result<Plan, Failure> {
        let allow = self.args.allow.classes();
        let held = self.hold.is_some();
        Ok(match (self.args.each_stack, held) {
            (true, _) => self.parts.plan(kernel, map, &allow, held)?,
            (false, true) => parts::plan_without(kernel, map, &allow, parts::takers)?.0,
            (false, false) => plan::plan(kernel, map, &allow)?,
        })
    }

    /// Plans once more, with the lock held, and carries out that plan.
    fn apply(&mut self, map: &Map, service: &mut Service) -> Result<Attempt, Failure> {
        let context = self.context.clone();
        let attempt = context.changing("watch --apply", |kernel| {
            let map = self.followed(map, kernel)?;
            let plan = self.plan(&map, kernel)?;
            if apply::permit(&plan).is_err() {
                return Ok(Attempt::Refused);
            }
            // A writer that came and went while the map was read left its trace in the map: that is an event.
            if hold::takes_away(&plan).next().is_some() && !self.breaker.is_map(&self.read().1) {
                return Ok(Attempt::Refused);
            }
            if let Err(failure) = self.reporter.plan(&Document::of(&plan)) {
                return Ok(Attempt::Unshown(failure));
            }
            let mut progress = Steps { reporter: &mut self.reporter, service, count: 0 };
            let outcome = perform(&context, kernel, &plan, &mut progress);
            let count = progress.count;
            match outcome {
                Ok(()) => {
                    self.reporter.applied(count);
                    let probed = self.parts.applied(&map, &plan);
                    Ok(if probed { Attempt::Probed } else { Attempt::Applied })
                }
                Err(error) => self.failed(&map, &plan, error.into()),
            }
        });
        attempt.or_else(|failure| match failure.exit() {
            Exit::Locked => Ok(Attempt::Locked(failure)),
            _ => Err(failure),
        })
    }

    /// Finds the stack that failed, so that the others can be tried: only after an apply that was put back.
    fn failed(&mut self, map: &Map, plan: &Plan, failure: Failure) -> Result<Attempt, Failure> {
        if !self.args.each_stack || failure.exit() == Exit::Inconsistent || self.signals.stop() {
            return Err(failure);
        }
        match self.parts.failed(map, plan) {
            Blame::Part(part) => Ok(Attempt::Failed(Some(part), failure)),
            Blame::OneOf => Ok(Attempt::Failed(None, failure)),
            Blame::All => Err(failure),
        }
    }
}

/// Describes the stacks that are not applied while the others are.
fn left_out(error: &ApplyError) -> Failure {
    let items: Vec<String> = match error {
        ApplyError::Conflicts(conflicts) => {
            conflicts.iter().map(|conflict| format!("{}: {}", conflict.name, conflict.reason)).collect()
        }
        ApplyError::Refused(refused) => refused.iter().map(ToString::to_string).collect(),
        error => vec![error.to_string()],
    };
    Failure::new(
        Exit::Error,
        anyhow!("left out, with the stack that it is part of:\n  {}", items.join("\n  ")),
    )
}

/// Lists the paths of lower devices that are not there.
fn absent_lowers(map: &Map) -> BTreeSet<PathBuf> {
    let wanted = map.mappings.values().filter(|mapping| mapping.state != State::Absent);
    let rows = wanted.flat_map(|mapping| &mapping.rows);
    let lowers = rows.flat_map(|row| row.target.lower_devices(0));
    let paths = lowers.flat_map(|lower| {
        let paths = lower.device.paths().into_iter();
        paths.map(|path| PathBuf::from(path.as_ref())).collect::<Vec<_>>()
    });
    paths.filter(|path| !path.exists()).collect()
}

/// Reports each step, and tells systemd that this process is alive: a plan may take longer than a watchdog waits.
struct Steps<'a> {
    reporter: &'a mut Reporter,
    service: &'a mut Service,
    count: usize,
}

impl Progress for Steps<'_> {
    fn done(&mut self, _: StepId, step: &Step) {
        self.count += 1;
        self.service.alive(Instant::now());
        self.reporter.step_done(step);
    }
}
