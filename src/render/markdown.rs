//! Draws a plan in Markdown, for a pull request.

use super::{Heading, step_text, table};
use crate::identity::printable;
use crate::plan::document::{Document, Step};
use crate::text::push_line;

/// Characters that have a meaning anywhere in Markdown, or in HTML within it.
const SPECIAL: &[char] = &['\\', '`', '*', '_', '[', ']', '#', '|', '~', '@', '$'];

/// Draws a plan. Text from outside is escaped.
pub fn markdown(plan: &Document, heading: &Heading) -> String {
    let mut out = format!("## {}\n", escape(&plan.summary_line()));
    if let Some(made) = &heading.made {
        push_line!(out, "\n{}", escape(made));
    }
    if !heading.stale.is_empty() {
        out.push_str("\n> **Stale: this plan can't be applied any more.**\n");
        for reason in &heading.stale {
            push_line!(out, "> - {}", escape(reason));
        }
    }
    risks(&mut out, plan);
    if !plan.steps.is_empty() {
        out.push_str("\n| | step | device | size | number and users | class |\n|---|---|---|---|---|---|\n");
        for (index, step) in plan.steps.iter().enumerate() {
            row(&mut out, index + 1, step);
        }
        plan.steps.iter().enumerate().for_each(|(index, step)| detail(&mut out, index + 1, step));
    }
    for unknown in &plan.unknown {
        push_line!(out, "\n{} is left alone: {}", code(&unknown.name), escape(&unknown.reason));
    }
    for ignored in &plan.ignored {
        push_line!(out, "\nOf {} is ignored: {}", code(&ignored.name), escape(&ignored.reason));
    }
    for warning in &plan.warnings {
        push_line!(out, "\nWarning about {}: {}", code(&warning.name), escape(&warning.reason));
    }
    for namesake in &plan.namesakes {
        push_line!(out, "\n{} stays: {}", code(&namesake.name), escape(&namesake.reason));
    }
    for unwell in &plan.unwell {
        push_line!(out, "\n{} is {}", code(&unwell.name), escape(&unwell.reason));
    }
    out
}

/// Draws what a reviewer must read first.
fn risks(out: &mut String, plan: &Document) {
    let mut lines: Vec<String> = plan
        .conflicts
        .iter()
        .map(|conflict| format!("**conflict** {}: {}", code(&conflict.name), escape(&conflict.reason)))
        .collect();
    for step in &plan.steps {
        let title = || format!("{} {}", step.action.name(), code(&step_text::title(step)));
        if let Some(refusal) = &step.refusal {
            let need = escape(&step.reason());
            lines.push(format!("**refused** {}: {need}; {}", title(), escape(refusal)));
        } else if !step.class.allowed_unasked() {
            lines.push(format!("**{}** {}: {}", step.class, title(), escape(&step.reason())));
        }
    }
    if !lines.is_empty() {
        push_line!(out, "\n- {}", lines.join("\n- "));
    }
}

fn row(out: &mut String, number: usize, step: &Step) {
    let refused = if step.is_refused() { " refused" } else { "" };
    push_line!(
        out,
        "| {number} | {} | {} | {} | {} | {}{refused} |",
        step.action.name(),
        code(&step_text::title(step)),
        escape(&step_text::size(step)),
        escape(&step_text::device(step)),
        step.class,
    );
}

/// Draws the tables of a step, and the change of its sectors.
fn detail(out: &mut String, number: usize, step: &Step) {
    let lines = table::lines(step);
    let sectors = step.sectors.as_deref().map(step_text::sectors).unwrap_or_default();
    let mut remarks: Vec<String> = (!sectors.is_empty()).then_some(sectors).into_iter().collect();
    remarks.extend(step.message.clone());
    remarks.extend(step_text::reasons(step));
    if lines.is_empty() && remarks.is_empty() {
        return;
    }
    push_line!(out, "\n**{number}. {} {}**\n", step.action.name(), code(&step_text::title(step)));
    if !lines.is_empty() {
        let body: Vec<String> = lines.iter().map(|line| format!("{} {}", line.sign, line.text)).collect();
        let body = body.join("\n");
        let fence = "`".repeat(longest_run(&body).max(2) + 1);
        push_line!(out, "{fence}diff\n{body}\n{fence}");
    }
    for remark in &remarks {
        push_line!(out, "- {}", escape(remark));
    }
}

/// Escapes text from outside for a line.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in printable(text).chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            _ if SPECIAL.contains(&character) => escaped.extend(['\\', character]),
            _ => escaped.push(character),
        }
    }
    // A device may be named like a link: it must not become one.
    escaped.replace("://", "\\://")
}

/// Writes a name as code. A `|` ends even code within a table, so it is replaced.
fn code(text: &str) -> String {
    let text = printable(text);
    if text.contains(['`', '|', '\\']) {
        return escape(&text);
    }
    format!("`{text}`")
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_is_markup() {
        assert_eq!(escape("a|b <i> *c* [x](y)\u{1b}"), "a\\|b &lt;i&gt; \\*c\\* \\[x\\](y)\\\\u{1b}");
        assert_eq!(code("plain"), "`plain`");
        assert_eq!(code("a|b"), "a\\|b");
        assert_eq!(longest_run("``` ` ``"), 3);
    }
}
