//! One look: the map against the kernel, and what is done about it.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::apply::{self, ApplyError, Progress};
use crate::config::{Map, State};
use crate::kernel::ReadKernel;
use crate::kernel::live::Events;
use crate::plan::document::Document;
use crate::plan::{self, Plan, Step};
use crate::watch::{Bell, Cause, Files, Latch};
use anyhow::anyhow;

use super::args::Args;
use super::parts::{self, Blame, Parts};
use super::service::Service;
use super::tell::{Seen, Teller};
use crate::cli::apply::perform;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::map::{self, Trust};
use crate::cli::signals::Signals;

/// How long to wait for another dmctl to let go of the lock: first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

/// What follows a look.
pub enum Next {
    /// Wait until something happens.
    Wait,
    /// Look again after this time, for nothing will tell when it is worth it.
    Again(Duration),
    /// It was told to end.
    End(Exit),
}

/// Whoever looks.
pub struct Watch<'a> {
    context: Context,
    args: &'a Args,
    signals: &'a Signals,
    files: Files,
    /// Those of the running kernel. A simulated one is a file like the map's.
    events: Option<Events>,
    latch: Latch<[u8; 32]>,
    /// Of the map as it is now.
    parts: Parts,
    teller: Teller,
    pause: Duration,
}

/// How an apply ended after which others may follow.
enum Tried {
    Applied {
        /// Whether it tells that devices do not stay as they are put.
        counts: bool,
    },
    /// What may not be carried out came up at the last moment.
    Refused,
    Locked(Failure),
    /// It failed and was put back, and other stacks can still be tried. Tells the one that is left alone from now
    /// on, once that is known.
    Failed(Option<String>, Failure),
}

impl<'a> Watch<'a> {
    /// Begins to listen. A kernel that can't be read now is an error: it won't be later.
    pub fn new(
        context: &Context,
        args: &'a Args,
        bell: &Bell,
        signals: &'a Signals,
    ) -> Result<Self, Failure> {
        context.reading()?;
        let maps = args.files.iter().map(|file| (file.clone(), Cause::Map));
        let kernel = context.simulated().map(|file| (file.to_path_buf(), Cause::Kernel));
        Ok(Self {
            context: context.caught(signals.stopping()),
            args,
            signals,
            files: Files::new(maps.chain(kernel).collect(), bell)?,
            events: if context.is_live() { Some(Events::open()?) } else { None },
            latch: Latch::new([0; 32]),
            parts: Parts::default(),
            teller: Teller::new(args.output.is_json()),
            pause: PAUSES.0,
        })
    }

    /// The descriptor that tells of the running kernel.
    pub fn events(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().map(AsFd::as_fd)
    }

    /// Lets that wait for the next event.
    pub fn arm(&self) -> Result<(), Failure> {
        Ok(self.events.as_ref().map_or(Ok(()), Events::arm)?)
    }

    /// How everything stands, in words.
    pub fn status(&self) -> &str {
        self.teller.status()
    }

    /// Looks, tells, and puts right what may be, until there is nothing left that can be done now.
    pub fn look(&mut self, causes: &BTreeSet<Cause>, service: &mut Service) -> Result<Next, Failure> {
        // Before anything is read: what changes while it is being read is heard then.
        if causes.iter().any(|cause| *cause != Cause::Again) {
            self.files.follow()?;
        }
        self.arm()?;
        if causes.contains(&Cause::Asked) {
            self.latch.lift();
            self.parts = Parts::default();
        }
        let mut causes = causes.clone();
        loop {
            let Some(map) = self.see(&causes)? else {
                // To tell was all there was to do.
                let over = self.teller.is_alone() && !self.args.apply;
                return Ok(if over { Next::End(Exit::Done) } else { Next::Wait });
            };
            match self.put_right(&map, service) {
                Ok(Tried::Applied { counts }) => {
                    self.pause = PAUSES.0;
                    if counts {
                        self.latch.applied(Instant::now());
                    }
                    causes = BTreeSet::from([Cause::Again]);
                }
                Ok(Tried::Refused) => return Ok(Next::Again(PAUSES.1)),
                Ok(Tried::Locked(failure)) => {
                    let pause = self.pause;
                    self.pause = (pause * 2).min(PAUSES.1);
                    self.teller.locked(&failure)?;
                    return Ok(Next::Again(pause));
                }
                Ok(Tried::Failed(part, failure)) => {
                    self.teller.failed(&failure)?;
                    part.map_or(Ok(()), |part| self.teller.left_alone(&part))?;
                    causes = BTreeSet::from([Cause::Again]);
                }
                Err(failure) => {
                    self.teller.failed(&failure)?;
                    if self.signals.stop() {
                        let left = failure.exit() == Exit::Left;
                        return Ok(Next::End(if left { Exit::Left } else { Exit::Done }));
                    }
                    self.latch.failed(failure.to_string());
                    self.teller.held("an apply failed")?;
                    return Ok(Next::Wait);
                }
            }
            if self.signals.stop() {
                return Ok(Next::End(Exit::Done));
            }
        }
    }

    /// Compares, and tells what is new. Gives the map when it is to be applied.
    fn see(&mut self, causes: &BTreeSet<Cause>) -> Result<Option<Map>, Failure> {
        let trust = if self.args.apply { self.context.trust_to_apply() } else { Trust::Warn };
        let (read, digest) = map::look(&self.args.files, trust);
        if self.latch.map(digest) {
            self.parts = Parts::default();
        }
        let (seen, map) = match read.map {
            Ok(mut map) => {
                self.expect_lowers(&mut map)?;
                match self.compare(&map) {
                    Ok((seen, todo)) => (seen, Some(map).filter(|_| todo)),
                    Err(failure) => (Seen::Unclear { failure }, None),
                }
            }
            Err(failure) => (Seen::Unclear { failure }, None),
        };
        if map.is_none() {
            self.parts.over();
        }
        let why = self.latch.why().filter(|_| self.args.apply);
        self.teller.seen(causes, &digest, &read.says, &seen, why)?;
        let may = self.args.apply && why.is_none();
        Ok(map.filter(|_| may))
    }

