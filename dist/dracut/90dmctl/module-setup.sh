#!/bin/bash
# Puts the stacks that say `boot = ["x-initrd.attach"]` into the initramfs. systemd runs there, so dmctl's generator
# makes their units, as it does in the system.

show() { dmctl stacks "$dracutsysrootdir/etc/dmctl" --boot x-initrd.attach --show "$1" 2>/dev/null; }

check() {
    require_binaries dmctl || return 1
    compgen -G "$dracutsysrootdir/etc/dmctl/*.toml" >/dev/null || return 255
    [[ -n $(show names) ]] || return 255
    return 0
}

depends() {
    echo systemd dm
    return 0
}

installkernel() {
    local type
    hostonly='' instmods dm-mod
    for type in $(show types); do
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
    inst_multiple /etc/dmctl/*.toml
    show key-files | while IFS= read -r key; do inst_simple "$key"; done
}
