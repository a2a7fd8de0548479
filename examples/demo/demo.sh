#!/bin/sh
# Walks through the maps in this folder on a kernel that has Device Mapper. It needs four empty ram disks
# and root, so `make demo` runs it inside User-Mode Linux; its argument is the dmctl to use.
set -eu

dmctl=$1
cd "$(dirname "$0")"

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
run() { printf '\033[36m$ %s\033[0m\n' "$(echo "$*" | sed "s|$dmctl|dmctl|")"; "$@"; }

say "A map says what should be"
run cat before.toml
say "The plan says what that takes"
run "$dmctl" plan before.toml
say "Apply does it"
run "$dmctl" apply before.toml
run "$dmctl" status before.toml

say "A file system on top, mounted, with something in it"
mkdir -p /run/data
run mkfs.ext4 -q /dev/mapper/data
run mount -t ext4 /dev/mapper/data /run/data
echo "still here" >/run/data/note
say "Nothing has drifted: there is nothing to do"
run "$dmctl" plan before.toml

say "An edit: data grows by a disk, fast is renamed, cache is dropped"
run diff -U1 before.toml after.toml || true
run "$dmctl" plan after.toml
say "Applied while the file system is mounted"
run "$dmctl" apply after.toml
run cat /run/data/note
run "$dmctl" plan after.toml
run "$dmctl" list --long

say "A device that is in use is not removed"
run "$dmctl" apply gone.toml || echo "(exit code $?)"
run umount /run/data
say "Closed, it goes, and only what this owner has"
run "$dmctl" apply gone.toml
run "$dmctl" list
say "That was all of it: the map, the plan, the apply"
