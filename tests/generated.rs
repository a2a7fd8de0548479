//! Files in the repository that are made from the code are what the code makes, and the examples in them
//! are valid. `DMCTL_REGENERATE=1 cargo test --test generated` writes them.

use std::path::Path;

use dmctl::render;
use dmctl::targets::{KINDS, Kind, Problems, Style, Target};
use schemars::SchemaGenerator;
use toml::de::{DeTable, Deserializer};

/// Holds when the file at `path`, from the root of the repository, is `made`.
fn current(path: &str, made: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("DMCTL_REGENERATE").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("the folder is made");
        std::fs::write(&file, made).expect("the file is written");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == made,
        "{path} is not what the code makes: run DMCTL_REGENERATE=1 cargo test --test generated"
    );
}

#[test]
fn the_manual_of_the_targets_is_current() {
    current("docs/targets.md", &render::manual::targets());
}

#[test]
fn the_schema_of_plans_is_current() {
    let schema = dmctl::render::json::plan_schema();
    current("schema/plan.schema.json", &format!("{schema:#}\n"));
}

#[test]
fn the_schema_of_simulated_kernels_is_current() {
    let schema = dmctl::kernel::simulated::schema();
    current("schema/state.schema.json", &format!("{schema:#}\n"));
}

#[test]
fn the_schema_of_watch_events_is_current() {
    let schema = dmctl::render::watch_events::schema();
    current("schema/watch.schema.json", &format!("{schema:#}\n"));
}

#[test]
fn the_schema_of_health_is_current() {
    let schema = dmctl::render::health_schema();
    current("schema/health.schema.json", &format!("{schema:#}\n"));
}

#[test]
fn the_schema_of_volumes_is_current() {
    let schema = dmctl::render::volumes_schema();
    current("schema/volumes.schema.json", &format!("{schema:#}\n"));
}

#[test]
fn the_schema_of_events_is_current() {
    let schema = dmctl::render::events::schema();
    current("schema/events.schema.json", &format!("{schema:#}\n"));
}

/// The example of a target, and the length of its row where it gives one.
fn example(kind: &Kind) -> (Box<dyn Target>, Option<u64>) {
    let text = kind.doc.example;
    let mut fields = DeTable::parse(text).unwrap_or_else(|error| panic!("{}: {error}", kind.name));
    let named =
        fields.get_mut().remove("type").and_then(|value| value.get_ref().as_str().map(str::to_string));
    assert_eq!(named.as_deref(), Some(kind.name), "the example names its own type");
    for key in ["start", "length", "messages"] {
        fields.get_mut().remove(key);
    }
    let typed = kind
        .deserialize(Deserializer::from(fields))
        .unwrap_or_else(|error| panic!("the example of {} does not read: {error}\n{text}", kind.name));
    (typed, length(text))
}

/// The length that an example gives, in sectors.
fn length(text: &str) -> Option<u64> {
    let row: toml::Table = text.parse().expect("it was parsed before");
    let length = row.get("length")?.clone();
    if length.as_str() == Some("rest") {
        return None;
    }
    let sectors: dmctl::units::Sectors = length.try_into().expect("a length is a size");
    Some(sectors.0)
}

#[test]
fn every_example_is_valid() {
    for kind in KINDS {
        let (typed, length) = example(kind);
        for length in [length, length.or(Some(8192))] {
            let mut problems = Problems::default();
            typed.check(length, &mut problems);
            assert!(problems.is_empty(), "{}: {:?}", kind.name, problems.into_vec());
        }
        assert_eq!(typed.kind(), kind.name);
        let fields = typed.fields().to_string();
        let again = kind.deserialize(Deserializer::parse(&fields).expect("fields are TOML"));
        let again = again.unwrap_or_else(|error| panic!("{}: {error}\n{fields}", kind.name));
        assert_eq!(again.fields().to_string(), fields);
        assert_eq!(again.params(Style::Redacted), typed.params(Style::Redacted));
    }
}

#[test]
fn every_field_of_a_schema_is_described() {
    for kind in KINDS {
        let schema = (kind.schema)(&mut SchemaGenerator::default()).to_value();
        let fields = schema["properties"].as_object().into_iter().flatten();
        for (name, field) in fields {
            assert!(field["description"].is_string(), "{}: {name}", kind.name);
            assert_ne!(name, "failed", "{}: a map can't ask for a failure", kind.name);
        }
    }
}

#[test]
fn every_example_reads_back_from_its_own_row() {
    for kind in KINDS.iter().filter(|kind| !kind.traits.secret) {
        let (typed, _) = example(kind);
        let row = typed.params(Style::Kernel);
        let read = kind.parse(&row).unwrap_or_else(|error| panic!("{} {row}: {error}", kind.name));
        let differences = typed.compare(read.as_ref()).expect("both are of one type");
        assert!(differences.is_equal(), "{} {row}: {differences:?}", kind.name);
    }
}

#[test]
fn every_target_says_what_the_manual_needs() {
    for kind in KINDS {
        let doc = &kind.doc;
        for (name, says) in [("summary", doc.summary), ("writes", doc.writes), ("changes", doc.changes)] {
            assert!(
                says.ends_with('.') || says.ends_with(')'),
                "{}: {name} is no sentence: {says}",
                kind.name
            );
        }
        let since: Vec<Option<u32>> = doc.since.split('.').map(|part| part.parse().ok()).collect();
        assert!(since.len() == 2 && since.iter().all(Option::is_some), "{}: since {}", kind.name, doc.since);
    }
}

#[test]
fn every_field_is_explained() {
    for line in render::manual::targets().lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [name, takes, .., says] = cells[..] else { continue };
        assert!(takes != "a value", "the type of {name} is not told: {line}");
        assert!(says.trim_end_matches(" |").len() > 2, "{name} is not explained: {line}");
    }
}
