//! What is wrong with the fields of a target, found before the kernel is asked.

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which field, as a path below the target: `chunk`, `stripes[1].offset`. Empty for the target itself.
    pub field: String,
    /// The rule, and the nearest legal value where there is one.
    pub says: String,
}

/// Collects problems.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn at(&mut self, field: impl Into<String>, says: impl Into<String>) {
        self.0.push(Problem { field: field.into(), says: says.into() });
    }

    /// Wants `value` to be a power of two from `least` to `most`.
    pub fn power_of_two(&mut self, field: &str, value: u64, least: u64, most: u64) {
        if !value.is_power_of_two() || value < least || value > most {
            let nearest = nearest_power(value).clamp(least, most);
            self.at(
                field,
                format!(
                    "{field} must be a power of two from {least} to {most}, {value} is not; the nearest is {nearest}"
                ),
            );
        }
    }

    /// Wants `value` to be a multiple of `step` from `least` to `most`.
    pub fn multiple(&mut self, field: &str, value: u64, step: u64, least: u64, most: u64) {
        if !value.is_multiple_of(step) || value < least || value > most {
            let nearest = (value.saturating_add(step / 2) / step).saturating_mul(step).clamp(least, most);
            self.at(
                field,
                format!(
                    "{field} must be a multiple of {step} from {least} to {most}, {value} is not; the nearest is {nearest}"
                ),
            );
        }
    }

    /// Wants `value` to be from `least` to `most`.
    pub fn range(&mut self, field: &str, value: u64, least: u64, most: u64) {
        if value < least || value > most {
            let nearest = value.clamp(least, most);
            self.at(
                field,
                format!("{field} must be from {least} to {most}, {value} is not; the nearest is {nearest}"),
            );
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

    /// All that were found.
    #[must_use]
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The power of two closest to `value`, the larger one of two as close.
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
        let says: Vec<String> = problems.into_vec().into_iter().map(|p| p.says).collect();
        assert_eq!(says.len(), 4);
        assert!(says[0].ends_with("the nearest is 128"), "{}", says[0]);
        assert!(says[1].ends_with("the nearest is 256"), "{}", says[1]);
        assert!(says[2].ends_with("the nearest is 9"), "{}", says[2]);
        assert!(says[3].ends_with("the nearest is 2048"), "{}", says[3]);
    }
}
