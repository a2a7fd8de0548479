#!/bin/bash
# Puts the stacks that say `boot = ["x-initrd.attach"]` into the initramfs. systemd runs there, so dmctl's generator
# makes their units, as it does in the system.

# A map that others could have written is refused here as it is by `dmctl apply`.
show() { dmctl stacks "$dracutsysrootdir/etc/dmctl" --boot x-initrd.attach --show "$@"; }

check() {
    local stacks
    require_binaries dmctl || return 1
    compgen -G "$dracutsysrootdir/etc/dmctl/*.toml" >/dev/null || return 255
    # An initramfs without the root file system's mapping would not boot: the error of dmctl is shown.
    stacks=$(show names) || return 1
    [[ -n $stacks ]] || return 255
    show secret-files >/dev/null || return 1
    return 0
}

depends() {
    echo systemd dm
    return 0
}

installkernel() {
    local type types
    hostonly='' instmods dm-mod
    # A type may be `*`, which is not a pattern.
    mapfile -t types < <(show types)
    for type in "${types[@]}"; do
        hostonly='' instmods "dm-$type"
        case $type in
            crypt | integrity | verity) hostonly='' instmods =crypto =arch/x86/crypto ;;
        esac
    done
}

install() {
    inst_multiple dmctl
    inst_simple /usr/lib/systemd/system-generators/dmctl-generator
    # shellcheck disable=SC2154 # dracut sets it
    inst_simple "$systemdsystemunitdir/dmctl@.service"
    local file
    # A key file that others can read or write is refused as it is by `dmctl apply`: then not a file is copied.
    show secret-files >/dev/null || return 1
    while IFS= read -r -d '' file; do
        inst_simple "$file" || { derror "dmctl: $file can't be copied"; return 1; }
    done < <(show map-files --null && show key-files --null)
}
