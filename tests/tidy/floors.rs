//! The rooms of the house and their floors, as ARCHITECTURE.md lists them: an import leads down, and never in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::imports::{self, Import};
use super::sources::{File, files, none};

/// The room of a file: the folder or the file directly below `src`.
fn room(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Every import between the files below `src` that are not for tests alone.
fn imports_of_sources() -> BTreeSet<Import> {
    let sources = files("src", "rs").into_iter().filter(|file| !file.is_test());
    let below = |file: File| (file.path.trim_start_matches("src/").to_string(), file.text);
    imports::of(&sources.map(below).collect::<Vec<_>>())
}

/// Reads the floors of ARCHITECTURE.md: the rows of its table that begin with a number, each with its rooms.
fn floors() -> BTreeMap<String, u32> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let mut floors = BTreeMap::new();
    for row in text.lines() {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, floor, rooms, ..] = &cells[..] else { continue };
        let Ok(floor) = floor.parse::<u32>() else { continue };
        for name in rooms.split('`').skip(1).step_by(2) {
            let name = name.trim_end_matches('/');
            assert!(floors.insert(name.to_string(), floor).is_none(), "`{name}` is on two floors");
        }
    }
    floors
}

#[test]
fn imports_point_down_the_floors() {
    let (floors, mut wrong) = (floors(), BTreeSet::new());
    for file in files("src", "rs") {
        let room = room(file.path.trim_start_matches("src/"));
        if !matches!(room, "lib" | "main") && !floors.contains_key(room) {
            wrong.insert(format!("`{room}` is on no floor of ARCHITECTURE.md"));
        }
    }
    for import in imports_of_sources() {
        let (from, to) = (room(&import.from), room(&import.to));
        if from != to && floors.get(from) <= floors.get(to) {
            wrong.insert(format!(
                "{} imports `{}` of {}, which is not below it",
                import.from, import.item, import.to
            ));
        }
    }
    none(&wrong.into_iter().collect::<Vec<_>>());
}

/// A `mod.rs` and its children may speak in the types that it defines, and what it exports again is counted for the
/// file that defines it. All else that leads from a file back to it is a circle.
#[test]
fn no_files_import_each_other_in_a_circle() {
    let imports = imports_of_sources();
    let mut wrong = Vec::new();
    for circle in imports::circles(&imports) {
        wrong.push(format!("in a circle: {}", circle.join(", ")));
        let inside = |import: &&Import| circle.contains(&import.from) && circle.contains(&import.to);
        let told =
            |import: &Import| format!("    {} imports `{}` of {}", import.from, import.item, import.to);
        wrong.extend(imports.iter().filter(inside).filter(|import| !import.is_vocabulary()).map(told));
    }
    none(&wrong);
}

#[test]
fn every_place_in_the_architecture_is_there_and_every_folder_is_in_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = floors();
    for name in places.keys() {
        let (file, folder) = (root.join(format!("src/{name}.rs")), root.join(format!("src/{name}")));
        assert!(file.exists() || folder.is_dir(), "ARCHITECTURE.md names {name}, which is not in src");
    }
    for entry in fs::read_dir(root.join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let known = places.contains_key(name);
        assert!(known || matches!(name, "lib" | "main"), "ARCHITECTURE.md does not tell of src/{name}");
    }
}
