//! What holds of every row that a kernel took.

use dmctl::targets::{self, Problems, Style, Target};
use toml::de::Deserializer;

use super::exceptions::{
    BEYOND_A_MAP, COMPLETED_BY_THE_KERNEL, IGNORED_BY_THE_KERNEL, PRINTED_OTHERWISE, names,
};
use super::row::{Row, resolve};

/// Reads parameters of the row, and checks them.
pub fn read(row: &Row, params: &str) -> Result<Box<dyn Target>, String> {
    let typed = targets::parse(&row.target, params).map_err(|error| error.to_string())?;
    match problem(typed.as_ref(), row.length) {
        Some(problem) => Err(problem),
        None => Ok(typed),
    }
}

/// The first problem of a row of this length, in sectors.
fn problem(typed: &dyn Target, length: Option<u64>) -> Option<String> {
    let mut problems = Problems::default();
    typed.check(length, &mut problems);
    problems.into_vec().first().map(ToString::to_string)
}

/// The same target, equal in the eyes of its own comparison.
fn is_equal(one: &dyn Target, other: &dyn Target) -> Result<(), String> {
    let differences = one.compare(other).expect("both are of one type");
    if differences.is_equal() { Ok(()) } else { Err(format!("{differences:?}")) }
}

/// A target with the words of a kernel: printed and read it is the same.
fn reads_back(row: &Row, typed: &dyn Target) -> Result<(), String> {
    let words = typed.params(Style::Kernel);
    let again = read(row, &words).map_err(|error| format!("printed as `{words}`, refused: {error}"))?;
    if again.params(Style::Kernel) != words {
        return Err(format!("printed as `{words}`, then as `{}`", again.params(Style::Kernel)));
    }
    Ok(())
}

/// A target, written to a map and read back. A key is not written.
fn goes_through_a_map(row: &Row, typed: &dyn Target) -> Result<(), String> {
    let words = typed.params(Style::Kernel);
    if words.split_whitespace().any(|word| BEYOND_A_MAP.contains(&word)) {
        return Ok(());
    }
    let kind = targets::find(&row.target).ok_or("the target is not known")?;
    let style = if kind.traits.secret { Style::Redacted } else { Style::Kernel };
    let fields = typed.fields();
    let text = fields.to_string();
    let read = Deserializer::parse(&text).and_then(|text| kind.deserialize(text));
    let read = read.map_err(|error| format!("in a map `{text}`, refused: {error}"))?;
    if read.params(style) != typed.params(style) || read.fields() != fields {
        return Err(format!("in a map `{text}`, and from there `{}`", read.params(style)));
    }
    Ok(())
}

/// What dmctl would load, or write to a map, to have it again.
fn can_be_had_again(row: &Row, printed: &dyn Target) -> Result<(), String> {
    let again = printed.for_export();
    is_equal(again.as_ref(), printed)?;
    reads_back(row, again.as_ref())?;
    is_equal(read(row, &again.params(Style::Kernel))?.as_ref(), printed)
}

/// Whether dmctl prints what was printed word for word.
pub fn is_reprinted(row: &Row) -> Result<bool, String> {
    let words: Vec<&str> = row.printed.split_whitespace().collect();
    Ok(read(row, &row.printed)?.params(Style::Kernel) == words.join(" "))
}

/// Whether dmctl prints what was loaded as it prints what was printed.
pub fn is_loaded_as_printed(row: &Row) -> Result<bool, String> {
    let [loaded, printed] = both(row)?.map(|typed| typed.params(Style::Kernel));
    Ok(loaded == printed)
}

/// Reads what was loaded and what was printed, with the numbers of their devices.
fn both(row: &Row) -> Result<[Box<dyn Target>; 2], String> {
    let mut loaded =
        read(row, &row.loaded).map_err(|error| format!("what was loaded is refused: {error}"))?;
    let mut printed =
        read(row, &row.printed).map_err(|error| format!("what was printed is refused: {error}"))?;
    resolve(loaded.as_mut(), printed.as_mut());
    Ok([loaded, printed])
}

/// A row the kernel took: equal to what it printed, unless the kernel ignored it.
fn holds(row: &Row) -> Result<(), String> {
    for params in [&row.loaded, &row.printed] {
        let typed = read(row, params)?;
        reads_back(row, typed.as_ref())?;
        goes_through_a_map(row, typed.as_ref())?;
    }
    if !is_reprinted(row)? && !names(PRINTED_OTHERWISE, row) {
        return Err("what was printed is printed otherwise".to_string());
    }
    let [loaded, printed] = both(row)?;
    let (loaded, printed) = (loaded.as_ref(), printed.as_ref());
    // A row must also be right where its length is known.
    let length = row.length.unwrap_or(if row.target == "verity" { 2048 } else { 8192 });
    if let Some(problem) = problem(loaded, Some(length)) {
        return Err(format!("refused with {length} sectors: {problem}"));
    }
    can_be_had_again(row, printed)?;
    if IGNORED_BY_THE_KERNEL.iter().any(|(target, params, _)| row.is(target, params)) {
        return match is_equal(loaded, printed) {
            Ok(()) => Err("expected a difference, found none".to_string()),
            Err(_) => Ok(()),
        };
    }
    is_equal(loaded, printed).map_err(|found| format!("expected no difference, found {found}"))?;
    if !is_loaded_as_printed(row)? && !names(COMPLETED_BY_THE_KERNEL, row) {
        return Err(format!("equal, yet `{}` would be loaded", loaded.params(Style::Kernel)));
    }
    Ok(())
}

/// Checks a row that the kernel took.
pub fn taken(row: &Row, failures: &mut Vec<String>) {
    failures.extend(holds(row).err().map(|error| format!("{row}: {error}")));
}

/// Checks a row of a type that prints what it does not load: it is read, and left alone.
pub fn unjudged(row: &Row, failures: &mut Vec<String>) {
    match both(row) {
        Err(error) => failures.push(format!("{row}: {error}")),
        Ok([loaded, printed]) => {
            let differences = printed.compare(printed.as_ref()).expect("both are of one type");
            if differences.unknown.is_none() {
                failures.push(format!("{row}: must not be judged"));
            }
            if loaded.params(Style::Kernel) != printed.params(Style::Kernel) {
                failures.push(format!("{row}: printed as `{}`", printed.params(Style::Kernel)));
            }
        }
    }
}
