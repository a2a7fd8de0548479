//! Completes arguments for a shell. The script that `dmctl completions` prints calls dmctl at each press of Tab, with
//! [`ASKED`] set and the words typed so far behind `--`.
//!
//! Names of devices and keys of mappings are read then and there: from the kernel and from the map that the words
//! name. A kernel or a map that can't be read is not an error here: it completes to nothing.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::{self, Pipes, Rules};
use crate::identity::Name;
use crate::kernel::live::{self, Live, Udev};
use crate::kernel::simulated::Simulated;
use crate::kernel::{Id, KernelError, ReadKernel, Slot};
use crate::policy::Class;
use crate::targets::{self, ANY_WORD, Kind, MessageForm, MessageRisk};
use crate::volumes;
use anyhow::anyhow;
use clap::{Command, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;

use super::exit::Exit;
use super::failure::Failure;

/// The variable that holds the name of the shell that asks.
const ASKED: &str = "DMCTL_COMPLETE";

/// zsh loads a completion as the body of a function, at the first press of Tab; this line answers that one, too.
const ZSH_AT_ONCE: &str = "if [[ $funcstack[1] == _dmctl ]]; then _clap_dynamic_completer_dmctl; fi\n";

/// The shells that have a script.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Answers a shell from the arguments of `command` and ends this process, when a shell asks.
pub(crate) fn answer(command: impl Fn() -> Command) {
    CompleteEnv::with_factory(command).var(ASKED).complete();
}

/// Writes the script for a shell.
pub(crate) fn script(shell: Shell) -> Result<String, Failure> {
    let failed = |message: String| Failure::new(Exit::Error, anyhow!(message));
    let name = shell.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default();
    let shells = Shells::builtins();
    let printer = shells.completer(&name).ok_or_else(|| failed(format!("nothing completes {name}")))?;
    let mut script = Vec::new();
    printer
        .write_registration(ASKED, "dmctl", "dmctl", "dmctl", &mut script)
        .map_err(|error| failed(error.to_string()))?;
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if matches!(shell, Shell::Zsh) {
        script += ZSH_AT_ONCE;
    }
    Ok(script)
}

/// Lists the names of the devices of the kernel that the words name.
pub(crate) fn names() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let names = match kernel(&words()) {
            Some(file) => simulated(&file).unwrap_or_default(),
            None => live::names(),
        };
        candidates(names.iter().map(|name| name.plain().into_owned()).filter(|name| is_plain(name)).collect())
    })
}

/// Lists the names of the thin pools of the kernel that the words name; of the running kernel every name, where only root may
/// look at tables.
pub(crate) fn pools() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let pools = match kernel(&words()) {
            Some(file) => Simulated::open(&file).and_then(|kernel| pools_of(&kernel)).unwrap_or_default(),
            None => {
                Live::open(Udev::Off).and_then(|kernel| pools_of(&kernel)).unwrap_or_else(|_| live::names())
            }
        };
        candidates(pools.iter().map(|name| name.plain().into_owned()).filter(|name| is_plain(name)).collect())
    })
}

fn pools_of(kernel: &dyn ReadKernel) -> Result<Vec<Name>, KernelError> {
    let mut pools = Vec::new();
    for device in kernel.list()? {
        if volumes::is_pool(kernel, &device)? {
            pools.push(device.name);
        }
    }
    Ok(pools)
}

/// Lists the first words of the messages that the device of the words takes; of every target where it is not found.
pub(crate) fn messages() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let words = words();
        let kinds = kinds(&words).unwrap_or_default();
        let is_meant = |kind: &&Kind| kinds.is_empty() || kinds.iter().any(|one| one == kind.name);
        let forms = targets::KINDS.iter().filter(is_meant).flat_map(|kind| kind.traits.messages);
        let is_sent =
            |form: &&MessageForm| matches!(form.risk, MessageRisk::Class(_)) && form.word != ANY_WORD;
        candidates(forms.filter(is_sent).map(|form| form.word.to_string()).collect())
    })
}

/// Reads the types of the targets of the device that is named behind `message`.
fn kinds(words: &[OsString]) -> Option<Vec<String>> {
    let mut behind = words.iter().skip_while(|word| *word != "message").skip(1);
    let name = Name::new(behind.find(|word| !word.to_string_lossy().starts_with('-'))?.to_str()?).ok()?;
    let kernel: Box<dyn ReadKernel> = match kernel(words) {
        Some(file) => Box::new(Simulated::open(&file).ok()?),
        None => Box::new(Live::open(Udev::Off).ok()?),
    };
    let device = kernel.device(&Id::Name(name), Slot::Live).ok()??;
    Some(device.table.iter().map(|row| row.kind.to_string()).collect())
}

/// Lists the keys of the map that the words name.
pub(crate) fn keys() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        // A pipe is not the completion's to read.
        let rules = Rules { pipes: Pipes::Refuse, ..Rules::default() };
        let map = config::load_by(&maps(words()), rules).map;
        candidates(map.iter().flat_map(|map| map.mappings.keys()).map(ToString::to_string).collect())
    })
}

/// Lists the risk classes.
pub(crate) fn classes() -> ArgValueCandidates {
    ArgValueCandidates::new(|| candidates(Class::ALL.iter().map(|class| class.name().to_string()).collect()))
}

fn candidates(mut values: Vec<String>) -> Vec<CompletionCandidate> {
    values.sort();
    values.into_iter().map(CompletionCandidate::new).collect()
}

/// Returns the words typed so far, without the command itself.
fn words() -> Vec<OsString> {
    env::args_os().skip_while(|word| word != "--").skip(2).collect()
}

/// Finds the file of the simulated kernel that the words name. bash splits `--kernel=FILE` into three words.
fn kernel(words: &[OsString]) -> Option<PathBuf> {
    let written =
        words.iter().enumerate().find_map(|(at, word)| match word.to_str()?.strip_prefix("--kernel")? {
            "" => words.get(at + 1..)?.iter().find(|word| *word != "=").cloned(),
            joined => joined.strip_prefix('=').map(OsString::from),
        })?;
    (written != "live").then(|| written.into())
}

fn simulated(file: &Path) -> Result<Vec<Name>, KernelError> {
    Ok(Simulated::open(file)?.list()?.into_iter().map(|listed| listed.name).collect())
}

/// Finds the words that are files or directories of a map.
fn maps(words: Vec<OsString>) -> Vec<PathBuf> {
    let is_map = |path: &PathBuf| {
        let toml = path.extension().is_some_and(|extension| extension == "toml") && path.is_file();
        // A verb is not a directory, even where there is one of that name.
        toml || path.components().count() > 1 && path.is_dir()
    };
    words.into_iter().map(PathBuf::from).filter(is_map).collect()
}

/// Whether a shell takes a name as it is. A name that it would split or expand is not offered.
fn is_plain(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || "_.+-:@=#".contains(c);
    name.chars().all(word) && !name.starts_with(['-', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_where_the_words_say() {
        let of = |words: &str| kernel(&words.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of("table a"), None);
        assert_eq!(of("--kernel live table a"), None);
        assert_eq!(of("--kernel"), None);
        for words in ["--kernel x.json table", "table --kernel=x.json", "table --kernel = x.json"] {
            assert_eq!(of(words), Some("x.json".into()), "{words}");
        }
    }

    #[test]
    fn what_a_shell_would_take_apart_is_not_offered() {
        assert!(["a", "vg-lv", "luks-1:2", "a.b_c+d"].into_iter().all(is_plain));
        assert!(!["a b", "a;b", "$(reboot)", "a\\x20b", "-rf", "#", "a'"].into_iter().any(is_plain));
    }
}
