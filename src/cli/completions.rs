//! `dmctl completions`: prints the script by which a shell completes dmctl's arguments.

use super::complete::{self, Shell};
use super::exit::Exit;
use super::failure::Failure;
use super::output::print;

/// Print the script by which a shell completes dmctl's arguments
///
/// The script asks dmctl at each press of Tab: names of devices and keys of mappings are completed, too. Print it again after an
/// upgrade of dmctl.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl completions bash > /etc/bash_completion.d/dmctl\n  dmctl completions zsh > /usr/local/share/zsh/site-functions/_dmctl\n  dmctl completions fish > ~/.config/fish/completions/dmctl.fish"
)]
pub(crate) struct Args {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    print(&complete::script(args.shell)?)?;
    Ok(Exit::Done)
}
