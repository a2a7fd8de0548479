//! The `dmctl` command. What it does is in the library of the same name, in `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    dmctl::cli::main().into()
}
