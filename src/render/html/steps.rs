//! Draws every step of a plan, in order.

use super::sectors;
use crate::plan::document::{Document, Step};
use crate::render::escape::Text;
use crate::render::{step_text, table};
use crate::text::{push, push_line};

pub(crate) fn draw(out: &mut String, plan: &Document) {
    out.push_str("<section>\n<h2>The steps, in order</h2>\n");
    for (index, step) in plan.steps.iter().enumerate() {
        draw_step(out, index + 1, step);
    }
    out.push_str("</section>\n");
}

fn draw_step(out: &mut String, number: usize, step: &Step) {
    let action = step.action.name();
    let weight = match (step.is_refused(), step.class.allowed_unasked()) {
        (true, _) => " refused",
        (false, false) => " heavy",
        (false, true) => "",
    };
    push!(
        out,
        "<article class=\"step {action}\" data-step=\"{number}\">\n<div class=\"head\"><span class=\"verb\">{action}</span>\
         <h3><code>{}</code></h3><span class=\"facts\">{}</span><span class=\"class{weight}\">{}</span></div>\n",
        Text(&step_text::title(step)),
        Text(&step_text::size(step)),
        step.class,
    );
    let device = step_text::device(step);
    if !device.is_empty() {
        push_line!(out, "<div class=\"facts\">{}</div>", Text(&device));
    }
    sectors::draw(out, step);
    rows(out, step);
    if let Some(message) = &step.message {
        let addressee = step_text::addressee(step, message);
        push_line!(out, "<p class=\"says\">{addressee}: <code>{}</code></p>", Text(message));
    }
    for reason in step_text::reasons(step) {
        push_line!(out, "<p class=\"says\">{}</p>", Text(&reason));
    }
    if let Some(refusal) = &step.refusal {
        push_line!(out, "<p class=\"refusal\">refused: {}</p>", Text(refusal));
    }
    out.push_str("</article>\n");
}

fn rows(out: &mut String, step: &Step) {
    let lines = table::lines(step);
    if lines.is_empty() {
        return;
    }
    out.push_str("<pre>");
    for line in lines {
        let class = match line.sign {
            '+' => " class=\"come\"",
            '-' => " class=\"go\"",
            _ => "",
        };
        push!(out, "<span{class}>{} {}</span>", line.sign, Text(&line.text));
    }
    out.push_str("</pre>\n");
}
