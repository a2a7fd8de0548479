//! Follows the messages of a rollback that failed, to the letter: each command that they name is run by the program.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use dmctl::apply::Remnant;
use dmctl::kernel::simulated::Simulated;

/// Runs the commands that `left` names, in order, on a kernel that nothing is wrong with. Returns that kernel, and how
/// many commands were run.
pub fn follow(kernel: &Simulated, left: &[Remnant], folder: &Path) -> Result<(Simulated, usize), String> {
    let state = folder.join("kernel.json");
    let text = serde_json::to_string(&kernel.state()).expect("a state is JSON");
    fs::write(&state, text).expect("a state file");
    let commands: Vec<(String, String)> = left.iter().flat_map(|one| commands(&one.to_string())).collect();
    for (command, table) in &commands {
        run(&state, command, table)?;
    }
    let text = fs::read_to_string(&state).expect("the state file");
    let state = serde_json::from_str(&text).expect("a state");
    Ok((Simulated::new(&state).expect("the state of a kernel"), commands.len()))
}

/// Returns the commands that a message names, each with the table below the message. `dmctl apply` is run afterwards in
/// any case; a table that the message does not have, or that has a hidden key, can't be given.
fn commands(message: &str) -> Vec<(String, String)> {
    let table: String = message.lines().skip(1).map(|line| line.trim().to_string() + "\n").collect();
    let needs_table = |command: &str| command.starts_with("reload ") || command.starts_with("create ");
    let can_run = |command: &str| {
        command != "apply" && !(needs_table(command) && (table.is_empty() || table.contains('<')))
    };
    let named = message.split('`').skip(1).step_by(2).filter_map(|part| part.strip_prefix("dmctl "));
    named.filter(|command| can_run(command)).map(|command| (command.to_string(), table.clone())).collect()
}

fn run(state: &Path, command: &str, table: &str) -> Result<(), String> {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(format!("\"$DMCTL\" --kernel \"$STATE\" {command}"))
        .env("DMCTL", env!("CARGO_BIN_EXE_dmctl"))
        .env("STATE", state)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    // A command that reads nothing may have ended by now.
    let _ = child.stdin.take().expect("a pipe").write_all(table.as_bytes());
    let output = child.wait_with_output().expect("an end");
    if output.status.success() {
        return Ok(());
    }
    Err(format!("`dmctl {command}`: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}
