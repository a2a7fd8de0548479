//! Whatever a file holds, it is refused within seconds, in bounded words, without a panic.

use std::time::{Duration, Instant};

use dmctl::config;

const MIB: usize = 1 << 20;
/// Generous, for a build without optimizations on a busy machine. Optimized, the slowest takes two or three
/// seconds.
const LIMIT: Duration = Duration::from_secs(60);

fn refused(what: &str, text: &str) {
    let begun = Instant::now();
    let loaded = config::parse_str("map.toml", text);
    let drawn = loaded.render();
    let took = begun.elapsed();
    println!("{took:>8.2?}  {} errors  {what:?}", loaded.diagnostics.errors());
    assert!(loaded.map.is_none(), "{what:?} is taken for a map");
    assert!(took < LIMIT, "{what:?} took {took:?}");
    assert!(drawn.len() < 64 * 1024, "{what:?} is answered with {} bytes", drawn.len());
    assert!(drawn.contains("--> map.toml:"), "{what:?} names no place: {drawn}");
}

#[test]
fn garbage_of_the_largest_size_is_refused() {
    for unit in
        ["[", "a", "a.", "\n", "=", "\"", "'", "{a=", "# \n", "a=1\n", "\u{202e}", "[a]\n", "x=[1]\n", "\r"]
    {
        refused(unit, &unit.repeat(64 * MIB / unit.len()));
    }
}

#[test]
fn garbage_behind_a_good_beginning_is_refused() {
    for unit in ["[", "a.", "=", "a=1\n", "a=[{b=[{\n", "[mappings.a]\n", "\"\n", "a=\n"] {
        refused(unit, &format!("format = 1\n{}", unit.repeat(16 * MIB / unit.len())));
    }
}

#[test]
fn a_million_errors_are_counted_and_twenty_shown() {
    for row in ["x = \n", "[mappings.a]\n", "x = 1\n"] {
        refused(row, &format!("format = 1\n{}", row.repeat(500_000)));
    }
    let mut text = "format = 1\n".to_string();
    for index in 0..100_000 {
        text.extend([format!(
            "[mappings.m{index}]\ncolour = 1\ntargets = [{{ type = \"linear\", device = \"@n{index}\" }}]\n"
        )]);
    }
    refused("a hundred thousand wrong mappings", &text);
    let drawn = config::parse_str("map.toml", &text).render();
    assert!(
        drawn
            .trim_end()
            .lines()
            .last()
            .is_some_and(|line| line.starts_with("and ") && line.contains(" more errors"))
    );
}

#[test]
fn a_very_deep_stack_of_mappings_is_walked_without_one() {
    let mut text = "format = 1\n[mappings]\n".to_string();
    for index in 0..50_000 {
        let lower = (index + 1) % 50_000;
        text.extend([format!(
            "m{index}.targets = [{{ type = \"linear\", length = 8, device = \"@m{lower}\" }}]\n"
        )]);
    }
    refused("a circle of fifty thousand mappings", &text);
    let open = text.replace("device = \"@m0\"", "device = \"253:0\"");
    assert!(config::parse_str("map.toml", &open).map.is_some());
}

#[test]
fn every_prefix_of_a_map_is_answered() {
    let text = include_str!("../examples/three-levels.toml");
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        let loaded = config::parse_str("map.toml", &text[..end]);
        assert_eq!(loaded.map.is_none(), loaded.diagnostics.errors() > 0);
        assert_eq!(loaded.render_colored().is_empty(), loaded.map.is_some());
    }
}
