//! Errors in the fields of a target, found before the kernel is asked.

use std::borrow::Cow;
use std::fmt;

/// A field that breaks a rule, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field, as a path below the target: `chunk`, `stripes[1].offset`. Empty for the target itself.
    pub field: String,
    /// The rule that the field breaks.
    pub message: Cow<'static, str>,
    /// How to keep the rule, where that does not follow from it.
    pub help: Option<Cow<'static, str>>,
    /// The nearest legal value, in the unit of the field, where there is one.
    pub nearest: Option<u64>,
}

impl Problem {
    /// Sets how to keep the rule.
    pub fn help(&mut self, help: impl Into<Cow<'static, str>>) {
        self.help = Some(help.into());
    }

    /// Sets the nearest legal value.
    pub fn nearest(&mut self, value: u64) {
        self.nearest = Some(value);
    }

    /// Lists the advice, a sentence each.
    pub fn advice(&self) -> impl Iterator<Item = Cow<'static, str>> {
        let nearest = self.nearest.map(|value| format!("the nearest is {value}").into());
        self.help.clone().into_iter().chain(nearest)
    }
}

/// The rule, and behind a semicolon what helps.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.advice().try_for_each(|advice| write!(f, "; {advice}"))
    }
}

/// Collects all problems of a target, rather than the first.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds the rule that a field breaks; what helps can be added to what is returned.
    pub fn at(&mut self, field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> &mut Problem {
        let problem = Problem { field: field.into(), message: message.into(), help: None, nearest: None };
        let place = self.0.len();
        self.0.push(problem);
        &mut self.0[place]
    }

    /// Wants `value` to be a power of two from `least` to `most`.
    pub fn power_of_two(&mut self, field: &str, value: u64, least: u64, most: u64) {
        if !value.is_power_of_two() || value < least || value > most {
            let message = format!("{field} must be a power of two from {least} to {most}, {value} is not");
            self.at(field, message).nearest(nearest_power(value).clamp(least, most));
        }
    }

    /// Wants `value` to be a multiple of `step` from `least` to `most`.
    pub fn multiple(&mut self, field: &str, value: u64, step: u64, least: u64, most: u64) {
        if !value.is_multiple_of(step) || value < least || value > most {
            let message =
                format!("{field} must be a multiple of {step} from {least} to {most}, {value} is not");
            let nearest = (value.saturating_add(step / 2) / step).saturating_mul(step);
            self.at(field, message).nearest(nearest.clamp(least, most));
        }
    }

    /// Wants a length of whole blocks of `block` sectors, the size that `field` sets.
    pub fn whole_blocks(&mut self, length: u64, block: u64, field: &str) {
        if !length.is_multiple_of(block) {
            let message = format!("length must be a multiple of {field} ({block} sectors), {length} is not");
            self.at("length", message).nearest((length / block * block).max(block));
        }
    }

    /// Wants `value` to be from `least` to `most`.
    pub fn range(&mut self, field: &str, value: u64, least: u64, most: u64) {
        if value < least || value > most {
            let message = format!("{field} must be from {least} to {most}, {value} is not");
            self.at(field, message).nearest(value.clamp(least, most));
        }
    }

    /// Wants `text` to be one word of a table: not empty, no blanks, and no backslash, which the kernel
    /// would take for a quote.
    pub fn word(&mut self, field: &str, text: &str) {
        if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            self.at(
                field,
                format!("{field} must be one word, without blanks, control characters or backslashes"),
            );
        }
    }

    /// Returns the problems in the order they were added.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    /// Returns whether the target has no problem.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns the power of two closest to `value`, the larger one of two as close.
fn nearest_power(value: u64) -> u64 {
    let Some(above) = value.checked_next_power_of_two() else { return 1 << 63 };
    let below = (above / 2).max(1);
    if above - value <= value.saturating_sub(below) { above } else { below }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_legal_value_is_named() {
        let mut problems = Problems::default();
        problems.power_of_two("chunk", 100, 8, 2048);
        problems.multiple("block_size", 200, 128, 128, 2_097_152);
        problems.range("legs", 12, 2, 9);
        problems.power_of_two("fine", 64, 8, 2048);
        problems.power_of_two("huge", u64::MAX, 8, 2048);
        let problems = problems.into_vec();
        let nearest: Vec<u64> = problems.iter().filter_map(|problem| problem.nearest).collect();
        assert_eq!(nearest, [128, 256, 9, 2048]);
        let chunk = "chunk must be a power of two from 8 to 2048, 100 is not; the nearest is 128";
        assert_eq!(problems[0].to_string(), chunk);
    }
}
