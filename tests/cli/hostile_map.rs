//! Text that would act on a terminal, a unit or a shell, in every field of a map that takes text, through every verb and
//! format: no output acts, and no unit has a line that the map made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::lab::{Ended, Lab};

/// Text as TOML writes it, in a basic string.
const HOSTILE: [&str; 9] = [
    r"a\u001b[2Jb",
    r"a\nExecStartPre=+sh",
    r"a\rb\tc",
    r"a\u009b2Jb",
    r"a\u007f",
    r"a\u202eb\u2066c",
    r"a\u0000b",
    r"a\u200b\ufeffb",
    r#"a\"'`$(id)</script>%n;|&"#,
];

/// Mappings with a field each that takes text: `@` stands for the text.
const FIELDS: [&str; 17] = [
    "[mappings.m]\nname = \"@\"\ntargets = [{ type = \"zero\", length = 8 }]",
    "[mappings.m]\nuuid = \"@\"\ntargets = [{ type = \"zero\", length = 8 }]",
    "[mappings.m]\nrenamed_from = \"@\"\ntargets = [{ type = \"zero\", length = 8 }]",
    "[mappings.m]\nformerly = [\"@\"]\ntargets = [{ type = \"zero\", length = 8 }]",
    "[mappings.m]\nboot = [\"@\"]\ntargets = [{ type = \"zero\", length = 8 }]",
    "[mappings.m]\nwait = \"@\"\ntargets = [{ type = \"zero\", length = 8 }]",
    "[mappings.m]\ntargets = [{ type = \"@\", length = 8, params = \"x\" }]",
    "[mappings.m]\ntargets = [{ type = \"odd\", length = 8, params = \"@\" }]",
    "[mappings.m]\ntargets = [{ type = \"linear\", length = 8, device = \"/dev/@\" }]",
    "[mappings.m]\ntargets = [{ type = \"linear\", length = 8, device = \"LABEL=@\" }]",
    "[mappings.m]\ntargets = [{ type = \"linear\", length = 8, device = \"@@\" }]",
    "[mappings.m]\ntargets = [{ type = \"linear\", length = \"@\", device = \"/dev/sda\" }]",
    "[mappings.m]\ntargets = [{ type = \"error\", length = 8, messages = [\"@\"] }]",
    "[mappings.m]\ntargets = [{ type = \"crypt\", length = 8, cipher = \"@\", key = { random = 32 }, device = \"/dev/sda\" }]",
    "[mappings.m]\ntargets = [{ type = \"crypt\", length = 8, cipher = \"aes-cbc-plain\", key = { file = \"/k/@\" }, device = \"/dev/sda\" }]",
    "[mappings.m]\ntargets = [{ type = \"crypt\", length = 8, cipher = \"aes-cbc-plain\", key = { credential = \"@\" }, device = \"/dev/sda\" }]",
    "[mappings.\"@\"]\n\"@\" = \"@\"\ntargets = [{ type = \"zero\", length = 8, \"@\" = \"@\" }]",
];

fn acts(text: &str) -> bool {
    let is_hidden = |c: char| "\u{200b}\u{202e}\u{2066}\u{feff}".contains(c);
    text.contains(|c: char| (c.is_control() && c != '\n') || is_hidden(c))
}

fn run(lab: &Lab, arguments: &[&str]) -> Ended {
    let ended = lab.run(arguments);
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!acts(text), "{arguments:?}: {text:?}");
    }
    assert!(!ended.stderr.contains("panicked"), "{arguments:?}: {ended:?}");
    ended
}

/// Writes a map that root alone can read: it may name a key.
fn write(lab: &Lab, text: &str) -> String {
    let path = lab.write("map.toml", &format!("format = 1\nowner = \"lab\"\n{text}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn units_have_no_line_of_the_map(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
        let path = entry.path();
        assert!(
            !acts(&path.to_string_lossy()) && !path.to_string_lossy().contains('\n'),
            "{}",
            path.display()
        );
        if path.symlink_metadata().unwrap().is_dir() {
            units_have_no_line_of_the_map(&path);
        } else if let Ok(text) = fs::read_to_string(&path) {
            assert!(!acts(&text) && !text.contains("\nExecStartPre"), "{}: {text:?}", path.display());
        }
    }
}

#[test]
fn no_text_of_a_map_acts_in_any_output() {
    let mut accepted = 0;
    for hostile in HOSTILE {
        for field in FIELDS {
            let lab = Lab::new();
            let map = write(
                &lab,
                &field.replace('@', hostile).replace(&format!("{hostile}{hostile}"), &format!("@{hostile}")),
            );
            run(&lab, &["validate", &map]);
            run(&lab, &["validate", &map, "--json"]);
            if lab.run(["validate", &map]).code != 0 {
                continue;
            }
            accepted += 1;
            through_every_verb(&lab, &map);
        }
    }
    assert!(accepted > 25, "{accepted} maps are valid: the others show only what `validate` tells");
}

fn through_every_verb(lab: &Lab, map: &str) {
    let (plan, units) = (&lab.path("plan.json"), &lab.path("units"));
    for format in ["text", "json", "markdown", "html"] {
        run(lab, &["plan", map, "--format", format]);
    }
    run(lab, &["plan", map, "--out", plan]);
    if lab.has("plan.json") {
        assert!(!acts(&fs::read_to_string(plan).unwrap()));
        for format in ["text", "json", "markdown", "html"] {
            run(lab, &["show", plan, "--format", format]);
        }
    }
    for what in ["names", "mappings", "types", "devices", "key-files", "map-files", "secret-files"] {
        run(lab, &["stacks", map, "--show", what]);
    }
    run(lab, &["stacks", map, "--json"]);
    run(lab, &["units", units, "--map", map]);
    units_have_no_line_of_the_map(Path::new(units));
    run(lab, &["apply", map]);
    run(lab, &["apply", map, "--json"]);
    for verb in ["status", "graph"] {
        run(lab, &[verb, map]);
        run(lab, &[verb, map, "--format", "json"]);
    }
    for format in ["dot", "mermaid", "svg", "html"] {
        run(lab, &["graph", map, "--format", format]);
    }
    for format in ["toml", "json", "concise", "dm-init"] {
        run(lab, &["export", "--format", format]);
    }
    for arguments in [&["list"][..], &["list", "--long"], &["list", "--json"], &["repair", "--owner", "lab"]]
    {
        run(lab, arguments);
    }
    run(lab, &["deactivate", map]);
}
