//! A plan as a person reads it.

use std::fmt::Write as _;
use std::ops::Range;

use anstyle::{AnsiColor, Style as Ansi};
use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::diff;
use crate::identity::printable;
use crate::plan::{Action, Detail, Plan, Refusal, Step};
use crate::sector_map::{SectorMap, TypedRow};
use crate::table::{self, Target};
use crate::targets::Style;
use crate::units::Sectors;

/// Names longer than this do not push everything else to the right.
const WIDEST_NAME: usize = 40;

/// Whether a text carries colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// It does.
    Colour,
    /// It does not.
    Plain,
}

impl Paint {
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

/// Draws a plan. The last line starts with `Plan: `, or is `Nothing to do.`
#[must_use]
pub fn text(plan: &Plan, paint: Paint) -> String {
    let mut out = String::new();
    let widest = plan.steps.iter().map(|step| title(step).chars().count()).max().unwrap_or(0);
    let widths = Widths { name: widest.min(WIDEST_NAME) };
    for step in &plan.steps {
        draw(&mut out, step, widths, paint);
    }
    for conflict in &plan.conflicts {
        let says = paint.with(&printable(&conflict.reason), AnsiColor::Red);
        let _ = writeln!(out, "! conflict  {}  {says}", conflict.name);
    }
    for unjudged in &plan.unjudged {
        let reason = printable(&unjudged.reason);
        let _ = writeln!(out, "? unknown   {}  left alone: {reason}", unjudged.name);
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(&summary(plan));
    out.push('\n');
    out
}

#[derive(Clone, Copy)]
struct Widths {
    name: usize,
}

/// The last line.
fn summary(plan: &Plan) -> String {
    if plan.is_empty() {
        return "Nothing to do.".to_string();
    }
    let mut parts: Vec<String> =
        plan.summary().iter().map(|(action, count)| format!("{count} {}", action.name())).collect();
    let refused = plan.refused().count();
    if refused > 0 {
        parts.push(format!("{refused} refused"));
    }
    if !plan.conflicts.is_empty() {
        let count = plan.conflicts.len();
        parts.push(format!("{count} {}", if count == 1 { "conflict" } else { "conflicts" }));
    }
    format!("Plan: {}.", parts.join(", "))
}

fn draw(out: &mut String, step: &Step, widths: Widths, paint: Paint) {
    let (sign, colour) = match step.action {
        Action::Create => ('+', AnsiColor::Green),
        Action::Remove => ('-', AnsiColor::Red),
        Action::Reload => ('~', AnsiColor::Yellow),
        _ => ('>', AnsiColor::Cyan),
    };
    let verb = paint.with(&format!("{sign} {:<8}", step.action.name()), colour);
    let head = format!("{verb} {:<width$}  {}", title(step), facts(step), width = widths.name);
    let class = match &step.refused {
        None => format!("[{}]", step.class),
        Some(refusal) => paint.with(&format!("[{}] refused: {}", step.class, shown(refusal)), AnsiColor::Red),
    };
    let _ = writeln!(out, "{}  {class}", head.trim_end());
    match &step.detail {
        Detail::Create { table, .. } => {
            for row in table {
                let line = paint.with(&format!("+ {}", printable(&row.line(Style::Shown))), AnsiColor::Green);
                let _ = writeln!(out, "    {line}");
            }
        }
        Detail::Reload { table, old, diff, .. } => {
            tables(out, table, old, paint);
            let says = sectors(&diff.map);
            if !says.is_empty() {
                let _ = writeln!(out, "    {says}");
            }
            let _ = writeln!(out, "    {}", printable(&step.reason));
        }
        Detail::Message { text, sector, .. } => {
            let _ = writeln!(out, "    {sector} {}", printable(text));
        }
        // A plain creation or removal speaks for itself; what is at stake beyond that is said.
        _ if step.refused.is_some() || !step.class.allowed_unasked() => {
            let _ = writeln!(out, "    {}", printable(&step.reason));
        }
        _ => {}
    }
}

fn shown(refusal: &Refusal) -> String {
    printable(&refusal.to_string()).into_owned()
}

fn title(step: &Step) -> String {
    match &step.detail {
        Detail::Rename { to } => format!("{} -> {to}", step.name),
        _ => step.name.to_string(),
    }
}

/// What stands behind the name: sizes, number, who uses it.
fn facts(step: &Step) -> String {
    let number = step.number.map(|number| number.to_string()).unwrap_or_default();
    match &step.detail {
        Detail::Create { table, readonly } => {
            let size = Sectors(table.last().map_or(0, TypedRow::end)).human();
            let uuid = step.uuid.as_ref().map(ToString::to_string).unwrap_or_default();
            let mode = if *readonly { "  read-only" } else { "" };
            format!("{size}   {uuid}{mode}")
        }
        Detail::Reload { table, old, users, suspended, .. } => {
            let (after, before) = (table.last().map_or(0, TypedRow::end), table::sectors(old));
            let size = if after == before {
                Sectors(after).human()
            } else {
                format!("{} -> {}", Sectors(before).human(), Sectors(after).human())
            };
            let swap = if *suspended { "resumed by the swap" } else { "suspended for the swap" };
            format!("{size}   {}; {swap}", join(&number, &users.describe()))
        }
        Detail::Remove { old, users, .. } => {
            format!("{}   {}", Sectors(table::sectors(old)).human(), join(&number, &users.describe()))
        }
        Detail::Suspend { users, .. } => join(&number, &users.describe()),
        Detail::SetUuid => join(&number, &step.uuid.as_ref().map(ToString::to_string).unwrap_or_default()),
        _ => number,
    }
}

fn join(one: &str, two: &str) -> String {
    match (one.is_empty(), two.is_empty()) {
        (_, true) => one.to_string(),
        (true, _) => printable(two).into_owned(),
        _ => format!("{one}, {}", printable(two)),
    }
}

/// The rows of both tables: those that stay, those that go (`-`) and those that come (`+`).
fn tables(out: &mut String, new: &[TypedRow], old: &[Target], paint: Paint) {
    let live = diff::understand(old).unwrap_or_default();
    let compared = |rows: &[TypedRow]| rows.iter().map(|row| row.line(Style::Redacted)).collect::<Vec<_>>();
    let (before, after) = (compared(&live), compared(new));
    let mut row = |sign: char, row: &TypedRow| {
        let text = format!("{sign} {}", printable(&row.line(Style::Shown)));
        let painted = match sign {
            '+' => paint.with(&text, AnsiColor::Green),
            '-' => paint.with(&text, AnsiColor::Red),
            _ => text,
        };
        let _ = writeln!(out, "    {painted}");
    };
    for op in capture_diff_slices(Algorithm::Myers, &before, &after) {
        if let DiffOp::Equal { .. } = op {
            new[op.new_range()].iter().for_each(|line| row(' ', line));
        } else {
            live[op.old_range()].iter().for_each(|line| row('-', line));
            new[op.new_range()].iter().for_each(|line| row('+', line));
        }
    }
}

/// What becomes of the sectors, in sizes a person reads.
fn sectors(map: &SectorMap) -> String {
    let parts =
        [("keeps", &map.keeps), ("moves", &map.moves), ("adds", &map.appears), ("cuts off", &map.vanishes)];
    let say = |(verb, ranges): &(&str, &Vec<Range<u64>>)| {
        let ranges: Vec<String> = ranges.iter().map(range).collect();
        (!ranges.is_empty()).then(|| format!("{verb} {}", ranges.join(" and ")))
    };
    parts.iter().filter_map(say).collect::<Vec<_>>().join(", ")
}

fn range(range: &Range<u64>) -> String {
    let bound = |sector: u64| if sector == 0 { "0".to_string() } else { Sectors(sector).human() };
    format!("{}..{}", bound(range.start), bound(range.end))
}
