//! What is completed at a press of Tab: by bash, fish and zsh themselves, with the scripts that dmctl prints.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::lab::{Lab, dmctl};
use crate::plan::{linear, map};

/// Takes the words, and prints what bash would offer for the last one.
const BASH: &str = r#"
    source <(dmctl completions bash)
    [[ $(complete -p dmctl) =~ -F\ ([^ ]+) ]]
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
    "${BASH_REMATCH[1]}" dmctl "${@: -1}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[@]}"
"#;

/// The same for fish.
const FISH: &str = r#"
    dmctl completions fish | source
    complete --do-complete "$argv" | while read --delimiter \t name about
        echo $name
    end
    true
"#;

/// The devices `data`, `date` and one that no shell would take as it is; a map of two stacks.
fn lab() -> Lab {
    let lab = Lab::with(&["data", "date", "two words"]);
    lab.write("map.toml", &map(&format!("{}{}", linear("upper", 0, 1), linear("under", 2, 1))));
    lab
}

/// A shell in the folder of the lab, with the dmctl just built first in PATH.
fn shell(lab: &Lab, name: &str) -> Command {
    let built = Path::new(env!("CARGO_BIN_EXE_dmctl")).parent().unwrap();
    let mut command = Command::new(name);
    command
        .current_dir(lab.state().parent().unwrap())
        .env_clear()
        .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", built.display()))
        .env("HOME", lab.path("."))
        .env("TERM", "dumb")
        .stdin(Stdio::null());
    command
}

fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && says.is_empty(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What is offered for the last of these words, by bash and by fish.
fn offered(lab: &Lab, words: &str) -> [Vec<String>; 2] {
    let bash = printed(shell(lab, "bash").args(["-c", BASH, "bash", "dmctl"]).args(words.split(' ')));
    let fish = printed(shell(lab, "fish").args(["--no-config", "-c", FISH, "dmctl"]).args(words.split(' ')));
    [bash, fish].map(|text| text.lines().map(str::to_string).filter(|line| !line.is_empty()).collect())
}

#[test]
fn names_keys_and_classes_are_completed() {
    let lab = lab();
    for (words, expected) in [
        ("--kernel state.json table ", ["data", "date"].as_slice()),
        ("--kernel state.json info dat", &["data", "date"]),
        ("--kernel state.json remove data", &["data"]),
        ("--kernel state.json export data date", &["date"]),
        ("--kernel no-such.json table ", &[]),
        ("--kernel state.json create da", &[]),
        ("plan map.toml --stack u", &["under", "upper"]),
        ("deactivate map.toml --stack under,up", &["under,upper"]),
        ("plan --stack u", &[]),
        ("apply map.toml --allow format,lo", &["format,loss"]),
        ("stacks map.toml --show ty", &["types"]),
        ("deac", &["deactivate"]),
    ] {
        for mut offered in offered(&lab, words) {
            // Where nothing is typed yet, options are offered, too.
            offered.retain(|word| !word.starts_with('-'));
            assert_eq!(offered, expected, "{words}");
        }
    }
}

#[test]
fn pools_are_completed_where_a_pool_is_meant() {
    let lab = lab();
    lab.edit(|state| state["block_devices"][0]["blank"] = true.into());
    lab.ok(["create", "pool", "--table", "0 1024 thin-pool 254:0 8:0 128 0"]);
    for mut offered in offered(&lab, "--kernel state.json volumes ") {
        offered.retain(|word| !word.starts_with('-'));
        assert_eq!(offered, ["pool"]);
    }
}

#[test]
fn files_are_completed_where_files_are_meant() {
    let lab = lab();
    for offered in offered(&lab, "--kernel state.json plan ma") {
        assert_eq!(offered, ["map.toml"]);
    }
}

/// A terminal of its own, in which a word is completed and the command run.
const ZSH: &str = r#"
    zmodload zsh/zpty
    zpty -b terminal zsh -f -i
    zpty -w terminal 'PS1= PS2=; mkdir functions; dmctl completions zsh > functions/_dmctl; fpath=($PWD/functions $fpath)'
    zpty -w terminal 'autoload -Uz compinit; compinit -u -D; print rea""dy'
    zpty -r -m terminal seen '*ready*'
    zpty -n -w terminal $'dmctl --kernel state.json info data\t'
    zpty -w terminal '; print do""ne'
    zpty -r -m terminal seen '*done*'
    print -r -- $seen
    zpty -n -w terminal $'dmctl plan map.toml --stack und\t'
    zpty -w terminal ' --kernel state.json; print do""ne'
    zpty -r -m terminal seen '*done*'
    print -r -- $seen
    zpty -d terminal
"#;

#[test]
fn zsh_completes_from_the_first_press_on() {
    let lab = lab();
    let seen = printed(shell(&lab, "zsh").args(["-f", "-c", ZSH]));
    assert!(seen.contains("name: data"), "{seen}");
    assert!(seen.contains("Plan: 1 create."), "{seen}");
}

#[test]
fn a_shell_that_nobody_knows_is_told() {
    let asked = dmctl().env("DMCTL_COMPLETE", "tcsh").output().unwrap();
    let says = String::from_utf8(asked.stderr).unwrap();
    assert!(!asked.status.success() && says.contains("unknown shell `tcsh`"), "{says}");
    // Empty, it is as good as not set.
    assert!(dmctl().env("DMCTL_COMPLETE", "").arg("targets").arg("--help").status().unwrap().success());
}
