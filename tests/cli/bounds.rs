//! What a map may cost: memory is bounded, whatever the text.

use std::process::{Command, Stdio};

use crate::lab::{Lab, ended};

#[test]
fn a_map_of_many_short_values_is_refused_before_it_is_parsed() {
    let lab = Lab::new();
    let many = format!("format = 1\na = [{}1]\n", "1,".repeat(5_000_000));
    let path = lab.write("many.toml", &many);
    // Parsed, it would take 1.5 GB. The shell limits the address space, in KiB.
    let script = "ulimit -v 400000; exec \"$0\" validate \"$1\"";
    let dmctl = env!("CARGO_BIN_EXE_dmctl");
    let mut command = Command::new("sh");
    let ended = ended(command.args(["-c", script, dmctl, &path]).stdin(Stdio::null()));
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("more than 3000000 values"), "{ended:?}");
    // Together, too.
    let half = format!("format = 1\na = [{}1]\n", "1,".repeat(1_600_000));
    let paths = ["one.toml", "two.toml"].map(|name| lab.write(name, &half));
    let message = lab.fails(1, ["validate", &paths[0], &paths[1]]);
    assert!(message.contains(&format!("with `{}` the map holds more", paths[1])), "{message}");
}
