//! The `dmctl` command: a thin edge around the library of the same name.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main().into()
}
