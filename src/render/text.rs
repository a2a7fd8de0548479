//! Draws a plan as text, for a terminal or a file.

use anstyle::{AnsiColor, Style as Ansi};
use smol_str::{SmolStr, format_smolstr};

use super::table::{self, Line};
use super::{Heading, step_text};
use crate::identity::printable;
use crate::plan::document::{Document, Remark, Step};
use crate::plan::{Action, Plan};
use crate::text::{push_padded, width, wrap};

/// The widest name or size that the columns are aligned to. A wider one moves only its own line.
const MAX_ALIGNED: usize = 40;
/// The column of the lines below a step.
const INDENT: usize = 4;
const MARGIN: &str = "    ";

/// Whether text has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorMode {
    /// Text with ANSI escapes, for a terminal.
    Colour,
    /// Text without escapes, for files and pipes.
    Plain,
}

impl ColorMode {
    pub(super) fn with(self, text: &str, colour: AnsiColor) -> String {
        match self {
            Self::Plain => text.to_string(),
            Self::Colour => {
                let style = Ansi::new().fg_color(Some(colour.into()));
                format!("{style}{text}{style:#}")
            }
        }
    }
}

/// The form of a text, as the terminal or the file wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextStyle {
    /// Whether the text has colours.
    pub mode: ColorMode,
    /// The width in columns; `None` where lines are not cut.
    pub columns: Option<usize>,
}

/// The style for a file or a pipe.
const PLAIN: TextStyle = TextStyle { mode: ColorMode::Plain, columns: None };

/// Draws a plan, with lines that are not cut.
pub fn text(plan: &Plan, mode: ColorMode) -> String {
    draw(&Document::of(plan), &Heading::default(), TextStyle { mode, ..PLAIN })
}

/// Draws the data of a plan. Its last line starts with `Plan: `, or is `Nothing to do.`; below that stand only devices that
/// are not well.
pub fn draw(plan: &Document, heading: &Heading, style: TextStyle) -> String {
    let mut page = Page { out: String::with_capacity(plan.steps.len() * 128), style };
    page.heading(heading);
    let (heads, end) = heads(plan);
    for (step, head) in plan.steps.iter().zip(&heads) {
        page.step(step, head, end);
    }
    for conflict in &plan.conflicts {
        page.remark("! conflict", conflict, "", AnsiColor::Red);
    }
    for unknown in &plan.unknown {
        page.remark("? unknown ", unknown, "left alone: ", AnsiColor::Yellow);
    }
    for ignored in &plan.ignored {
        page.remark("? ignored ", ignored, "", AnsiColor::Yellow);
    }
    for warning in &plan.warnings {
        page.remark("? warning ", warning, "", AnsiColor::Yellow);
    }
    for namesake in &plan.namesakes {
        page.remark("? stays   ", namesake, "", AnsiColor::Yellow);
    }
    if !page.out.is_empty() {
        page.out.push('\n');
    }
    page.out.push_str(&plan.summary_line());
    page.out.push('\n');
    if !plan.unwell.is_empty() {
        page.out.push('\n');
    }
    for unwell in &plan.unwell {
        page.remark("? health  ", unwell, "", AnsiColor::Yellow);
    }
    page.out
}

/// Returns the first line of each step up to its class, without colours, and the column where the classes end.
fn heads(plan: &Document) -> (Vec<String>, usize) {
    let columns = Columns::of(plan);
    let heads: Vec<String> = plan.steps.iter().map(|step| columns.head(step)).collect();
    let ends = heads.iter().zip(&plan.steps).map(|(head, step)| width(head) + 2 + width(&class(step)));
    let end = ends.max().unwrap_or(0);
    (heads, end)
}

/// The columns of the first lines of steps.
#[derive(Clone, Copy, Default)]
struct Columns {
    verb: usize,
    name: usize,
    size: usize,
}

impl Columns {
    fn of(plan: &Document) -> Self {
        let mut columns = Self::default();
        for step in &plan.steps {
            let widen = |column: &mut usize, text: &str| {
                *column =
                    Some(width(text)).filter(|width| *width <= MAX_ALIGNED).max(Some(*column)).unwrap_or(0);
            };
            widen(&mut columns.verb, &verb(step));
            widen(&mut columns.name, &printable(&step_text::title(step)));
            widen(&mut columns.size, &step_text::size(step));
        }
        columns
    }

