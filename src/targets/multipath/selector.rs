//! What the path selectors take, and what they print of it.
//!
//! Kernel source: `drivers/md/dm-ps-*.c`. A selector prints its arguments with every default filled in, so
//! two lists are compared in that form. The repeat count is read and then ignored by all of them.

use super::Group;
use crate::targets::Problems;
use crate::targets::argument::Argument;

/// The weight of `historical-service-time`, in 1024ths, when none is given.
const WEIGHT: u32 = 972;
/// The relative throughput of a path for `service-time` when none is given, and the largest.
const THROUGHPUT: (u32, u64) = (1, 100);

/// How many words a selector takes for itself and for a path; none where it is not known.
fn counts(selector: &str) -> Option<(u64, u64, u64)> {
    // For itself at most, for a path at least, for a path at most.
    match selector {
        "round-robin" | "queue-length" => Some((0, 0, 1)),
        "service-time" => Some((0, 0, 2)),
        "historical-service-time" => Some((2, 0, 1)),
        "io-affinity" => Some((0, 1, 1)),
        _ => None,
    }
}

/// `given` or `default`, whichever comes first at `index`.
fn or_default(given: &[Argument], index: usize, default: u32) -> Argument {
    given.get(index).cloned().unwrap_or_else(|| default.into())
}

/// The arguments of a selector with its defaults.
pub(super) fn group_args(selector: &str, given: &[Argument]) -> Vec<Argument> {
    match selector {
        "historical-service-time" => vec![or_default(given, 0, WEIGHT), or_default(given, 1, 0)],
        _ => given.to_vec(),
    }
}

/// The arguments of a path that mean something, with the defaults of its selector.
pub(super) fn path_args(selector: &str, given: &[Argument]) -> Vec<Argument> {
    match selector {
        "round-robin" | "queue-length" | "historical-service-time" => Vec::new(),
        "service-time" => vec![or_default(given, 1, THROUGHPUT.0)],
        "io-affinity" => given.iter().map(cpu_mask).collect(),
        _ => given.to_vec(),
    }
}

/// A mask of CPUs in one spelling: the kernel prints hexadecimal digits in groups, with leading zeros.
fn cpu_mask(mask: &Argument) -> Argument {
    let digits: String = mask.as_str().chars().filter(|c| *c != ',').collect();
    let digits = digits.trim_start_matches('0').to_ascii_lowercase();
    Argument::new(if digits.is_empty() { "0" } else { &digits }).unwrap_or_else(|_| mask.clone())
}

/// Checks a name that must be one word.
pub(super) fn check_name(field: &str, name: &str, problems: &mut Problems) {
    if let Err(error) = Argument::new(name) {
        problems.at(field, error.to_string());
    }
}

/// Checks the words of a group.
pub(super) fn check(group: &Group, name: &str, problems: &mut Problems) {
    check_name(&format!("{name}.selector"), &group.selector, problems);
    problems.range(&format!("{name}.paths"), group.paths.len() as u64, 1, super::MAX_COUNT);
    let first = group.paths.first().map_or(0, |path| path.args.len());
    let (own, least, most) = counts(&group.selector).unwrap_or((super::MAX_COUNT, 0, super::MAX_COUNT));
    count(&format!("{name}.selector_args"), group.selector_args.len(), 0, own, problems);
    if group.selector == "historical-service-time" {
        let [weight, threshold] = [0, 1].map(|index| or_default(&group.selector_args, index, 0));
        number(&format!("{name}.selector_args[0]"), &weight, 1023, problems);
        number(&format!("{name}.selector_args[1]"), &threshold, u32::MAX.into(), problems);
    }
    for (index, path) in group.paths.iter().enumerate().take(super::MAX_CHECKED) {
        let field = format!("{name}.paths[{index}].args");
        count(&field, path.args.len(), least, most, problems);
        if path.args.len() != first {
            problems.at(
                &field,
                format!(
                    "every path of a group takes as many words: {first} like the first, not {}",
                    path.args.len()
                ),
            );
        }
        if let (Some(_), false, Some(repeat)) =
            (counts(&group.selector), group.selector == "io-affinity", path.args.first())
        {
            number(&format!("{field}[0]"), repeat, u32::MAX.into(), problems);
        }
        if let ("service-time", Some(throughput)) = (group.selector.as_str(), path.args.get(1)) {
            number(&format!("{field}[1]"), throughput, THROUGHPUT.1, problems);
        }
    }
}

/// Wants from `least` to `most` words.
fn count(field: &str, words: usize, least: u64, most: u64, problems: &mut Problems) {
    let words = words as u64;
    if words < least || words > most {
        let wants = if least == most { most.to_string() } else { format!("{least} to {most}") };
        problems.at(field, format!("{field} takes {wants} words, not {words}"));
    }
}

/// Wants a number of at most `most`.
fn number(field: &str, argument: &Argument, most: u64, problems: &mut Problems) {
    match argument.number() {
        Some(number) => problems.range(field, number, 0, most),
        None => {
            problems.at(field, format!("{field} must be a number from 0 to {most}, `{argument}` is none"));
        }
    }
}
