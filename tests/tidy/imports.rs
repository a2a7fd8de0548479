//! Which file of a crate names an item of which other: its imports, and the paths in its code.
//!
//! The text is read as the compiler would: comments, strings and what is for tests alone are left out; `crate::`,
//! `super::`, `self::` and names that an import or a `mod` line brought in are followed, through what a module exports
//! again, to the file that defines the item. A module that is only brought in is not an import yet: the paths that
//! begin with its name are. What leads out of the crate is left out.

#[path = "module.rs"]
mod module;
#[path = "syntax.rs"]
mod syntax;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use module::{Module, Target, resolve};

/// One file that names an item of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    pub from: String,
    pub to: String,
    pub item: String,
}

impl Import {
    /// Tells whether a file takes a word of its folder: a type, a trait or a constant (these begin with a capital
    /// letter) that the module above it defines, in `folder/mod.rs` or in `folder.rs`.
    pub fn is_vocabulary(&self) -> bool {
        let folder = self.to.strip_suffix("/mod.rs").or(self.to.strip_suffix(".rs"));
        let above = folder.and_then(|folder| self.from.strip_prefix(folder));
        above.is_some_and(|rest| rest.starts_with('/'))
            && self.item.starts_with(|first: char| first.is_ascii_uppercase())
    }
}

/// Finds every import between the files of a crate; each is a path below `src` and a text.
pub fn of(files: &[(String, String)]) -> BTreeSet<Import> {
    let modules: HashMap<Vec<String>, Module> =
        files.iter().map(|(path, text)| (module_path(path), Module::read(path, text))).collect();
    let mut imports = BTreeSet::new();
    for (own, module) in &modules {
        for path in &module.named {
            let Some(Target::Item { file, item }) = resolve(&modules, own, path, 0) else { continue };
            if file != module.file {
                imports.insert(Import { from: module.file.clone(), to: file, item });
            }
        }
    }
    imports
}

/// Groups the files that import each other in a circle: each group once, sorted.
pub fn circles(imports: &BTreeSet<Import>) -> Vec<Vec<String>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for import in imports.iter().filter(|import| !import.is_vocabulary()) {
        next.entry(&import.from).or_default().insert(&import.to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        next.keys().map(|file| (*file, reached_from(file, &next))).collect();
    let mut circles = BTreeSet::new();
    for (file, others) in &reached {
        let back = |other: &&&str| reached.get(**other).is_some_and(|others| others.contains(file));
        let circle: Vec<String> = others.iter().filter(back).map(ToString::to_string).collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reached_from<'i>(file: &str, next: &BTreeMap<&'i str, BTreeSet<&'i str>>) -> BTreeSet<&'i str> {
    let mut reached = BTreeSet::new();
    let mut left = vec![file];
    while let Some(file) = left.pop() {
        for other in next.get(file).into_iter().flatten() {
            if reached.insert(*other) {
                left.push(other);
            }
        }
    }
    reached
}

/// Turns the path of a file into that of its module: `plan/mod.rs` into `[plan]`, `lib.rs` into `[]`.
fn module_path(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').filter(|part| *part != "lib").map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect();
        of(&files)
            .into_iter()
            .map(|import| format!("{} > {} {}", import.from, import.to, import.item))
            .collect()
    }

    #[test]
    fn every_way_to_name_an_item_is_seen() {
        let other = ("b.rs", "pub fn go() {} pub struct One; pub struct Two; pub mod inner {}");
        for (text, expected) in [
            ("use crate::b::One;", &["a.rs > b.rs One"][..]),
            ("use crate::{b::{One, Two as Else}};", &["a.rs > b.rs One", "a.rs > b.rs Two"]),
            ("use super::b;\nfn f() { b::go() }", &["a.rs > b.rs go"]),
            ("use super::b::{self, One};\nfn f() { vec![b::go()] }", &["a.rs > b.rs One", "a.rs > b.rs go"]),
            ("fn f() -> crate::b::One { \"crate::b::Two\" } // crate::b::go()", &["a.rs > b.rs One"]),
            ("fn f<'a>(x: &'a str) { let c = '\"'; self::super::b::go::<'a>() }", &["a.rs > b.rs go"]),
            ("mod within { use super::super::b::One; }", &["a.rs > b.rs One"]),
            ("use super::b; use std::fmt; #[cfg(test)]\nmod tests { use crate::b::One; }", &[]),
            ("#[cfg(test)]\nuse crate::b::One;\nuse crate::b::Two;", &["a.rs > b.rs Two"]),
        ] {
            assert_eq!(read(&[("a.rs", text), other, ("lib.rs", "mod a; mod b;")]), expected, "{text}");
        }
    }

    #[test]
    fn what_is_exported_again_leads_to_its_file() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod c; pub use c::{Thing, go};\npub struct Word;"),
            ("a/c.rs", "use super::Word;\npub struct Thing;\npub fn go() {}"),
            ("b.rs", "use crate::a::{self, Thing};\nfn f() { a::go() }"),
        ];
        assert_eq!(read(&files), ["a/c.rs > a/mod.rs Word", "b.rs > a/c.rs Thing", "b.rs > a/c.rs go"]);
    }

    #[test]
    fn a_circle_is_found_and_a_word_of_the_folder_is_none() {
        let files = |child: &str| {
            let files = [("m/mod.rs", "mod c;\npub struct Word;\npub fn f() { c::go() }"), ("m/c.rs", child)];
            of(&files.map(|(path, text)| (path.to_string(), text.to_string())))
        };
        let (word, call) = ("use super::Word;\npub fn go() {}", "pub fn go() { super::f() }");
        assert_eq!(circles(&files(word)), [[""; 0]; 0]);
        assert_eq!(circles(&files(call)), [["m/c.rs", "m/mod.rs"]]);
    }
}
