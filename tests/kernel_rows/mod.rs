//! What real kernels printed for what they were given, row by row: the files in `tests/data`.

/// A row: its line in the file, the target, the parameters that were loaded, and those that were printed, or behind `!`
/// how the kernel refused.
pub type Columns = (usize, &'static str, String, String);

/// The rows of a file.
pub fn rows(file: &'static str) -> impl Iterator<Item = Columns> {
    (1..).zip(file.lines()).skip(1).map(|(number, line)| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [target, loaded, printed, _evidence] = columns[..] else { panic!("line {number}: {line}") };
        (number, target, filled_in(loaded), filled_in(printed))
    })
}

/// Rows taken from kernel source have places for a key, a hash or a number.
fn filled_in(params: &str) -> String {
    let digits = "0123456789ABCDEF";
    params
        .replace("<64 hex lower>", &digits.repeat(4).to_lowercase())
        .replace("<64 hex>", &digits.repeat(4))
        .replace("<128 hex>", &digits.repeat(8))
        .replace("<key>", &digits.repeat(12).to_lowercase())
        .replace("<root>", &digits.repeat(4).to_lowercase())
        .replace("<salt>", "0102")
        .replace("<keytype number>", "0")
        .replace("<n>", "8")
}
