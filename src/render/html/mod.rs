//! Draws a plan as a page of its own, for a review: the risks first, then the stacks before and after, then every step.
//!
//! The page is one file. It fetches nothing, runs nothing, and its own policy forbids both.

mod drawing;
mod graph;
mod sectors;
mod steps;

use super::escape::Text;
use super::{Heading, step_text};
use crate::plan::document::{Document, Step};
use crate::text::{push, push_line};

/// The style of the page, on a screen large or small, light or dark, and on paper.
const STYLE: &str = include_str!("page.css");

/// Draws a plan. Text from outside is escaped.
pub fn page(plan: &Document, heading: &Heading) -> String {
    let mut out = String::new();
    let summary = plan.summary_line();
    push!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>dmctl: {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>{title}</h1>\n",
        title = Text(&summary),
    );
    if let Some(made) = &heading.made {
        push_line!(out, "<p>{}</p>", Text(made));
    }
    out.push_str("</header>\n<main>\n");
    stale(&mut out, heading);
    risks(&mut out, plan);
    if !plan.steps.is_empty() {
        drawing::draw(&mut out, plan);
        steps::draw(&mut out, plan);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn stale(out: &mut String, heading: &Heading) {
    if heading.stale.is_empty() {
        return;
    }
    out.push_str("<div class=\"note stop\"><b>Stale: this plan can't be applied any more.</b>\n<ul>\n");
    for reason in &heading.stale {
        push_line!(out, "<li>{}</li>", Text(reason));
    }
    out.push_str("</ul></div>\n");
}

/// Draws what a reviewer must read first: conflicts, refused and risky steps, devices in use, and what is left alone.
fn risks(out: &mut String, plan: &Document) {
    out.push_str("<section>\n<h2>What is at risk</h2>\n");
    let before = out.len();
    for conflict in &plan.conflicts {
        note(out, "stop", "conflict", &conflict.name, &conflict.reason);
    }
    for step in plan.steps.iter().filter(|step| step.is_refused()) {
        let message = format!("{}; {}", step.reason(), step.refusal.as_deref().unwrap_or_default());
        note(
            out,
            "stop",
            &format!("refused: {} [{}]", step.action.name(), step.class),
            &step_text::title(step),
            &message,
        );
    }
    for step in plan.steps.iter().filter(|step| !step.is_refused() && !step.class.allowed_unasked()) {
        note(
            out,
            "care",
            &format!("{} [{}]", step.action.name(), step.class),
            &step_text::title(step),
            &step.reason(),
        );
    }
    for step in plan.steps.iter().filter(|step| in_use(step)) {
        note(
            out,
            "care",
            &format!("in use: {}", step.action.name()),
            &step_text::title(step),
            &step_text::device(step),
        );
    }
    for unknown in &plan.unknown {
        note(out, "care", "left alone", &unknown.name, &unknown.reason);
    }
    for ignored in &plan.ignored {
        note(out, "care", "ignored", &ignored.name, &ignored.reason);
    }
    for warning in &plan.warnings {
        note(out, "care", "warning", &warning.name, &warning.reason);
    }
    for namesake in &plan.namesakes {
        note(out, "care", "stays", &namesake.name, &namesake.reason);
    }
    for unwell in &plan.unwell {
        note(out, "care", "not well", &unwell.name, &unwell.reason);
    }
    if out.len() == before {
        out.push_str("<div class=\"note calm\">Nothing: every step is of a class that needs no approval, and nothing uses the devices that they touch.</div>\n");
    }
    out.push_str("</section>\n");
}

fn note(out: &mut String, kind: &str, title: &str, name: &str, message: &str) {
    let (title, name, message) = (Text(title), Text(name), Text(message));
    push_line!(out, "<div class=\"note {kind}\"><b>{title} <code>{name}</code></b><br>{message}</div>");
}

/// Returns whether a user of the device notices the step: it is mounted, swap space, held or open.
fn in_use(step: &Step) -> bool {
    step.users.as_ref().is_some_and(|users| !users.describe().is_empty())
}
