//! Shows the progress of an apply: to a person as a line on the terminal that is drawn again and again, to a program as
//! a line of JSON for each event.
//!
//! The library reports nothing while a device is suspended, so nothing is drawn then: the terminal may be waiting for
//! that device.

use std::io::{self, IsTerminal, Write as _};
use std::time::{Duration, Instant};

use crate::apply::Progress;
use crate::plan::{Step, StepId};
use crate::render::events::{Event, Which};
use unicode_width::UnicodeWidthChar;

use super::report::Report;
use super::stderr::Stderr;

/// The time after which progress is drawn.
const SHORT: Duration = Duration::from_secs(1);
/// The shortest time between two drawings.
const PAUSE: Duration = Duration::from_millis(100);
/// Moves to the start of the line, and clears it.
const CLEAR: &str = "\r\u{1b}[2K";

/// Writes the last line about an apply that was carried out.
pub(crate) fn applied(steps: usize) -> String {
    format!("Applied: {steps} {}.\n", if steps == 1 { "step" } else { "steps" })
}

/// Draws a line in place of the one on the terminal.
pub(super) fn redraw(line: &str) {
    let columns = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| width.0);
    let line = cut(line, usize::from(columns).saturating_sub(1));
    Bar::write(&format!("{CLEAR}{line}"));
}

/// The line on the terminal, if standard error is one that can be written over.
pub(crate) struct Bar {
    on: bool,
    began: Instant,
    /// The time of the last drawing.
    drawn: Option<Instant>,
    all: usize,
    done: usize,
    /// The step that was begun last.
    current: String,
}

impl Bar {
    /// Creates a line for a plan of `all` steps.
    pub(crate) fn new(all: usize) -> Self {
        let plain = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        Self {
            on: io::stderr().is_terminal() && !plain,
            began: Instant::now(),
            drawn: None,
            all,
            done: 0,
            current: String::new(),
        }
    }

    fn draw(&mut self) {
        let now = Instant::now();
        let soon = self.drawn.is_some_and(|drawn| now - drawn < PAUSE);
        if !self.on || soon || now - self.began < SHORT {
            return;
        }
        let line =
            format!("{}/{} steps, {} s  {}", self.done, self.all, (now - self.began).as_secs(), self.current);
        redraw(&line);
        self.drawn = Some(now);
    }

    /// Writes to the terminal. An error is ignored: the terminal is gone.
    fn write(text: &str) {
        let _ = Stderr.write_all(text.as_bytes());
    }
}

impl Progress for Bar {
    fn begun(&mut self, _: StepId, step: &Step) {
        self.current = format!("{} {}", step.action().name(), step.name);
        self.draw();
    }

    fn done(&mut self, _: StepId, _: &Step) {
        self.done += 1;
        self.draw();
    }

    fn undoing(&mut self) {
        self.current = "putting everything back".to_string();
        self.drawn = None;
        self.draw();
    }

    fn tick(&mut self) {
        self.draw();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            Self::write(CLEAR);
        }
    }
}

/// Cuts a line to the width of the terminal.
fn cut(line: &str, columns: usize) -> &str {
    let mut width = 0;
    let end = line.char_indices().find(|(_, c)| {
        width += c.width().unwrap_or(0);
        width > columns
    });
    end.map_or(line, |(end, _)| &line[..end])
}

/// A line of JSON for each event.
pub(crate) struct Lines<'r>(pub(crate) &'r mut Report);

impl Progress for Lines<'_> {
    fn begun(&mut self, place: StepId, step: &Step) {
        self.0.event(&Event::StepStarted(Which::of(place, step)));
    }

    fn done(&mut self, place: StepId, step: &Step) {
        self.0.event(&Event::StepDone(Which::of(place, step)));
    }

    fn undoing(&mut self) {
        self.0.event(&Event::RollingBack);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_where_the_terminal_ends() {
        assert_eq!(cut("3/300 steps", 5), "3/300");
        assert_eq!(cut("日本", 3), "日");
        assert_eq!(cut("all", 80), "all");
    }
}
