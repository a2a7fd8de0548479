//! The commands that are told where a file is not believed. None takes a home or a checkout from its user, and each can be
//! run as it is written.

use std::ffi::OsStr;
use std::fmt::{self, Display};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{self, Path, PathBuf};

use shlex::try_quote;

use crate::identity::printable;

/// A command that closes a file or folder to others. Its `Display` leaves the path out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// Takes the right to write from those that these bits of a mode are for.
    Write(u32),
    /// Takes all rights from users other than the owner.
    Private,
    /// Lets each entry of the folder be replaced by its owner alone.
    Sticky,
    /// Gives the file to root.
    Give,
    /// Gives the link itself to root.
    GiveLink,
}

impl Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(bits) => {
                let group = if bits & 0o070 != 0 { "g" } else { "" };
                let all = if bits & 0o007 != 0 { "o" } else { "" };
                write!(f, "chmod {group}{all}-w")
            }
            Self::Private => f.write_str("chmod go-rwx"),
            Self::Sticky => f.write_str("chmod +t"),
            Self::Give => f.write_str("chown root"),
            Self::GiveLink => f.write_str("chown -h root"),
        }
    }
}

/// Whether a path is root's to change, though another user may own it now: in the configuration of the host, or in root's
/// home.
pub(crate) fn is_roots(path: &Path) -> bool {
    let absolute = path::absolute(path).unwrap_or_default();
    let is_plain = absolute.components().all(|part| part.as_os_str() != "..");
    is_plain && ["/etc", "/root", "/boot"].iter().any(|folder| absolute.starts_with(folder))
}

/// Files that are copied out of the reach of other users. Its `Display` is a sentence for root.
#[derive(Debug)]
pub(crate) enum Copied<'a> {
    /// A map: files, and folders of them.
    Map(&'a [PathBuf]),
    Plan(&'a Path),
    Key(&'a Path),
}

impl Display for Copied<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, mode, words, to) = match self {
            Self::Map(files) => {
                ("the map", "600", files.iter().map(|path| source(path)).collect(), "/etc/dmctl/")
            }
            Self::Plan(path) => ("the plan", "600", vec![source(path)], "/root/"),
            Self::Key(path) => ("the key", "400", vec![source(path)], "/etc/dmctl/keys/"),
        };
        if let Self::Map(files) = self
            && files.iter().any(|path| is_fifo(path))
        {
            // A copy would wait for what is written, and make a FIFO no file.
            return f.write_str("where the map is as you want it, give its text on standard input, as `-`");
        }
        write!(f, "where {what} is as you want it, copy it to a folder of root's")?;
        let words: Option<Vec<String>> = words.into_iter().collect();
        match words.filter(|words| !words.is_empty()) {
            Some(words) => write!(f, ": `install -m {mode} -o root {} {to}`", words.join(" "))?,
            None => write!(f, ", such as `{to}`")?,
        }
        match self {
            Self::Map(_) => f.write_str(", and name the copy; or give its text on standard input, as `-`"),
            Self::Plan(_) => f.write_str(", and apply the copy"),
            Self::Key(_) => f.write_str(", and name the copy in the map"),
        }
    }
}

fn is_fifo(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.file_type().is_fifo())
}

/// Writes what install(1) copies; `None` for what is not a file with a name of its own, or would be copied onto itself.
fn source(path: &Path) -> Option<String> {
    if path == Path::new("-") {
        return None;
    }
    let absolute = path::absolute(path).ok()?;
    // The kernel lets root follow no link of another user's in a folder of all (`fs.protected_symlinks`, proc(5)).
    let real = path.canonicalize().ok().filter(|real| *real != absolute);
    let path = real.as_deref().unwrap_or(path);
    let has_name = !absolute.starts_with("/dev") && !absolute.starts_with("/proc") && !is_roots(path);
    let all = if path.is_dir() { "/*.toml" } else { "" };
    has_name.then(|| format!("{}{all}", word(path).trim_end_matches('/')))
}

/// Writes a path as a word of a shell, which is that path whatever is in it.
pub(crate) fn word(path: &Path) -> String {
    let named = path.as_os_str().as_bytes();
    // A command would take it for an option.
    let start = if named.starts_with(b"-") { "./" } else { "" };
    match path.to_str().filter(|text| printable(text) == *text) {
        Some(text) => try_quote(&format!("{start}{text}")).unwrap_or_default().into_owned(),
        None => format!("$'{start}{}'", escaped(path.as_os_str())),
    }
}

/// Escapes as bash(1) and zsh(1) read between `$'` and `'`.
fn escaped(text: &OsStr) -> String {
    let byte = |byte: &u8| match byte {
        b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
        b' '..=b'~' => char::from(*byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    text.as_bytes().iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_a_word_as_the_path() {
        for name in [
            &b"/srv/a map"[..],
            b"-f",
            b"/a\nb",
            b"/it's \\ \x1b[2J",
            b"/\xff\xe2\x80\xae1",
            "/ü".as_bytes(),
            b"/$(id)",
        ] {
            let path = Path::new(OsStr::from_bytes(name));
            let word = word(path);
            assert_eq!(printable(&word), word);
            let read = Command::new("bash").args(["-c", &format!("printf %s {word}")]).output().unwrap();
            let name = if name == b"-f" { b"./-f" } else { name };
            assert_eq!(read.stdout, name, "{word}");
        }
    }

    #[test]
    fn what_is_copied_is_named() {
        let files = ["/home/alice/a map.toml".into(), "/usr".into()];
        assert_eq!(
            Copied::Map(&files).to_string(),
            "where the map is as you want it, copy it to a folder of root's: `install -m 600 -o root \
             '/home/alice/a map.toml' /usr/*.toml /etc/dmctl/`, and name the copy; or give its text on standard \
             input, as `-`"
        );
        for unnamed in ["-", "/dev/stdin", "/dev/fd/9", "/proc/self/fd/9", "/etc/dmctl/map.toml"] {
            let told = Copied::Map(&[unnamed.into()]).to_string();
            assert!(!told.contains("install") && (unnamed == "-" || !told.contains(unnamed)), "{told}");
        }
        // install(1) would wait for what is written to a FIFO.
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("map.toml");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(
            Copied::Map(&[fifo]).to_string(),
            "where the map is as you want it, give its text on standard input, as `-`"
        );
        let told = Copied::Plan(Path::new("/tmp/plan.json")).to_string();
        assert!(
            told.contains("`install -m 600 -o root /tmp/plan.json /root/`, and apply the copy"),
            "{told}"
        );
        let told = Copied::Key(Path::new("/srv/k")).to_string();
        assert!(told.contains("`install -m 400 -o root /srv/k /etc/dmctl/keys/`"), "{told}");
    }
}
