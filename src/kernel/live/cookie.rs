//! Cookies: the semaphores that udev answers with.
//!
//! A process that waits for udev makes a semaphore whose key is a magic number and 16 random bits, the cookie.
//! Every call that makes an event raises the semaphore and carries the cookie; the kernel passes it on with the
//! event, and udev's last rule (`95-dm-notify.rules`) has `dmsetup udevcomplete` lower it again. The semaphore
//! also counts the waiter itself: once the waiter has lowered it, zero means that everything was answered.
//!
//! A process that is killed leaves its semaphore behind. That is harmless: no process waits for it, udev's answers
//! still find it, and it takes one of some thousand places. [`sweep`] removes it all the same. It knows the maker,
//! because dmctl's sets have a second semaphore, which udev never changes: the last process that did made the set.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::{c_int, key_t};
use nix::unistd::geteuid;

use super::raw;

/// The upper half of the keys (`DM_COOKIE_MAGIC` in libdevmapper).
const MAGIC: key_t = 0x0d4d << 16;
/// The kernel's list of all sets of semaphores.
const LIST: &str = "/proc/sysvipc/sem";
/// The most cookies that are tried after one that is taken. There are 65,535.
const MAX_TRIES: usize = 100;

/// The semaphore of a set that udev lowers, and the one that tells the process that made the set.
const ANSWERS: u16 = 0;
const MAKER: u16 = 1;
const SEMAPHORES: c_int = 2;

/// A cookie, for as long as this process waits for it.
#[derive(Debug)]
pub(super) struct Cookie {
    set: c_int,
    bits: u16,
}

impl Cookie {
    /// Makes a cookie that no other process has: ENOSPC when there is no room for another semaphore.
    pub(crate) fn new() -> Result<Self, Errno> {
        let mut tries = 0..MAX_TRIES;
        loop {
            let bits = random()?;
            match raw::make_semaphores(MAGIC | key_t::from(bits), SEMAPHORES) {
                Err(Errno::EEXIST) if tries.next().is_some() => {}
                set => {
                    let cookie = Self { set: set?, bits };
                    raw::change_semaphore(cookie.set, MAKER, 1)?;
                    raw::change_semaphore(cookie.set, ANSWERS, 1)?;
                    return Ok(cookie);
                }
            }
        }
    }

    /// Returns the lower half of the value that udev gets.
    pub(crate) fn bits(&self) -> u16 {
        self.bits
    }

    /// Formats it as `dmsetup udevcookies` does.
    pub(crate) fn name(&self) -> String {
        format!("{:#x}", MAGIC | key_t::from(self.bits))
    }

    /// Waits for one answer more. It fails at the 32,768th.
    pub(crate) fn raise(&self) -> Result<(), Errno> {
        raw::change_semaphore(self.set, ANSWERS, 1)
    }

    /// Waits for one answer less.
    pub(crate) fn lower(&self) {
        // A process that removed the set has ended the wait as well.
        let _ = raw::change_semaphore(self.set, ANSWERS, -1);
    }

    /// Waits for all answers: EAGAIN when `limit` is over, EIDRM when another process removed the set.
    pub(crate) fn wait(&self, limit: Duration) -> Result<(), Errno> {
        raw::await_zero(self.set, ANSWERS, limit)
    }
}

impl Drop for Cookie {
    fn drop(&mut self) {
        // It may be gone: `dmsetup udevcomplete_all` removes all of them.
        let _ = raw::remove_semaphores(self.set);
    }
}

/// Draws sixteen random bits that are not all zero: zero is not a cookie.
fn random() -> Result<u16, Errno> {
    let mut bytes = [0; 2];
    while bytes == [0; 2] {
        getrandom::fill(&mut bytes).map_err(|_| Errno::EIO)?;
    }
    Ok(u16::from_ne_bytes(bytes))
}

/// Removes the cookies of processes that were killed: dmctl's, of this user, in this PID namespace.
pub(super) fn sweep() {
    let list = fs::read_to_string(LIST).unwrap_or_default();
    for set in own_sets(&list, geteuid().as_raw()) {
        let dead = |maker: c_int| maker > 0 && !Path::new(&format!("/proc/{maker}")).exists();
        if raw::last_changed_by(set, MAKER).is_ok_and(dead) {
            // Another process may have removed it already.
            let _ = raw::remove_semaphores(set);
        }
    }
}

/// Lists the sets in the kernel's list that look like dmctl's and belong to `user`: key, set, mode, count, user.
fn own_sets(list: &str, user: u32) -> impl Iterator<Item = c_int> {
    list.lines().skip(1).filter_map(move |line| {
        let mut words = line.split_whitespace();
        let mut next = || words.next()?.parse::<i64>().ok();
        let (key, set, _mode, count, owner) = (next()?, next()?, next()?, next()?, next()?);
        let ours = key >> 16 == i64::from(MAGIC >> 16) && count == i64::from(SEMAPHORES);
        c_int::try_from(set).ok().filter(|_| ours && owner == i64::from(user))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(cookie: u16) -> bool {
        let key = (MAGIC | key_t::from(cookie)).to_string();
        let list = fs::read_to_string(LIST).unwrap();
        list.lines().any(|line| line.split_whitespace().next() == Some(&key))
    }

    #[test]
    fn a_cookie_is_answered_once_for_each_event() {
        let cookie = Cookie::new().unwrap();
        assert!(there(cookie.bits()));
        cookie.raise().unwrap();
        cookie.lower();
        assert_eq!(cookie.wait(Duration::from_millis(10)), Err(Errno::EAGAIN), "the waiter's own is left");
        cookie.lower();
        assert_eq!(cookie.wait(Duration::from_secs(10)), Ok(()));
        let bits = cookie.bits();
        drop(cookie);
        assert!(!there(bits));
    }

    #[test]
    fn the_cookie_of_a_living_process_stays() {
        let cookie = Cookie::new().unwrap();
        sweep();
        assert!(there(cookie.bits()));
    }

    #[test]
    fn only_sets_like_ours_are_looked_at() {
        let list = "\
       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime
 223165083          0   600          2     0     0     0     0          0 1764000000
 223165084          1   600          1     0     0     0     0          0 1764000000
 123165083          2   600          2     0     0     0     0          0 1764000000
 223165085          3   600          2  1000     0     0     0          0 1764000000
garbage
";
        assert_eq!(own_sets(list, 0).collect::<Vec<_>>(), [0]);
        assert_eq!(own_sets("", 0).count(), 0);
    }
}
