//! One look: the map against the kernel, and what is done about it.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dmctl::apply::{self, Progress};
use dmctl::config::{Map, State};
use dmctl::kernel::live::Events;
use dmctl::plan::document::Document;
use dmctl::plan::{self, Step};
use dmctl::watch::{Bell, Cause, Files, Latch};

use super::Args;
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
    teller: Teller,
    pause: Duration,
}

/// How an apply ended that did not fail.
enum Tried {
    Applied,
    /// What may not be carried out came up at the last moment.
    Refused,
    Locked(Failure),
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
        }
        let mut causes = causes.clone();
        loop {
            let Some(map) = self.see(&causes)? else {
                // To tell was all there was to do.
                let over = self.teller.is_alone() && !self.args.apply;
                return Ok(if over { Next::End(Exit::Done) } else { Next::Wait });
            };
            match self.put_right(&map, service) {
                Ok(Tried::Applied) => {
                    self.pause = PAUSES.0;
                    self.latch.applied(Instant::now());
                    causes = BTreeSet::from([Cause::Again]);
                }
                Ok(Tried::Refused) => return Ok(Next::Again(PAUSES.1)),
                Ok(Tried::Locked(failure)) => {
                    let pause = self.pause;
                    self.pause = (pause * 2).min(PAUSES.1);
                    self.teller.locked(&failure)?;
                    return Ok(Next::Again(pause));
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
        self.latch.map(digest);
        let (seen, map) = match read.map {
            Ok(mut map) => {
                self.expect_lowers(&mut map)?;
                (self.compare(&map), Some(map))
            }
            Err(failure) => (Seen::Unclear { failure }, None),
        };
        let why = self.latch.why().filter(|_| self.args.apply);
        self.teller.seen(causes, &digest, &read.says, &seen, why)?;
        let may = self.args.apply && why.is_none();
        Ok(map.filter(|_| may && matches!(seen, Seen::Differs { refusal: None, .. })))
    }

    /// Lower devices that are not there are not waited for but heard of, when they come.
    fn expect_lowers(&mut self, map: &mut Map) -> Result<(), Failure> {
        map.mappings.values_mut().for_each(|mapping| mapping.wait = Duration::ZERO);
        // Those of a simulated kernel come into its file.
        while self.context.is_live() && self.files.expect(absent_lowers(map))? {}
        Ok(())
    }

    fn compare(&self, map: &Map) -> Seen {
        let plan = self
            .context
            .reading()
            .and_then(|kernel| Ok(plan::plan(kernel.as_ref(), map, &self.args.allow.classes())?));
        match plan {
            Err(failure) => Seen::Unclear { failure },
            Ok(plan) if plan.is_empty() && plan.conflicts.is_empty() => {
                Seen::InSync { mappings: map.mappings.len() }
            }
            Ok(plan) => {
                let refusal = apply::permit(&plan).err().filter(|_| self.args.apply).map(Failure::from);
                Seen::Differs { plan: Document::of(&plan), refusal }
            }
        }
    }

    /// Plans once more, with the lock held, and carries that out.
    fn put_right(&mut self, map: &Map, service: &mut Service) -> Result<Tried, Failure> {
        let Self { context, args, teller, .. } = self;
        let tried = context.changing("watch --apply", |kernel| {
            let plan = plan::plan(kernel, map, &args.allow.classes())?;
            if apply::permit(&plan).is_err() {
                return Ok(Tried::Refused);
            }
            teller.plan(&Document::of(&plan))?;
            let mut progress = Steps { teller: &mut *teller, service, count: 0 };
            perform(context, kernel, &plan, &mut progress)?;
            let count = progress.count;
            teller.applied(count)?;
            Ok(Tried::Applied)
        });
        tried.or_else(|failure| match failure.exit() {
            Exit::Locked => Ok(Tried::Locked(failure)),
            _ => Err(failure),
        })
    }
}

/// The paths of lower devices that are not there.
fn absent_lowers(map: &Map) -> BTreeSet<PathBuf> {
    let wanted = map.mappings.values().filter(|mapping| mapping.state != State::Absent);
    let rows = wanted.flat_map(|mapping| &mapping.rows);
    let lowers = rows.flat_map(|row| row.target.lowers(0));
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
