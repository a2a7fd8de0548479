//! The units of the package: how much of the host is open to each, as systemd-analyze(1) counts it.

#![allow(clippy::unwrap_used, reason = "a unit that can't be read fails its test")]

use std::process::Command;

/// The most that `systemd-analyze security` may count for a unit, in tenths: "OK" begins above.
const MAX_EXPOSURE: &str = "20";

#[test]
fn no_unit_is_open_to_more_than_it_needs() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "systemd-analyze is missing");
        eprintln!("skipped: systemd-analyze is missing");
        return;
    }
    for unit in ["dmctl.service", "dmctl@.service", "dmctl-watch.service"] {
        let path = format!("{}/dist/systemd/{unit}", env!("CARGO_MANIFEST_DIR"));
        let threshold = format!("--threshold={MAX_EXPOSURE}");
        let ran = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager", &threshold, &path])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && told.contains("Overall exposure"), "{unit}: {ran:?}\n{told}");
        // A core would hold the keys that were read; the limit counts for nothing there.
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nLimitCORE=0\n"), "{unit}");
        // A stack that is swapped, and keys of a way back, are kept in memory (mlockall(2)).
        let changes = text.contains("CAP_SYS_ADMIN");
        assert!(!text.contains("=CAP_IPC_LOCK") && !text.contains(" CAP_IPC_LOCK"), "{unit}");
        assert_eq!(text.contains("\nLimitMEMLOCK=infinity\n"), changes, "{unit}");
        assert!(text.contains("\nSystemCallFilter=@system-service\n"), "{unit}: with its group @memlock");
        assert!(!text.contains("~@memlock") && !text.contains(" @memlock"), "{unit}");
    }
}
