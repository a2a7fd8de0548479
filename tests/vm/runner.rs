//! Runs cases one after the other, and sees to it that each leaves the kernel as it found it.

use std::num::NonZero;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::cases::Case;
use crate::guest::{Guest, Skipped};

/// What the arguments ask for, in the words of `cargo test`: `--list`, `--exact`, words to look for; and
/// `--kernel=` for another kernel.
pub struct Wanted {
    pub only_list: bool,
    kernel: Option<String>,
    exact: bool,
    words: Vec<String>,
    /// Which share of the cases, from 1, and how many shares there are.
    share: (usize, usize),
}

impl Wanted {
    pub fn from_arguments(arguments: &[String]) -> Self {
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        let words = arguments.iter().filter(|argument| !argument.starts_with('-')).cloned().collect();
        let kernel = arguments.iter().find_map(|argument| argument.strip_prefix("--kernel="));
        let share = arguments.iter().find_map(|argument| argument.strip_prefix("--share=")?.split_once('/'));
        let share = share.and_then(|(one, of)| Some((one.parse().ok()?, of.parse().ok()?))).unwrap_or((1, 1));
        Self {
            only_list: has("--list"),
            kernel: kernel.map(str::to_string),
            exact: has("--exact"),
            words,
            share,
        }
    }

    /// The count of guests that are worth booting at the same time: each takes a moment. One more than there are
    /// processors, for a case in two or three waits for something.
    pub fn shares(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        if self.words.is_empty() && self.kernel() == crate::UML { processors.min(2) + 1 } else { 1 }
    }

    /// The cases that are to be run here.
    fn here<'c>(&self, cases: &'c [Case]) -> impl Iterator<Item = &'c Case> {
        let (one, of) = self.share;
        cases.iter().filter(|case| self.includes(case.name)).skip(one - 1).step_by(of)
    }

    /// The kernel to run on, in the words of `tests/vm/run`.
    pub fn kernel(&self) -> &str {
        self.kernel.as_deref().unwrap_or(crate::UML)
    }

    pub fn includes(&self, name: &str) -> bool {
        let fits = |word: &String| if self.exact { name == word } else { name.contains(word.as_str()) };
        self.words.is_empty() || self.words.iter().any(fits)
    }
}

pub fn list(cases: &[Case], wanted: &Wanted) -> ExitCode {
    for case in cases.iter().filter(|case| wanted.includes(case.name)) {
        println!("{}: test", case.name);
    }
    ExitCode::SUCCESS
}

/// Performs the cases. The exit code says whether all of them passed.
pub fn run(cases: &[Case], wanted: &Wanted) -> Result<ExitCode> {
    let guest = Guest::enter()?;
    let (mut passed, mut skipped, mut failed) = (0, 0, Vec::new());
    for case in wanted.here(cases) {
        let start = Instant::now();
        let outcome = perform(case, &guest);
        let seconds = start.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => {
                println!("test {} ... ok ({seconds:.2} s)", case.name);
                passed += 1;
            }
            Err(error) if error.is::<Skipped>() => {
                println!("test {} ... skipped: {error}", case.name);
                skipped += 1;
            }
            Err(error) => {
                println!("test {} ... FAILED ({seconds:.2} s)\n    {error:#}", case.name);
                failed.push(case.name);
            }
        }
    }
    for name in &failed {
        println!("failed: {name}");
    }
    println!("real kernel: {passed} passed, {} failed, {skipped} skipped", failed.len());
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One case: it passes when it says so, does not panic, and leaves nothing behind.
fn perform(case: &Case, guest: &Guest) -> Result<()> {
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| (case.run)(guest)));
    let left = guest.clean_up()?;
    match outcome {
        Ok(outcome) => outcome?,
        Err(payload) => {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
            bail!("panicked: {}", text.unwrap_or_default());
        }
    }
    if left.is_empty() { Ok(()) } else { bail!("left behind: {}", left.join(", ")) }
}
