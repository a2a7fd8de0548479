//! `dmctl completions`: what a shell needs to complete dmctl's arguments.

use clap::{CommandFactory, ValueEnum};
use clap_complete::{Shell as Generator, generate};

use super::args;
use super::exit::Exit;
use super::failure::Failure;
use super::output::print;

/// Print the script by which a shell completes dmctl's arguments
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl completions bash > /etc/bash_completion.d/dmctl\n  dmctl completions zsh > /usr/local/share/zsh/site-functions/_dmctl\n  dmctl completions fish > ~/.config/fish/completions/dmctl.fish"
)]
pub struct Args {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// The shells that are served.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl From<Shell> for Generator {
    fn from(shell: Shell) -> Self {
        match shell {
            Shell::Bash => Self::Bash,
            Shell::Zsh => Self::Zsh,
            Shell::Fish => Self::Fish,
        }
    }
}

/// Prints it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    generate(Generator::from(args.shell), &mut args::Args::command(), "dmctl", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
