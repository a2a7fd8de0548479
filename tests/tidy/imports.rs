//! Which file of a crate names an item of which other: its imports, and the paths in its code.
//!
//! The text is read as the compiler would: comments, strings and what is for tests alone are left out; `crate::`,
//! `super::`, `self::` and names that an import or a `mod` line brought in are followed, through what a module exports
//! again, to the file that defines the item. A module that is only brought in is not an import yet: the paths that
//! begin with its name are. What leads out of the crate is left out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// How many exports of exports are followed; a longer row of them leads in a circle.
const MAX_EXPORTS: usize = 16;

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

/// A file as far as imports go.
struct Module {
    file: String,
    /// Names that an import brings in, with the path each stands for.
    bound: HashMap<String, Vec<String>>,
    /// Paths of which every item is brought in.
    globs: Vec<Vec<String>>,
    /// What the file defines itself.
    defined: HashSet<String>,
    /// Every path that is imported or written in the code.
    named: Vec<Vec<String>>,
}

impl Module {
    fn read(file: &str, text: &str) -> Self {
        let tokens = without_tests(&tokens(text));
        let mut module = Self {
            file: file.to_string(),
            bound: HashMap::new(),
            globs: Vec::new(),
            defined: HashSet::new(),
            named: Vec::new(),
        };
        let mut exported: Vec<(String, Vec<String>)> = Vec::new();
        let mut written: HashSet<String> = HashSet::new();
        // Modules within the file, by the depth of braces at which each ends.
        let (mut depth, mut inner): (usize, Vec<usize>) = (0, Vec::new());
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let before = at.checked_sub(1).map_or("", |before| tokens[before].as_str());
            match token.as_str() {
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    inner.pop_if(|outside| *outside == depth);
                }
                "mod" if tokens.get(at + 2).is_some_and(|token| token == "{") => inner.push(depth),
                "use" if tokens.get(at + 1).is_some_and(|token| token != "<") => {
                    let mut leaves = Vec::new();
                    at = use_tree(&tokens, at + 1, &[], &mut leaves);
                    let again = matches!(before, "pub" | ")") && file.ends_with("mod.rs");
                    for (path, name) in leaves {
                        let path = outside(path, inner.len());
                        match name.as_str() {
                            "*" => module.globs.push(path),
                            _ if again => exported.push((name, path)),
                            _ => {
                                module.bound.insert(name, path.clone());
                                module.named.push(path);
                            }
                        }
                    }
                    continue;
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" => {
                    module.defined.extend(tokens.get(at + 1).cloned());
                }
                "macro_rules" => module.defined.extend(tokens.get(at + 2).cloned()),
                word if is_word(word) && before != "::" && before != "." => {
                    written.insert(word.to_string());
                    let (path, end) = code_path(&tokens, at);
                    if path.len() > 1 {
                        module.named.push(outside(path, inner.len()));
                        at = end;
                        continue;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        // What a `mod.rs` only exports again is not imported by it; what its own code names is.
        for (name, path) in exported {
            if written.contains(&name) {
                module.named.push(path.clone());
            }
            module.bound.insert(name, path);
        }
        module
    }
}

/// What a path leads to.
enum Target {
    Module(Vec<String>),
    Item { file: String, item: String },
}

/// Follows a path that stands in the module `own`. None when it leads out of the crate.
fn resolve(
    modules: &HashMap<Vec<String>, Module>,
    own: &[String],
    path: &[String],
    exports: usize,
) -> Option<Target> {
    if exports > MAX_EXPORTS {
        return None;
    }
    let mut current = own.to_vec();
    let mut rest = path;
    let mut anchored = false;
    while let [first, after @ ..] = rest {
        match first.as_str() {
            "crate" => current.clear(),
            "super" => drop(current.pop()),
            "self" => {}
            _ => break,
        }
        anchored = true;
        rest = after;
    }
    while let [name, after @ ..] = rest {
        let module = modules.get(&current)?;
        let child: Vec<String> = current.iter().chain([name]).cloned().collect();
        let bound = module.bound.get(name);
        // A name may be that of a module and of an item of it that is exported: the last word is the item.
        if modules.contains_key(&child) && (bound.is_none() || !after.is_empty()) {
            current = child;
        } else if let Some(bound) = bound {
            match resolve(modules, &current, bound, exports + 1)? {
                Target::Module(module) => current = module,
                item @ Target::Item { .. } => return Some(item),
            }
        } else if module.defined.contains(name) {
            return (anchored || current != own)
                .then(|| Target::Item { file: module.file.clone(), item: name.clone() });
        } else {
            let through = module.globs.iter().find_map(|glob| {
                let Target::Module(module) = resolve(modules, &current, glob, exports + 1)? else {
                    return None;
                };
                let defines = modules.get(&module)?.defined.contains(name);
                defines.then(|| Target::Item { file: modules[&module].file.clone(), item: name.clone() })
            });
            return through;
        }
        anchored = true;
        rest = after;
    }
    anchored.then_some(Target::Module(current))
}

/// Takes the modules within a file off a path: it is said as the file would say it.
fn outside(mut path: Vec<String>, inner: usize) -> Vec<String> {
    for _ in 0..inner {
        if path.first().is_some_and(|first| first == "super") {
            path[0] = "self".to_string();
            if path.get(1).is_some_and(|second| second == "super") {
                path.remove(0);
            }
        }
    }
    path
}

/// Reads one tree of a `use` from `at` on: each path with the name that it brings in. Gives the place behind it.
fn use_tree(
    tokens: &[String],
    mut at: usize,
    prefix: &[String],
    leaves: &mut Vec<(Vec<String>, String)>,
) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = use_tree(tokens, at, &path, leaves);
                    at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
                }
                return at + 1;
            }
            "*" => {
                leaves.push((path, "*".to_string()));
                return at + 1;
            }
            "as" => {
                leaves.push((path, tokens.get(at + 1).cloned().unwrap_or_default()));
                return at + 2;
            }
            word if is_word(word) => {
                // `{self}` is what stands before the brace.
                if word != "self" || path.is_empty() {
                    path.push(word.to_string());
                }
                at += 1;
            }
            _ => break,
        }
    }
    let name = path.last().cloned().unwrap_or_default();
    leaves.push((path, name));
    at
}