    /// Lower devices that are not there are not waited for but heard of, when they come.
    fn expect_lowers(&mut self, map: &mut Map) -> Result<(), Failure> {
        map.mappings.values_mut().for_each(|mapping| mapping.wait = Duration::ZERO);
        // Those of a simulated kernel come into its file.
        while self.context.is_live() && self.files.expect(absent_lowers(map))? {}
        Ok(())
    }

    /// Compares, and tells whether there is something that may be put right.
    fn compare(&self, map: &Map) -> Result<(Seen, bool), Failure> {
        let kernel = self.context.reading()?;
        let map = self.followed(map, kernel.as_ref())?;
        let plan = plan::plan(kernel.as_ref(), &map, &self.args.allow.classes())?;
        if plan.is_empty() {
            return Ok((Seen::InSync { mappings: map.mappings.len() }, false));
        }
        let refusal = apply::permit(&plan).err().filter(|_| self.args.apply);
        let todo = match (self.args.apply, self.args.each_stack) {
            (false, _) => false,
            (true, false) => refusal.is_none(),
            (true, true) => !self.todo(&map, kernel.as_ref())?.is_empty(),
        };
        let refusal = refusal.map(|error| if todo { left_out(&error) } else { error.into() });
        Ok((Seen::Differs { plan: Document::of(&plan), refusal }, todo))
    }

    /// What of the map is followed: all of it, but for stacks that nobody asked for.
    fn followed(&self, map: &Map, kernel: &dyn ReadKernel) -> Result<Map, Failure> {
        let mut map = map.clone();
        if self.args.each_stack {
            parts::leave_out_unasked(&mut map, kernel)?;
        }
        Ok(map)
    }

    /// The plan to carry out: of everything, or of the stacks that nothing stands against.
    fn todo(&self, map: &Map, kernel: &dyn ReadKernel) -> Result<Plan, Failure> {
        let allow = self.args.allow.classes();
        Ok(if self.args.each_stack {
            self.parts.plan(kernel, map, &allow)?
        } else {
            plan::plan(kernel, map, &allow)?
        })
    }

    /// Plans once more, with the lock held, and carries that out.
    fn put_right(&mut self, map: &Map, service: &mut Service) -> Result<Tried, Failure> {
        let context = self.context.clone();
        let tried = context.changing("watch --apply", |kernel| {
            let map = self.followed(map, kernel)?;
            let plan = self.todo(&map, kernel)?;
            if apply::permit(&plan).is_err() {
                return Ok(Tried::Refused);
            }
            self.teller.plan(&Document::of(&plan))?;
            let mut progress = Steps { teller: &mut self.teller, service, count: 0 };
            let outcome = perform(&context, kernel, &plan, &mut progress);
            let count = progress.count;
            match outcome {
                Ok(()) => {
                    self.teller.applied(count)?;
                    Ok(Tried::Applied { counts: !self.parts.applied(&map, &plan) })
                }
                Err(error) => self.failed(&map, &plan, error.into()),
            }
        });
        tried.or_else(|failure| match failure.exit() {
            Exit::Locked => Ok(Tried::Locked(failure)),
            _ => Err(failure),
        })
    }

    /// Whether others can be tried after an apply that failed: when it left everything as it was.
    fn failed(&mut self, map: &Map, plan: &Plan, failure: Failure) -> Result<Tried, Failure> {
        if !self.args.each_stack || failure.exit() == Exit::Left || self.signals.stop() {
            return Err(failure);
        }
        match self.parts.failed(map, plan) {
            Blame::Part(part) => Ok(Tried::Failed(Some(part), failure)),
            Blame::OneOf => Ok(Tried::Failed(None, failure)),
            Blame::All => Err(failure),
        }
    }
}

/// What is not applied, while the rest is.
fn left_out(error: &ApplyError) -> Failure {
    let items: Vec<String> = match error {
        ApplyError::Conflicts(conflicts) => {
            conflicts.iter().map(|conflict| format!("{}: {}", conflict.name, conflict.reason)).collect()
        }
        ApplyError::Refused(refused) => refused.clone(),
        error => vec![error.to_string()],
    };
    Failure::new(
        Exit::Error,
        anyhow!("left out, with the stack that it is part of:\n  {}", items.join("\n  ")),
    )
}

/// The paths of lower devices that are not there.
fn absent_lowers(map: &Map) -> BTreeSet<PathBuf> {
    let wanted = map.mappings.values().filter(|mapping| mapping.state != State::Absent);
    let rows = wanted.flat_map(|mapping| &mapping.rows);
    let lowers = rows.flat_map(|row| row.target.lower_devices(0));
    let paths = lowers.filter_map(|lower| lower.device.path().map(|path| PathBuf::from(path.as_ref())));
    paths.filter(|path| !path.exists()).collect()
}

/// Tells of each step, and systemd that this is still alive: a plan may take longer than a watchdog waits.
struct Steps<'a> {
    teller: &'a mut Teller,
    service: &'a mut Service,
    count: usize,
}

impl Progress for Steps<'_> {
    fn done(&mut self, _: usize, step: &Step) {
        self.count += 1;
        self.service.alive(Instant::now());
        self.teller.done(step);
    }
}
