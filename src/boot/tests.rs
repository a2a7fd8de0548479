use super::*;
use crate::config::parse_str;

const MAP: &str = r#"
    format = 1
    [mappings.pool]
    wait = "5s"
    targets = [
      { type = "linear", length = 64, device = "PARTLABEL=one" },
      { type = "linear", length = 64, device = "8:16" },
    ]
    [mappings.secret]
    name = "a secret"
    targets = [{ type = "crypt", length = 64, cipher = "aes-xts-plain64", key = { credential = "disk-key" }, device = "@pool" }]
    [mappings.remote]
    boot = ["_netdev"]
    targets = [{ type = "crypt", length = 64, cipher = "aes-xts-plain64", key = { file = "/srv/keys/remote" }, device = "/dev/nbd0p1" }]
    [mappings.spare]
    boot = ["nofail"]
    targets = [{ type = "linear", length = 64, device = "/dev/disk/by-id/spare" }]
    [mappings.later]
    boot = ["noauto"]
    targets = [{ type = "zero", length = 64 }]
    [mappings.root]
    boot = ["x-initrd.attach"]
    targets = [{ type = "zero", length = 64 }]
"#;

fn made(stage: Stage) -> Units {
    units(&parse_str("map.toml", MAP).map.unwrap(), stage)
}

fn text(units: &Units, path: &str) -> String {
    match units.get(path) {
        Some(UnitFile::Text(text)) => text.clone(),
        other => panic!("{path}: {other:?} in {:#?}", units.keys()),
    }
}

fn drop_in(stack: &str) -> String {
    text(&made(Stage::System), &format!("dmctl@{stack}.service.d/10-stack.conf"))
}

#[test]
fn a_stack_waits_for_its_lower_devices_and_is_there_before_its_users() {
    assert_eq!(
        drop_in("secret"),
        "# Made by dmctl from its map.\n\n\
         [Unit]\n\
         Description=Device Mapper stack secret (pool)\n\
         Wants=dev-disk-by\\x2dpartlabel-one.device\n\
         After=dev-disk-by\\x2dpartlabel-one.device\n\
         Wants=blockdev@dev-mapper-pool.target\n\
         Before=blockdev@dev-mapper-pool.target\n\
         Wants=blockdev@dev-mapper-a\\x5cx20secret.target\n\
         Before=blockdev@dev-mapper-a\\x5cx20secret.target\n\
         Before=dmctl.service local-fs.target\n\
         PartOf=dmctl.service\n\
         Conflicts=umount.target\n\
         Before=umount.target\n\
         \n\
         [Service]\n\
         LoadCredential=disk-key\n"
    );
}

#[test]
fn a_device_asks_for_its_stack_and_dmctl_for_those_of_every_boot() {
    let units = made(Stage::System);
    let links: Vec<&str> = units
        .iter()
        .filter(|(_, entry)| matches!(entry, UnitFile::Link(_)))
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(
        links,
        [
            "dev-disk-by\\x2did-spare.device.wants/dmctl@spare.service",
            "dev-disk-by\\x2dpartlabel-one.device.wants/dmctl@secret.service",
            "dev-mapper-a\\x5cx20secret.device.requires/dmctl@secret.service",
            "dev-mapper-later.device.requires/dmctl@later.service",
            "dev-mapper-pool.device.requires/dmctl@secret.service",
            "dev-mapper-remote.device.requires/dmctl@remote.service",
            "dev-mapper-root.device.requires/dmctl@root.service",
            "dev-mapper-spare.device.requires/dmctl@spare.service",
            "dev-nbd0p1.device.wants/dmctl@remote.service",
            "dmctl.service.requires/dmctl@root.service",
            "dmctl.service.requires/dmctl@secret.service",
            "dmctl.service.wants/dmctl@remote.service",
            "dmctl.service.wants/dmctl@spare.service",
        ]
    );
}

/// udev writes the serial number of FAT in capitals, and no link in small letters ever comes.
#[test]
fn a_stack_waits_for_the_link_that_udev_makes() {
    for (written, awaited, other) in [
        ("ab12-cd34", "AB12\\x2dCD34", Some("ab12\\x2dcd34")),
        ("AB12-CD34", "AB12\\x2dCD34", Some("ab12\\x2dcd34")),
        ("AB12CD34AB12CD34", "AB12CD34AB12CD34", Some("ab12cd34ab12cd34")),
        ("1234-5678", "1234\\x2d5678", None),
    ] {
        let map = format!(
            "format = 1\n[mappings.x]\ntargets = [{{ type = \"linear\", length = 8, device = \"UUID={written}\" }}]\n"
        );
        let units = units(&parse_str("map.toml", &map).map.unwrap(), Stage::System);
        let drop_in = text(&units, "dmctl@x.service.d/10-stack.conf");
        let waits: Vec<&str> = drop_in.lines().filter(|line| line.contains("by\\x2duuid")).collect();
        let unit = |name: &str| format!("dev-disk-by\\x2duuid-{name}.device");
        assert_eq!(waits, [format!("Wants={}", unit(awaited)), format!("After={}", unit(awaited))]);
        for name in [Some(awaited), other].into_iter().flatten() {
            assert!(
                units.contains_key(&format!("{}.wants/dmctl@x.service", unit(name))),
                "{name}: {units:?}"
            );
        }
    }
}

#[test]
fn where_nothing_asks_for_the_stacks_disks_start_none() {
    let mut units = made(Stage::System);
    let all = units.len();
    leave_out_starts_by_disks(&mut units);
    assert_eq!(units.len(), all - 3);
    assert!(units.keys().all(|path| !path.contains(".device.wants/")));
}

#[test]
fn options_are_told_to_systemd() {
    assert!(!drop_in("spare").contains("local-fs.target"));
    assert!(!drop_in("later").contains("local-fs.target"));
    let remote = drop_in("remote");
    for line in [
        "After=network-online.target remote-fs-pre.target",
        "Before=remote-fs.target",
        "RequiresMountsFor=/srv/keys",
        "Wants=dev-nbd0p1.device",
    ] {
        assert!(remote.lines().any(|found| found == line), "{line} in {remote}");
    }
    let root = drop_in("root");
    assert!(!root.contains("umount.target") && !root.contains("PartOf"), "{root}");
}

#[test]
fn how_long_a_mapping_waits_is_how_long_its_devices_are_waited_for() {
    let units = made(Stage::System);
    let path = "dev-disk-by\\x2dpartlabel-one.device.d/10-dmctl.conf";
    assert_eq!(text(&units, path), "[Unit]\nJobRunningTimeoutSec=5000ms\n");
    assert_eq!(units.keys().filter(|path| path.ends_with("10-dmctl.conf")).count(), 1);
}

#[test]
fn the_initramfs_has_what_is_marked_for_it() {
    let units = made(Stage::Initrd);
    let paths: Vec<&str> = units.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "dev-mapper-root.device.requires/dmctl@root.service",
            "dmctl@root.service.d/10-stack.conf",
            "sysinit.target.wants/dmctl@root.service",
        ]
    );
}
