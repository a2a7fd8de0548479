//! The word of the command line that may hold a key: the table of `create` and `reload`, the text of `import-concise`.
//!
//! It is taken out before the arguments are parsed, for the parser keeps copies, and it is overwritten in the memory of
//! this process from which the kernel answers those who read `/proc/PID/cmdline`, as `ps` does. Until then every user can
//! read it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::mem;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::FileExt as _;

use zeroize::Zeroizing;

use crate::secret::{REDACTED, Secret};

/// The most memory of arguments that is looked through, in bytes: a word is 128 KiB at most, all are 6 MiB
/// (`MAX_ARG_STRLEN` and `bprm_stack_limits`, `fs/exec.c`).
const LIMIT: u64 = 8 << 20;
/// The fields of `/proc/self/stat` behind the name of the command, from 0: `arg_start` and `arg_end` (proc(5), 48 and 49).
const ARGUMENTS: (usize, usize) = (45, 46);

/// The word, and where it was.
pub(super) enum Taken {
    /// The value of `--table`.
    Table(Secret),
    /// The text of `import-concise`.
    Concise(Secret),
}

/// Takes the word out of `words`, and leaves `<secret>` there. A word that is not UTF-8 stays, and is refused later.
pub(super) fn take(words: &mut [OsString]) -> Option<Taken> {
    let verb =
        words.iter().skip(1).position(|word| is_any(word, &["create", "reload", "import-concise"]))? + 1;
    let is_table = words[verb] != *"import-concise";
    let rest = words.len().min(verb + 1)..;
    let (word, prefix) = words[rest]
        .iter_mut()
        .scan(false, |behind, word| {
            let own = mem::replace(behind, *word == *"--table");
            Some((word, own))
        })
        .find_map(|(word, behind)| {
            let bytes = word.as_bytes();
            if !is_table {
                // Nothing else in its place has blanks.
                return bytes.iter().any(u8::is_ascii_whitespace).then_some((word, ""));
            }
            let prefix = if behind { "" } else { "--table=" };
            bytes.starts_with(prefix.as_bytes()).then_some((word, prefix))
        })?;
    let _ = overwrite(&word.as_bytes()[prefix.len()..]);
    let whole = mem::replace(word, OsString::from(format!("{prefix}{REDACTED}")));
    let text = match String::from_utf8(whole.into_vec()) {
        Ok(whole) => Secret::new(Zeroizing::new(whole)[prefix.len()..].to_string()),
        Err(error) => {
            *word = OsString::from_vec(error.into_bytes());
            return None;
        }
    };
    Some(if is_table { Taken::Table(text) } else { Taken::Concise(text) })
}

fn is_any(word: &OsString, all: &[&str]) -> bool {
    all.iter().any(|one| *word == **one)
}

/// Overwrites a word of the command line with stars, where the kernel reads it for others. Without `/proc` it stays.
fn overwrite(word: &[u8]) -> io::Result<()> {
    let process = fs::read_to_string("/proc/self/stat")?;
    // The name of the command may hold blanks and brackets.
    let fields: Vec<&str> = process.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let address = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    let (Some(start), Some(end)) = (address(ARGUMENTS.0), address(ARGUMENTS.1)) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let length = end.saturating_sub(start).min(LIMIT);
    let mut memory = Zeroizing::new(vec![0; usize::try_from(length).map_err(io::Error::other)?]);
    let file = File::options().read(true).write(true).open("/proc/self/mem")?;
    file.read_exact_at(&mut memory, start)?;
    let mut at = 0;
    for own in memory.split(|byte| *byte == 0) {
        if !word.is_empty() && own.ends_with(word) {
            let from = start + u64::try_from(at + own.len() - word.len()).map_err(io::Error::other)?;
            file.write_all_at(&vec![b'*'; word.len()], from)?;
        }
        at += own.len() + 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(typed: &[&str]) -> (Vec<OsString>, Option<String>) {
        let mut words: Vec<OsString> = typed.iter().map(OsString::from).collect();
        let text = match take(&mut words) {
            Some(Taken::Table(text) | Taken::Concise(text)) => Some(text.reveal().to_string()),
            None => None,
        };
        (words, text)
    }

    #[test]
    fn the_table_is_taken_and_nothing_else() {
        for (typed, left, text) in [
            (
                &["dmctl", "create", "a", "--table", "0 8 zero"][..],
                &["dmctl", "create", "a", "--table", "<secret>"][..],
                Some("0 8 zero"),
            ),
            (
                &["dmctl", "--json", "reload", "--table=x", "a"],
                &["dmctl", "--json", "reload", "--table=<secret>", "a"],
                Some("x"),
            ),
            (&["dmctl", "create", "a b"], &["dmctl", "create", "a b"], None),
            (&["dmctl", "create", "--table"], &["dmctl", "create", "--table"], None),
            (&["dmctl", "plan", "--table", "a b"], &["dmctl", "plan", "--table", "a b"], None),
            (
                &["dmctl", "import-concise", "--major", "8", "a,,,,0 8 zero"],
                &["dmctl", "import-concise", "--major", "8", "<secret>"],
                Some("a,,,,0 8 zero"),
            ),
            (&["dmctl", "import-concise"], &["dmctl", "import-concise"], None),
            (&["dmctl"], &["dmctl"], None),
        ] {
            let left: Vec<OsString> = left.iter().map(OsString::from).collect();
            assert_eq!(taken(typed), (left, text.map(str::to_string)));
        }
    }
}