    /// Returns the first line of a step up to its class, without colours.
    fn head(&self, step: &Step) -> String {
        let mut head = String::with_capacity(128);
        push_padded(&mut head, &verb(step), self.verb + 2);
        push_padded(&mut head, &printable(&step_text::title(step)), self.name);
        if self.size > 0 {
            head.push_str("  ");
            push_padded(&mut head, &step_text::size(step), self.size);
        }
        head.push_str("   ");
        head.push_str(&printable(&step_text::device(step)));
        head.truncate(head.trim_end().len());
        head
    }
}

/// Returns the sign and the verb of a step.
fn verb(step: &Step) -> SmolStr {
    let sign = match step.action {
        Action::Create => '+',
        Action::Remove => '-',
        Action::Reload => '~',
        _ => '>',
    };
    format_smolstr!("{sign} {}", step.action.name())
}

fn class(step: &Step) -> SmolStr {
    format_smolstr!("[{}]", step.class)
}

fn colour(step: &Step) -> AnsiColor {
    match step.action {
        Action::Create => AnsiColor::Green,
        Action::Remove => AnsiColor::Red,
        Action::Reload => AnsiColor::Yellow,
        _ => AnsiColor::Cyan,
    }
}

/// A text that is being drawn.
struct Page {
    out: String,
    style: TextStyle,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    /// Adds lines below a step: the first behind `first`, all of them within the columns.
    fn indented(&mut self, first: &str, text: &str, colour: Option<AnsiColor>) {
        let indent = INDENT + width(first);
        let room = self.style.columns.map(|columns| columns.saturating_sub(indent).max(10));
        if self.style == PLAIN {
            self.out.push_str(MARGIN);
            self.out.push_str(first);
            self.line(text);
            return;
        }
        for (index, part) in wrap(text, room).iter().enumerate() {
            let lead = if index == 0 { first.to_string() } else { " ".repeat(width(first)) };
            let text = format!("{lead}{part}");
            let painted = colour.map_or_else(|| text.clone(), |colour| self.style.mode.with(&text, colour));
            self.line(&format!("{MARGIN}{painted}"));
        }
    }

