//! The laws that hold of any input, whatever wrote it: no panic, no key in a text, and what is printed reads back.
//!
//! A law takes any bytes as one kind of input, and panics where the input breaks it. `cargo fuzz` looks for such
//! inputs (`fuzz/targets`, a line each), and the tests below hold every law to the seeds in `fuzz/seeds`, among them each
//! input that ever broke one. Neither is a part of the command: the module is compiled for tests and for fuzzing alone.
//!
//! Files that an input names are never opened.

mod both;
mod concise;
mod exports;
mod kernels;
mod map;
mod plan;
mod reply;
mod row;
mod saved;
mod state;
mod text;
mod thin_metadata;

/// A law: its name, which its target and the folder of its seeds have too, and the function that holds an input to it.
pub type Law = (&'static str, fn(&[u8]));

/// Every law.
pub static LAWS: &[Law] = &[
    ("map", map::hold),
    ("row", row::hold),
    ("concise", concise::hold),
    ("dm-init", concise::hold_parameter),
    ("state", state::hold),
    ("plan", saved::hold),
    ("reply", reply::hold),
    ("both", both::hold),
    ("thin-metadata", thin_metadata::hold),
];

/// Holds an input to the law of this name.
///
/// # Panics
///
/// When the law is broken, or not in the list.
pub fn hold(name: &str, input: &[u8]) {
    let law = LAWS.iter().find(|(law, _)| *law == name);
    let (_, hold) = law.unwrap_or_else(|| panic!("the law `{name}` is not in the list"));
    hold(input);
}

#[cfg(test)]
mod tests;
