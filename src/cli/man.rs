//! `dmctl man`: writes the manual pages of section 1, `dmctl(1)` and one for each verb, from the arguments.
//!
//! `dmctl.toml(5)` and the further sections of `dmctl(1)` are made of the documents when the package is built
//! (`dist/man`): the command carries neither the documents nor a reader of Markdown.

use std::io;
use std::path::{Path, PathBuf};

use crate::files::{self, Durability, FileMode};
use crate::identity::printable_path;
use anyhow::anyhow;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::exit::Exit;
use super::failure::Failure;

/// The name of the manual, in the head of a page.
const MANUAL: &str = "dmctl";
/// Begins the names of the files that are written beside the pages.
const TEMPORARY: &str = ".dmctl-man-";
/// In place of a date, so that the same sources give the same pages. Not empty, or its place would be taken.
const NO_DATE: &str = " ";

/// Write the manual pages into a folder
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl man /usr/local/share/man\n  dmctl man . && man ./man1/dmctl-apply.1"
)]
pub(crate) struct Args {
    /// The folder; pages go into man1 below it
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes the pages of `command` and of its verbs.
pub(crate) fn run(args: &Args, command: &Command) -> Result<Exit, Failure> {
    files::sweep_in(&args.folder.join("man1"), TEMPORARY);
    for (file, text) in pages(command) {
        let path = args.folder.join(file);
        write(&path, &text).map_err(|error| {
            Failure::new(Exit::Error, anyhow!("{} can't be written: {error}", printable_path(&path)))
        })?;
    }
    Ok(Exit::Done)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    files::make_folder(files::folder(path))?;
    files::replace(path, text.as_bytes(), TEMPORARY, FileMode::Keep, Durability::Cached)
        .map_err(|(_, error)| error)
}

/// Makes every page, each with its path below the folder of manual pages.
fn pages(command: &Command) -> Vec<(PathBuf, String)> {
    let mut pages = vec![(PathBuf::from("man1/dmctl.1"), command_page(command))];
    for verb in command.get_subcommands() {
        let man = man(verb.clone(), command);
        pages.push((Path::new("man1").join(man.get_filename()), verb_page(&man)));
    }
    pages
}

/// Begins a page of section 1.
fn man(of: Command, command: &Command) -> Man {
    Man::new(of).manual(MANUAL).source(source(command)).date(NO_DATE)
}

/// Makes the page of a verb. The text after its options are its examples.
fn verb_page(man: &Man) -> String {
    let mut more = Roff::new();
    see_also(&mut more, &["dmctl(1)", "dmctl.toml(5)"]);
    printed(|out| man.render(out)).replace("\n.SH EXTRA\nExamples:\n", "\n.SH EXAMPLES\n") + &more.render()
}

/// Returns the name and the version of the command.
fn source(command: &Command) -> String {
    format!("dmctl {}", command.get_version().unwrap_or_default())
}

/// Makes the page of the command as a whole.
fn command_page(command: &Command) -> String {
    let mut more = Roff::new();
    see_also(&mut more, &["dmctl.toml(5)", "dmsetup(8)"]);
    printed(|out| man(command.clone(), command).render(out)) + &more.render()
}

fn see_also(page: &mut Roff, others: &[&str]) {
    page.control("SH", ["SEE ALSO"]);
    page.text([roman(others.join(", "))]);
}

/// Returns the text that `print` writes. Writing to memory cannot fail, and no other writer is given.
fn printed(print: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    match print(&mut out) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(error) => error.to_string(),
    }
}