/// Reads a path of the code from `at` on, and gives the place behind it.
fn code_path(tokens: &[String], mut at: usize) -> (Vec<String>, usize) {
    let mut path = vec![tokens[at].clone()];
    at += 1;
    while let [colons, word, ..] = &tokens[at..]
        && colons == "::"
        && is_word(word)
    {
        path.push(word.clone());
        at += 2;
    }
    (path, at)
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Leaves out each item that is for tests alone.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if !tokens[at..].iter().zip(TEST).all(|(token, test)| token == test) || tokens.len() - at < TEST.len()
        {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let mut depth = 0usize;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token.as_str() {
                "{" | "[" | "(" => depth += 1,
                "}" | "]" | ")" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && matches!(token.as_str(), ";" | "}") {
                break;
            }
        }
    }
    kept
}

/// Takes a text of Rust apart, without comments, texts and characters.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = literal(rest) {
            length
        } else if is_word(rest) || first.is_ascii_digit() {
            let raw = if rest.starts_with("r#") { 2 } else { 0 };
            let end = rest[raw..].find(|c: char| !(c.is_alphanumeric() || c == '_'));
            let end = end.map_or(rest.len(), |end| raw + end);
            tokens.push(rest[raw..end].to_string());
            end
        } else if rest.starts_with("::") {
            tokens.push("::".to_string());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// Measures the text or the character that begins here, if one does.
fn literal(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'))
    });
    if let Some(prefix) = prefix.filter(|prefix| prefix.contains('r')) {
        let hashes = rest[prefix.len()..].chars().take_while(|c| *c == '#').count();
        let start = prefix.len() + hashes + 1;
        let end = rest[start..].find(&format!("\"{}", "#".repeat(hashes)));
        return Some(end.map_or(rest.len(), |end| start + end + 1 + hashes));
    }
    let (quote, start) = match prefix {
        Some(prefix) if rest[prefix.len()..].starts_with('"') => ('"', prefix.len() + 1),
        _ => (
            '\'',
            rest.strip_prefix('b')
                .unwrap_or(rest)
                .strip_prefix('\'')
                .map(|_| 1 + usize::from(rest.starts_with('b')))?,
        ),
    };
    // A lifetime is a quote and a word, without a quote behind its first character.
    let mut inside = rest[start..].char_indices();
    if quote == '\'' && !rest[start..].starts_with('\\') {
        let (_, _) = inside.next()?;
        let (end, after) = inside.next()?;
        return (after == '\'').then_some(start + end + 1);
    }
    let mut escaped = false;
    for (at, c) in inside {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(start + at + 1),
            _ => {}
        }
    }
    Some(rest.len())
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
