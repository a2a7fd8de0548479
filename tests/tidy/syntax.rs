//! The text of Rust in tokens, and the paths in it.

/// Reads one tree of a `use` from `at` on: each path with the name that it brings in. Gives the place behind it.
pub fn use_tree(
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
pub fn code_path(tokens: &[String], mut at: usize) -> (Vec<String>, usize) {
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

pub fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Leaves out each item that is for tests alone.
pub fn without_tests(tokens: &[String]) -> Vec<String> {
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
pub fn tokens(text: &str) -> Vec<String> {
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
