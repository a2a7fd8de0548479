//! Draws a bar of the sectors of a device: which stay, move, come and go.

use crate::plan::document::{Sectors, Step};
use crate::render::escape::Text;
use crate::render::step_text;
use crate::text::push;

/// The width of the bar, in units of its own.
const WIDTH: u64 = 10_000;
/// The least width of a part, which would be invisible otherwise.
const MIN_PART_WIDTH: u64 = 15;
/// The most parts of a kind that are drawn: more can't be told apart.
const MAX_PARTS: usize = 600;

/// Draws the bar of a step, and below it a legend of the colours.
pub(crate) fn draw(out: &mut String, step: &Step) {
    let Some(sectors) = &step.sectors else { return };
    let size = step.size_before().max(step.size_after()).unwrap_or(0).max(1);
    let summary = step_text::sectors(sectors);
    push!(
        out,
        "<svg class=\"bar\" viewBox=\"0 0 {WIDTH} 18\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
        Text(&summary)
    );
    for (class, (start, end)) in parts(sectors) {
        let (left, right) = (scaled(start, size), scaled(end, size));
        let width = right.saturating_sub(left).max(MIN_PART_WIDTH);
        push!(out, "<rect class=\"{class}\" x=\"{left}\" y=\"0\" width=\"{width}\" height=\"18\"/>");
    }
    out.push_str("</svg>\n<div class=\"legend\">");
    for (class, (verb, ranges)) in CLASSES.iter().zip(step_text::kinds(sectors)) {
        if !ranges.is_empty() {
            let shown = step_text::ranges(ranges);
            push!(out, "<span><i class=\"{class}\"></i>{verb} {}</span>", Text(&shown));
        }
    }
    out.push_str("</div>\n");
}

/// The style class of each kind, in the order of [`step_text::kinds`].
const CLASSES: [&str; 4] = ["keeps", "moves", "adds", "cuts"];

/// Returns the parts in the order of drawing: those that change come last, over those that stay.
fn parts(sectors: &Sectors) -> impl Iterator<Item = (&'static str, (u64, u64))> {
    let kinds = step_text::kinds(sectors);
    let kinds = CLASSES.into_iter().zip(kinds.map(|(_, ranges)| ranges.to_vec()));
    kinds.flat_map(|(class, ranges)| ranges.into_iter().take(MAX_PARTS).map(move |range| (class, range)))
}

fn scaled(sector: u64, size: u64) -> u64 {
    let scaled = u128::from(sector.min(size)) * u128::from(WIDTH) / u128::from(size);
    u64::try_from(scaled).unwrap_or(WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_device_fits() {
        assert_eq!(scaled(u64::MAX, u64::MAX), WIDTH);
        assert_eq!(scaled(u64::MAX, 1), WIDTH);
        assert_eq!(scaled(1, 2), WIDTH / 2);
    }
}
