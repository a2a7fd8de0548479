//! Finds out whether a udev answers.
//!
//! A socket in `/run/udev` outlives the udevd that made it, so dmctl connects to it: that fails at once when
//! no process listens. The listener must see the same semaphores, and have the rule that answers; a container
//! that was given the socket of its host often has neither.

use std::fmt;
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket};

/// The sockets that udevd listens at: that of its own protocol, and that of varlink, which replaces it.
const SOCKETS: [(&str, SockType); 2] =
    [("/run/udev/control", SockType::SeqPacket), ("/run/udev/io.systemd.Udev", SockType::Stream)];
/// The first IPC namespace, that of the host (`PROC_IPC_INIT_INO` in `linux/proc_ns.h`).
const FIRST: &str = "ipc:[4026531839]";
/// The rule that answers cookies, and the folders it may be in (udev(7)).
const RULE: &str = "95-dm-notify.rules";
const RULES: &[&str] = &["etc", "run", "usr/local/lib", "usr/lib", "lib"];

/// Why udev is not waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    NotRunning,
    /// It can't see a semaphore of this process.
    Elsewhere,
    /// It has no rule that answers.
    Mute,
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRunning => "no udevd listens in /run/udev",
            Self::Elsewhere => "udevd runs in another IPC namespace, where it can't answer",
            Self::Mute => "udevd has no rules for Device Mapper (those of the package dmsetup)",
        })
    }
}

/// Looks for a udevd that answers.
pub(super) fn look() -> Result<(), Absence> {
    let listener = any_listener().ok_or(Absence::NotRunning)?;
    let own = fs::read_link("/proc/self/ns/ipc").unwrap_or_default();
    let process = PathBuf::from(format!("/proc/{listener}"));
    match fs::read_link(process.join("ns/ipc")) {
        Ok(theirs) if theirs != own => Err(Absence::Elsewhere),
        Ok(_) if !has_rule(&process.join("root")) => Err(Absence::Mute),
        Ok(_) => Ok(()),
        // It is in another PID namespace, or the process that began to listen forked and exited. A host has
        // one udevd, and that is in the host's namespace.
        Err(_) if own == Path::new(FIRST) => Ok(()),
        Err(_) => Err(Absence::Elsewhere),
    }
}

/// Tells whether a process still listens.
pub(super) fn listens() -> bool {
    any_listener().is_some()
}

fn any_listener() -> Option<i32> {
    SOCKETS.iter().find_map(|(path, kind)| listener(Path::new(path), *kind))
}

/// Returns the process that began to listen at this socket; 0 when it is in another PID namespace.
fn listener(path: &Path, kind: SockType) -> Option<i32> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, kind, flags, None).ok()?;
    match connect(socket.as_raw_fd(), &UnixAddr::new(path).ok()?) {
        Ok(()) => getsockopt(&socket, PeerCredentials).ok().map(|peer| peer.pid()),
        // It listens, but does not accept: it may be stopped.
        Err(Errno::EAGAIN) => Some(0),
        Err(_) => None,
    }
}

/// Tells whether udevd has the rule, as far as its files can be read.
fn has_rule(root: &Path) -> bool {
    fs::metadata(root).is_err()
        || RULES.iter().any(|folder| root.join(folder).join("udev/rules.d").join(RULE).exists())
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::{Backlog, bind, listen};

    use super::*;

    #[test]
    fn a_socket_without_a_listener_is_not_a_udevd() {
        let folder = tempfile::tempdir().unwrap();
        for (name, kind) in [("control", SockType::SeqPacket), ("varlink", SockType::Stream)] {
            let path = folder.path().join(name);
            let found = || listener(&path, kind);
            assert_eq!(found(), None);
            let socket = socket(AddressFamily::Unix, kind, SockFlag::empty(), None).unwrap();
            bind(socket.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
            assert_eq!(found(), None);
            listen(&socket, Backlog::new(1).unwrap()).unwrap();
            assert_eq!(found(), i32::try_from(std::process::id()).ok());
            drop(socket);
            assert!(path.exists());
            assert_eq!(found(), None, "what a killed udevd leaves");
        }
    }

    #[test]
    fn the_rule_is_looked_for_where_udev_looks() {
        let root = tempfile::tempdir().unwrap();
        assert!(!has_rule(root.path()));
        let folder = root.path().join("usr/lib/udev/rules.d");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(RULE), "").unwrap();
        assert!(has_rule(root.path()));
    }
}
