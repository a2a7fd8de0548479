//! Puts what the documents tell into the manual pages that `dmctl man` wrote: run when the package is made.
//!
//! ```text
//! dmctl-man FOLDER VERSION      FOLDER is that of `dmctl man`, VERSION is what `dmctl --version` prints
//! ```

mod markdown;
mod pages;

use std::path::Path;
use std::{env, fs, io};

use pages::{add_sections, map_page};

fn main() -> io::Result<()> {
    let (Some(folder), Some(version)) = (env::args().nth(1), env::args().nth(2)) else {
        return Err(io::Error::other("usage: dmctl-man FOLDER VERSION"));
    };
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let document = |name: &str| fs::read_to_string(docs.join(name));
    let folder = Path::new(&folder);
    let command = folder.join("man1/dmctl.1");
    fs::write(&command, add_sections(&fs::read_to_string(&command)?, &document("cli.md")?))?;
    fs::create_dir_all(folder.join("man5"))?;
    let map = map_page(&document("map-format.md")?, &document("targets.md")?, &version);
    fs::write(folder.join("man5/dmctl.toml.5"), map)
}
