//! Maps: every block of TOML in a document is one, or, where it has no `format`, a part of one,
//! and fits the schema. A block `toml refused` is refused.

use std::fs;

use dmctl::config;

use crate::blocks::blocks;
use crate::{documents, name};

#[test]
fn every_map_is_valid_and_what_is_called_refused_is() {
    let schema = jsonschema::validator_for(&config::schema()).unwrap();
    let mut maps = 0;
    for path in documents() {
        for block in blocks(&fs::read_to_string(&path).unwrap()).iter().filter(|b| b.language() == "toml") {
            let whole = block.text.lines().any(|line| line.starts_with("format ="));
            let text = if whole { block.text.clone() } else { format!("format = 1\n{}", block.text) };
            let loaded = config::parse_str("map.toml", &text);
            let refused = block.remarks() == ["refused"];
            let says = loaded.render();
            assert_eq!(loaded.map.is_none(), refused, "{}:\n{text}\n{says}", name(&path));
            if !refused {
                let document = serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
                let fits = schema.validate(&document);
                fits.unwrap_or_else(|error| panic!("{}: {error}:\n{text}", name(&path)));
            }
            maps += 1;
        }
    }
    assert!(maps > 40, "only {maps} maps");
}
