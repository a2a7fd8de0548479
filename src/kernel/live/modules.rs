//! The target types that the running kernel can load: those of the modules that its index lists.
//!
//! The kernel asks for the module `dm-TYPE` when a table names a type that it does not have (`load_module` in
//! `drivers/md/dm-target.c`), and modprobe looks in the index of that release: `modules.dep` for what can be loaded,
//! `modules.builtin` for what is there already, `modules.alias` for other names of both (modprobe(8), depmod(8)).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::targets::{self, KINDS};

/// The folders of the indexes, a folder for each release.
const FOLDERS: [&str; 2] = ["/lib/modules", "/usr/lib/modules"];

/// Modules of Device Mapper that are no target type, without `dm-`: the core, and what targets share.
const HELPERS: [&str; 16] = [
    "audit",
    "bio-prison",
    "bufio",
    "cache-smq",
    "cache-cleaner",
    "crypt-common",
    "historical-service-time",
    "io-affinity",
    "log",
    "log-userspace",
    "mod",
    "persistent-data",
    "queue-length",
    "region-hash",
    "round-robin",
    "service-time",
];

/// Returns the types that the running kernel can have; `None` where its release has no index here.
pub(super) fn loadable() -> Option<BTreeSet<String>> {
    let release = nix::sys::utsname::uname().ok()?.release().to_str()?.to_string();
    FOLDERS.iter().find_map(|folder| in_index(&PathBuf::from(folder).join(&release)))
}

/// Returns the types of the index in a folder.
fn in_index(folder: &Path) -> Option<BTreeSet<String>> {
    let loadable = fs::read_to_string(folder.join("modules.dep")).ok()?;
    let builtin = fs::read_to_string(folder.join("modules.builtin")).unwrap_or_default();
    let aliases = fs::read_to_string(folder.join("modules.alias")).unwrap_or_default();
    Some(types(&loadable, &builtin, &aliases))
}

/// Returns the types that the modules of an index are of.
fn types(loadable: &str, builtin: &str, aliases: &str) -> BTreeSet<String> {
    let paths = loadable.lines().filter_map(|line| line.split(':').next()).chain(builtin.lines());
    let files = paths.filter_map(|path| path.rsplit('/').next()?.split(".ko").next());
    let aliases = aliases.lines().filter_map(|line| line.strip_prefix("alias ")?.split(' ').next());
    let modules: BTreeSet<String> = files
        .chain(aliases)
        .filter(|name| name.starts_with("dm"))
        .map(|name| name.replace('_', "-"))
        .collect();
    let known = KINDS.iter().filter(|kind| modules.contains(&targets::module(kind.name)));
    let others = modules.iter().filter_map(|module| module.strip_prefix("dm-"));
    let is_type = |name: &&str| {
        // Several types of one module, and their module is no type then.
        !HELPERS.contains(name)
            && !KINDS.iter().any(|kind| targets::module(kind.name) == format!("dm-{name}"))
    };
    known.map(|kind| kind.name.to_string()).chain(others.filter(is_type).map(ToString::to_string)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_from_the_modules() {
        let loadable = "kernel/drivers/md/dm-raid.ko.xz: kernel/drivers/md/raid456.ko.xz\n\
                        kernel/drivers/md/dm-thin-pool.ko: kernel/drivers/md/dm-bufio.ko\n\
                        kernel/drivers/md/dm-snapshot.ko.zst:\nkernel/drivers/md/dm-bufio.ko:\nkernel/fs/ext4/ext4.ko:\n\
                        extra/dm-future.ko:\nkernel/drivers/md/dm_unstripe.ko:\n";
        let found =
            types(loadable, "kernel/drivers/md/dm-mod.ko\n", "alias dm-newer dm_other\nalias pci:1 x\n");
        let expected = [
            "error",
            "future",
            "linear",
            "newer",
            "raid",
            "snapshot",
            "snapshot-merge",
            "snapshot-origin",
            "striped",
            "thin",
            "thin-pool",
            "unstriped",
        ];
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn without_an_index_nothing_is_known() {
        assert_eq!(in_index(Path::new("/nonexistent")), None);
    }
}
