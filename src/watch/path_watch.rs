//! Finds the directory entries that decide which file a path resolves to.
//!
//! A file is found by names in folders: its own, those of the links on the way (a whole folder of maps may be
//! swapped by one link, as Kubernetes does), or, where the way ends, the first name that is missing. An event at
//! any of these entries may change what the path resolves to; other events can't.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The number of links that the kernel follows in one path, `path_resolution(7)`.
const MAX_LINKS: usize = 40;

/// A name in a folder, or every name in it that a map may have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WatchedEntry {
    /// The path of the folder, without links.
    pub(super) folder: PathBuf,
    /// The name; `None` for every `*.toml`.
    pub(super) name: Option<OsString>,
}

impl WatchedEntry {
    /// Whether this is the entry `name` of `folder`.
    pub(super) fn is_at(&self, folder: &Path, name: &OsStr) -> bool {
        self.folder == folder && self.name.as_deref().map_or_else(|| is_map(name), |own| own == name)
    }
}

fn is_map(name: &OsStr) -> bool {
    name.as_encoded_bytes().ends_with(b".toml")
}

/// Lists the entries on the way to `path`; when that is a folder, also its maps and the entries on the way to them.
pub(super) fn watched_entries(path: &Path) -> io::Result<Vec<WatchedEntry>> {
    let mut entries = Vec::new();
    if let Some(folder) = walk(&std::path::absolute(path)?, &mut entries) {
        // A folder that can't be read is an error where the map is read.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if is_map(&entry.file_name()) && entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                walk(&entry.path(), &mut entries);
            }
        }
        entries.push(WatchedEntry { folder, name: None });
    }
    entries.sort();
    entries.dedup();
    Ok(entries)
}

/// Resolves an absolute path, and adds the entries on the way. Returns the folder that it resolves to, if it is one.
fn walk(path: &Path, entries: &mut Vec<WatchedEntry>) -> Option<PathBuf> {
    let mut at = PathBuf::from("/");
    let mut ahead: VecDeque<OsString> = names(path);
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        let kind = fs::symlink_metadata(&next).map(|metadata| metadata.file_type());
        if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
            at = next;
            continue;
        }
        entries.push(WatchedEntry { folder: at.clone(), name: Some(name) });
        let target = kind.ok().filter(fs::FileType::is_symlink).and_then(|_| fs::read_link(&next).ok())?;
        links += 1;
        if links > MAX_LINKS {
            return None;
        }
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        names(&target).into_iter().rev().for_each(|name| ahead.push_front(name));
    }
    Some(at)
}

/// Splits a path into names, `..` among them: it means another folder once a link was followed.
fn names(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_os_string()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Lists the entries on the way to `path` below a folder that `prepare` fills, relative to that, as text.
    fn entries(prepare: impl FnOnce(&Path), path: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        prepare(&root);
        let shown = |entry: WatchedEntry| {
            let name = entry.name.unwrap_or_else(|| "*".into());
            entry.folder.join(name).strip_prefix(&root).unwrap().display().to_string()
        };
        watched_entries(&root.join(path)).unwrap().into_iter().map(shown).collect()
    }

    #[test]
    fn a_file_is_its_name_in_its_folder() {
        assert_eq!(entries(|root| fs::write(root.join("map.toml"), "").unwrap(), "map.toml"), ["map.toml"]);
    }

    #[test]
    fn what_is_missing_is_waited_for_where_the_way_ends() {
        assert_eq!(entries(|root| fs::create_dir(root.join("a")).unwrap(), "a/b/c/map.toml"), ["a/b"]);
    }

    #[test]
    fn links_are_followed_one_by_one() {
        let kubernetes = |root: &Path| {
            fs::create_dir(root.join("..v1")).unwrap();
            fs::write(root.join("..v1/map.toml"), "").unwrap();
            symlink("..v1", root.join("..data")).unwrap();
            symlink("..data/map.toml", root.join("map.toml")).unwrap();
        };
        assert_eq!(entries(kubernetes, "map.toml"), ["..data", "map.toml", "..v1/map.toml"]);
    }

    #[test]
    fn a_folder_is_its_maps_and_where_they_are() {
        let folder = |root: &Path| {
            fs::create_dir_all(root.join("maps")).unwrap();
            fs::write(root.join("maps/a.toml"), "").unwrap();
            symlink("../elsewhere.toml", root.join("maps/b.toml")).unwrap();
            symlink(root.join("maps"), root.join("link")).unwrap();
        };
        assert_eq!(entries(folder, "link"), ["elsewhere.toml", "link", "maps/*", "maps/b.toml"]);
    }

    #[test]
    fn a_circle_ends() {
        let circle = |root: &Path| {
            symlink("b", root.join("a")).unwrap();
            symlink("a", root.join("b")).unwrap();
        };
        assert_eq!(entries(circle, "a"), ["a", "b"]);
    }

    #[test]
    fn an_entry_for_every_map_is_for_maps_alone() {
        let maps = WatchedEntry { folder: "/etc/dmctl".into(), name: None };
        let at = |folder: &str, name: &str| maps.is_at(Path::new(folder), OsStr::new(name));
        assert!(at("/etc/dmctl", "a.toml") && !at("/etc/dmctl", "a.toml~") && !at("/etc", "a.toml"));
    }
}
