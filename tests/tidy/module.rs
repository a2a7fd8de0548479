//! A file of a crate as far as imports go, and where a path in it leads.

use std::collections::{HashMap, HashSet};

use super::syntax::{code_path, is_word, tokens, use_tree, without_tests};

/// How many exports of exports are followed; a longer row of them leads in a circle.
const MAX_EXPORTS: usize = 16;

/// A file as far as imports go.
pub struct Module {
    pub file: String,
    /// Names that an import brings in, with the path each stands for.
    bound: HashMap<String, Vec<String>>,
    /// Paths of which every item is brought in.
    globs: Vec<Vec<String>>,
    /// What the file defines itself.
    defined: HashSet<String>,
    /// Every path that is imported or written in the code.
    pub named: Vec<Vec<String>>,
}

impl Module {
    pub fn read(file: &str, text: &str) -> Self {
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
pub enum Target {
    Module(Vec<String>),
    Item { file: String, item: String },
}

/// Follows a path that stands in the module `own`. None when it leads out of the crate.
pub fn resolve(
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