    fn heading(&mut self, heading: &Heading) {
        if let Some(made) = &heading.made {
            self.line(&printable(made));
        }
        if !heading.stale.is_empty() {
            self.line(&self.style.mode.with("Stale: this plan can't be applied any more.", AnsiColor::Red));
            for reason in &heading.stale {
                self.indented("", &printable(reason), None);
            }
        }
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn step(&mut self, step: &Step, head: &str, end: usize) {
        self.head(step, head, end);
        for Line { sign, text } in table::lines(step) {
            let colour = match sign {
                '+' => Some(AnsiColor::Green),
                '-' => Some(AnsiColor::Red),
                _ => None,
            };
            self.indented(&format!("{sign} "), &text, colour);
        }
        let sectors = step.sectors.as_deref().map(step_text::sectors).unwrap_or_default();
        if !sectors.is_empty() {
            self.indented("", &sectors, None);
        }
        if let Some(message) = &step.message {
            self.indented(
                "",
                &format!("{}: {}", step_text::addressee(step, message), printable(message)),
                None,
            );
        }
        for reason in step_text::reasons(step) {
            self.indented("", &printable(&reason), None);
        }
        if let Some(refusal) = &step.refusal {
            self.indented("refused: ", &printable(refusal), Some(AnsiColor::Red));
        }
    }

    /// Adds the first line of a step, or several when the columns are few. The class is at the right of the last one.
    fn head(&mut self, step: &Step, head: &str, end: usize) {
        let class = class(step);
        if self.style == PLAIN {
            push_padded(&mut self.out, head, end.saturating_sub(width(&class)));
            self.line(&class);
            return;
        }
        let verb = verb(step);
        let limit = self.style.columns.map(|columns| columns.max(INDENT + 20));
        let end = end.min(limit.unwrap_or(usize::MAX));
        let mut lines = wrap(head, limit.map(|limit| limit - INDENT));
        if width(head) + 2 + width(&class) <= end {
            lines = vec![head.to_string()];
        }
        lines.iter_mut().skip(1).for_each(|line| line.insert_str(0, &" ".repeat(INDENT)));
        if lines.last().is_none_or(|line| width(line) + 2 + width(&class) > end) {
            lines.push(String::new());
        }
        let last = lines.len() - 1;
        let mode = self.style.mode;
        for (index, line) in lines.iter().enumerate() {
            let mut drawn = match line.strip_prefix(verb.as_str()) {
                Some(rest) if index == 0 => format!("{}{rest}", mode.with(&verb, colour(step))),
                _ => line.clone(),
            };
            if index == last {
                drawn.push_str(&" ".repeat(end.saturating_sub(width(line) + width(&class))));
                drawn +=
                    &if step.is_refused() { mode.with(&class, AnsiColor::Red) } else { class.to_string() };
            }
            self.line(&drawn);
        }
    }

    fn remark(&mut self, sign: &str, remark: &Remark, lead: &str, colour: AnsiColor) {
        let head = format!("{}  {}  ", self.style.mode.with(sign, colour), printable(&remark.name));
        let reason = format!("{lead}{}", printable(&remark.reason));
        let taken = width(sign) + width(&printable(&remark.name)) + 4;
        match self.style.columns {
            Some(columns) if taken + width(&reason) > columns => {
                self.line(&head);
                self.indented("", &reason, None);
            }
            _ => self.line(&format!("{head}{reason}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::InUse;
    use crate::plan::document::{Difference, RowData};
    use crate::policy::Class;

    fn step(name: &str) -> Step {
        let row = |start, length, params: &str| RowData {
            start,
            length,
            kind: "linear".into(),
            params: params.into(),
            shown: None,
            provisional: false,
            lowers: Vec::new(),
        };
        Step {
            suspends: Vec::new(),
            action: Action::Reload,
            mapping: Some("data".into()),
            name: name.into(),
            uuid: None,
            number: Some("254:3".into()),
            class: Class::Remap,
            refusal: Some("needs --allow remap".to_string()),
            need: "".into(),
            table: Some(vec![row(0, 4096, "/dev/disk/by-id/a-very-long-name-of-a-disk (8:0) 8")]),
            readonly: Some(false),
            old_table: Some(vec![row(0, 2048, "8:0 0")]),
            old_readonly: Some(false),
            differences: Some(vec![Difference { text: "offset 0 -> 8".to_string(), change: None }]),
            sectors: None,
            suspended: Some(false),
            users: Some(Box::new(InUse {
                open_count: 1,
                mounts: vec!["/srv/data".to_string()],
                ..InUse::default()
            })),
            to: None,
            sector: None,
            message: None,
            unseen: None,
            volumes: Vec::new(),
        }
    }

    fn drawn(step: Step, columns: Option<usize>, mode: ColorMode) -> String {
        let plan = Document { steps: vec![step], ..Document::default() };
        draw(&plan, &Heading::default(), TextStyle { mode, columns })
    }

    #[test]
    fn a_narrow_terminal_loses_nothing() {
        let words = |text: &str| text.split_whitespace().collect::<String>();
        let wide = drawn(step("data"), None, ColorMode::Plain);
        assert!(wide.contains("~ reload  data  1.0 MiB -> 2.0 MiB   254:3, mounted on /srv/data, open 1; suspended for the swap  [remap]"), "{wide}");
        for columns in 30..110 {
            let narrow = drawn(step("data"), Some(columns), ColorMode::Plain);
            assert_eq!(words(&narrow), words(&wide), "{columns}");
            assert!(narrow.lines().all(|line| width(line) <= columns), "{columns}:\n{narrow}");
        }
    }

    #[test]
    fn colours_change_no_text() {
        let plain = drawn(step("data"), Some(60), ColorMode::Plain);
        let colour = drawn(step("data"), Some(60), ColorMode::Colour);
        assert_ne!(plain, colour);
        assert_eq!(plain, anstream::adapter::strip_str(&colour).to_string());
    }

    #[test]
    fn a_name_moves_no_cursor_and_hides_nothing() {
        let text = drawn(step("a\u{1b}[2Jb\u{202e}c\nd"), Some(80), ColorMode::Plain);
        assert!(text.contains("a\\u{1b}[2Jb\\u{202e}c\\u{a}d"), "{text}");
    }
}
