use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_seed_keeps_its_law() {
    for (law, hold) in LAWS {
        let seeds = folder("seeds").join(law);
        let all = names(&seeds);
        assert!(!all.is_empty(), "{law} has no seed");
        for seed in all {
            let input = fs::read(seeds.join(&seed)).unwrap();
            assert!(input.len() <= 16 << 10, "fuzz/seeds/{law}/{seed} is not small");
            println!("fuzz/seeds/{law}/{seed}");
            hold(&input);
        }
    }
}

#[test]
fn every_law_has_a_target_and_seeds() {
    let mut laws: Vec<String> = LAWS.iter().map(|(law, _)| (*law).to_string()).collect();
    laws.sort();
    assert_eq!(names(&folder("seeds")), laws);
    let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
    for law in &laws {
        let target = fs::read_to_string(folder("targets").join(format!("{law}.rs"))).unwrap();
        assert!(target.contains(&format!("hold(\"{law}\", input)")), "{law}: {target}");
        assert!(manifest.contains(&format!("name = \"{law}\"")), "fuzz/Cargo.toml has no target {law}");
    }
    assert_eq!(names(&folder("targets")).len(), laws.len());
}

/// The inputs that other tests have, by law: what fuzzing begins with beside the seeds.
fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    let read = |path: PathBuf| fs::read(path).unwrap();
    let below = |folder: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        names(&folder).into_iter().map(move |name| folder.join(name))
    };
    let maps = |folder| below(folder).filter(|path| path.extension().is_some_and(|end| end == "toml"));
    let mut corpus = Vec::new();
    for folder in ["examples", "tests/configs/valid", "tests/configs/invalid"] {
        corpus.extend(maps(folder).map(|path| ("map", read(path))));
    }
    for folder in below("tests/plans").chain(below("tests/faults/scenarios")) {
        let [map, state] = ["map.toml", "kernel.json"].map(|file| folder.join(file));
        if map.exists() && state.exists() {
            corpus.push(("both", [read(state), b"\n---\n".to_vec(), read(map)].concat()));
        }
    }
    for file in ["tests/data/roundtrip.tsv", "tests/data/odd.tsv"] {
        for line in
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap().lines().skip(1)
        {
            let columns: Vec<&str> = line.split('\t').collect();
            let row = |params: &&str| ("row", format!("{} {params}", columns[0]).into_bytes());
            corpus.extend(columns[1..3].iter().map(row));
        }
    }
    corpus
}

/// Where `DMCTL_CORPUS` names a folder, the inputs are written there, for `fuzz/run` to begin with.
#[test]
fn what_other_tests_read_keeps_its_law() {
    let folder = std::env::var_os("DMCTL_CORPUS").map(PathBuf::from);
    for (index, (law, input)) in corpus().into_iter().enumerate() {
        if let Some(folder) = &folder {
            fs::create_dir_all(folder.join(law)).unwrap();
            fs::write(folder.join(law).join(index.to_string()), input).unwrap();
        } else {
            println!("{law}: {}", String::from_utf8_lossy(&input));
            hold(law, &input);
        }
    }
}
