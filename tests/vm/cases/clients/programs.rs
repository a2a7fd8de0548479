//! The programs, and what each makes: as small and as cheap as it does so by itself.

use super::Client;

/// A script with a volume group `v` of LVM on five ram disks, and nothing of the host: no udev, no other disk.
macro_rules! on_group {
    ($script:literal) => {
        concat!(
            r#"
rm -rf /dev/v
mkdir -p lvm
cat >lvm/lvm.conf <<END
devices { filter = [ "a|^/dev/ram|", "r|.*|" ] use_devicesfile = 0 obtain_device_list_from_udev = 0 }
activation { udev_sync = 0 udev_rules = 0 verify_udev_operations = 0 monitoring = 0 }
backup { backup = 0 archive = 0 }
global { use_lvmpolld = 0 }
END
lvm vgcreate --yes --physicalextentsize 256k v /dev/ram0 /dev/ram1 /dev/ram2 /dev/ram3 /dev/ram4
"#,
            $script
        )
    };
}

/// Every case.
pub static CLIENTS: &[Client] = &[
    Client {
        name: "clients::lvm_raids",
        programs: &["lvm"],
        subsystem: "LVM",
        make: on_group!(
            "
lvm lvcreate --yes -n linear -L 2m v
lvm lvcreate --yes -n striped -i 2 -L 2m v
lvm lvcreate --yes --type raid1 -m 1 -n raid1 -L 2m v
lvm lvcreate --yes --type raid5 -i 2 -n raid5 -L 2m v
lvm lvcreate --yes --type raid6 -i 3 -n raid6 -L 3m v
lvm lvcreate --yes --type raid10 -i 2 -m 1 -n raid10 -L 2m v"
        ),
        written: &["v-linear", "v-striped", "v-raid1", "v-raid5", "v-raid6", "v-raid10"],
        down: "lvm vgchange -an v",
        up: "lvm vgchange -ay v",
        ..Client::NONE
    },
    Client {
        name: "clients::lvm_mirrors",
        programs: &["lvm"],
        subsystem: "LVM",
        make: on_group!(
            "
lvm lvcreate --yes --type mirror -m 1 --mirrorlog core -n core -L 2m v
lvm lvcreate --yes --type mirror -m 1 --mirrorlog disk -n disk -L 2m v"
        ),
        written: &["v-core", "v-disk"],
        // A log in memory knows nothing: whenever it is made, the first leg is copied over the other.
        allow: "format",
        down: "lvm vgchange -an v",
        up: "lvm vgchange -ay v",
        ..Client::NONE
    },
    Client {
        name: "clients::lvm_pools_and_caches",
        programs: &["lvm", "thin_check", "cache_check"],
        subsystem: "LVM",
        make: on_group!(
            "
lvm lvcreate --yes --type thin-pool -L 8m -n pool v
lvm lvcreate --yes --thin -V 2m -n thin v/pool
lvm lvcreate --yes --snapshot --name thinsnap --setactivationskip n v/thin
lvm lvcreate --yes -n cached -L 4m v /dev/ram0
lvm lvcreate --yes --type cache-pool --cachemode writeback -L 4m -n fast v /dev/ram1
lvm lvconvert --yes --type cache --cachepool v/fast v/cached
lvm lvcreate --yes -n origin -L 2m v
busybox dd if=/dev/urandom of=/dev/mapper/v-origin bs=1M count=2
lvm lvcreate --yes --snapshot --name old -L 3m v/origin
lvm lvcreate --yes -an -n buffer -L 4m v /dev/ram3
lvm lvcreate --yes -an -n slow -L 4m v /dev/ram2
lvm lvconvert --yes --type writecache --cachevol buffer v/slow
lvm lvchange --yes -ay v/slow"
        ),
        written: &["v-thin", "v-cached", "v-origin", "v-slow"],
        read: &["v-thinsnap", "v-old"],
        down: "lvm vgchange -an v",
        up: "lvm vgchange -ay v",
        ..Client::NONE
    },
    Client {
        name: "clients::cryptsetup",
        programs: &["cryptsetup", "keyctl"],
        subsystem: "cryptsetup",
        loops: &["4M", "4M", "4M", "8M"],
        make: "
printf passphrase >passphrase
luks() { cryptsetup luksFormat --batch-mode --key-file passphrase --type \"$@\"; }
luks2() { luks luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --luks2-metadata-size 16k --luks2-keyslots-size 1m \"$@\"; }
luks luks1 --iter-time 1 /dev/loop0
luks2 --sector-size 512 /dev/loop1
luks2 --sector-size 4096 /dev/loop2
luks2 --integrity hmac-sha256 --integrity-no-wipe /dev/loop3
open() { cryptsetup open --key-file passphrase \"$@\"; }
open /dev/loop0 luks1
open --disable-keyring --allow-discards /dev/loop1 sectors512
open /dev/loop2 sectors4096
open --disable-keyring /dev/loop3 tagged
cryptsetup luksDump --batch-mode --dump-volume-key --volume-key-file volume-key --key-file passphrase /dev/loop2",
        written: &["luks1", "sectors512", "sectors4096", "tagged"],
        down: "for name in luks1 sectors512 sectors4096 tagged; do cryptsetup close $name; done",
        up: "
open() { cryptsetup open --key-file passphrase \"$@\"; }
open /dev/loop0 luks1
open --disable-keyring --allow-discards /dev/loop1 sectors512
open /dev/loop2 sectors4096
open --disable-keyring /dev/loop3 tagged",
        keyring: &[("sectors4096", "volume-key")],
        ..Client::NONE
    },
    Client {
        name: "clients::veritysetup",
        programs: &["veritysetup"],
        subsystem: "cryptsetup",
        loops: &["1M", "1M"],
        make: "
busybox dd if=/dev/urandom of=/dev/loop0 bs=1M count=1
veritysetup format --root-hash-file root-hash /dev/loop0 /dev/loop1
veritysetup open --root-hash-file root-hash /dev/loop0 verity /dev/loop1",
        read: &["verity"],
        down: "veritysetup close verity",
        up: "veritysetup open --root-hash-file root-hash /dev/loop0 verity /dev/loop1",
        ..Client::NONE
    },
    Client {
        name: "clients::integritysetup",
        programs: &["integritysetup"],
        subsystem: "cryptsetup",
        loops: &["4M", "4M"],
        make: "
busybox dd if=/dev/urandom of=key bs=32 count=1
keyed='--integrity hmac-sha256 --integrity-key-file key --integrity-key-size 32'
integritysetup format --batch-mode --no-wipe --integrity crc32c /dev/loop0
integritysetup format --batch-mode --no-wipe $keyed /dev/loop1
integritysetup open --integrity crc32c /dev/loop0 sums
integritysetup open $keyed /dev/loop1 keyed",
        written: &["sums", "keyed"],
        down: "integritysetup close sums; integritysetup close keyed",
        up: "
integritysetup open --integrity crc32c /dev/loop0 sums
integritysetup open --integrity hmac-sha256 --integrity-key-file key --integrity-key-size 32 /dev/loop1 keyed",
        ..Client::NONE
    },
    Client {
        name: "clients::kpartx",
        programs: &["kpartx", "sfdisk"],
        subsystem: "kpartx",
        loops: &["8M"],
        make: "
printf 'label: gpt\\n,2M\\n,3M\\n' | sfdisk --quiet --no-reread /dev/loop0
kpartx -a -n /dev/loop0",
        written: &["loop0p1", "loop0p2"],
        down: "kpartx -d -n /dev/loop0",
        up: "kpartx -a -n /dev/loop0",
        ..Client::NONE
    },
];
