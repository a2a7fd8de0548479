//! Files that are written where others can add links, and what killed runs leave. Files of other users need root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};

use super::confirm;
use super::lab::{Ended, Lab, dmctl, ended, until};

const OTHER: u32 = 65534;

const MAP: &str = "format = 1\nowner = \"lab\"\n[mappings.a]\ntargets = [{ type = \"linear\", length = 8, device = \"/dev/sda\" }]\n";

/// A folder of root's in which everyone may add entries, and a file of root's beside it.
struct Shared {
    lab: Lab,
    folder: PathBuf,
    file: PathBuf,
}

impl Shared {
    fn new() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let lab = Lab::new();
        lab.write("map.toml", MAP);
        let folder = PathBuf::from(lab.path("shared"));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o1777)).unwrap();
        let file = PathBuf::from(lab.write("file", "of root"));
        Some(Self { lab, folder, file })
    }

    /// Makes a link to `to`, which another user owns.
    fn plant(&self, name: &str, to: &str) -> String {
        let path = self.folder.join(name);
        symlink(to, &path).unwrap();
        lchown(&path, Some(OTHER), None).unwrap();
        path.to_str().unwrap().to_string()
    }

    fn refused(&self, ended: &Ended) {
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains("belongs to user 65534"), "{ended:?}");
        assert_eq!(fs::read_to_string(&self.file).unwrap(), "of root");
    }
}

#[test]
fn nothing_is_written_through_a_link_of_another_user() {
    let Some(shared) = Shared::new() else { return };
    let (lab, map) = (&shared.lab, shared.lab.path("map.toml"));
    let link = shared.plant("out.json", shared.file.to_str().unwrap());
    let dangling = shared.plant("dangling.json", &lab.path("absent"));
    for path in [&link, &dangling] {
        shared.refused(&lab.run(["plan", &map, "--out", path]));
        shared.refused(&ended(dmctl().args(["simulate", "--force", "--disk", "/dev/sda=1MiB"]).arg(path)));
    }
    assert!(!lab.has("absent"));
    // The state of a simulated kernel that such a link leads to.
    let state = shared.plant("state.json", lab.state().to_str().unwrap());
    let before = fs::read(lab.state()).unwrap();
    let create = ["create", "x", "--table", "0 8 linear /dev/sda 0"];
    let created = ended(dmctl().args(["--kernel", &state]).args(create));
    assert!(created.code != 0 && created.stderr.contains("belongs to user 65534"), "{created:?}");
    assert_eq!(fs::read(lab.state()).unwrap(), before);
    // A file of another user's is replaced, and its other name keeps its content.
    let theirs = shared.folder.join("theirs.json");
    fs::write(&theirs, "theirs").unwrap();
    fs::hard_link(&theirs, lab.path("hard")).unwrap();
    chown(&theirs, Some(OTHER), None).unwrap();
    lab.ok(["plan", &map, "--out", theirs.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(lab.path("hard")).unwrap(), "theirs");
    assert_eq!(lab.run(["show", theirs.to_str().unwrap()]).code, 0);
}

#[test]
fn folders_of_another_user_lead_nowhere_else() {
    let Some(shared) = Shared::new() else { return };
    let map = shared.lab.path("map.toml");
    let theirs = |name: &str| {
        let folder = shared.folder.join(name);
        fs::create_dir(&folder).unwrap();
        chown(&folder, Some(OTHER), None).unwrap();
        folder.to_str().unwrap().to_string()
    };
    let mine = PathBuf::from(shared.lab.path("mine"));
    fs::create_dir(&mine).unwrap();
    let boot = MAP.replace("[mappings.a]\n", "[mappings.a]\nboot = [\"nofail\"]\n");
    fs::write(&map, boot).unwrap();
    let units = |folder: &str| ended(dmctl().args(["units", folder, "--map", &map]));
    let good = shared.lab.path("good");
    assert_eq!(units(&good).code, 0);
    let made = entries(&PathBuf::from(&good));
    assert!(!made.is_empty());
    for name in made {
        // A link in the place of a unit, or of the folder of one.
        let path = PathBuf::from(&good).join(&name);
        let to = if path.is_dir() { &mine } else { &shared.file };
        let folder = theirs(&format!("units-{name}"));
        shared.plant(&format!("units-{name}/{name}"), to.to_str().unwrap());
        shared.refused(&units(&folder));
    }
    for (folder, name, to) in [("man-a", "man1", &mine), ("man-b", "man1/dmctl.1", &shared.file)] {
        let folder = theirs(folder);
        if name.contains('/') {
            fs::create_dir(PathBuf::from(&folder).join("man1")).unwrap();
        }
        symlink(to, PathBuf::from(&folder).join(name)).unwrap();
        lchown(PathBuf::from(&folder).join(name), Some(OTHER), None).unwrap();
        shared.refused(&ended(dmctl().args(["man", &folder])));
    }
    let link = shared.plant("whole", mine.to_str().unwrap());
    shared.refused(&units(&link));
    shared.refused(&ended(dmctl().args(["man", &link])));
    assert_eq!(entries(&mine), Vec::<String>::new());
}

fn entries(folder: &PathBuf) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn a_link_of_one_s_own_works_as_before() {
    let lab = Lab::new();
    let map = lab.write("map.toml", MAP);
    let (plan, link) = (lab.path("plan.json"), lab.path("link.json"));
    lab.ok(["plan", &map, "--out", &plan]);
    fs::remove_file(&plan).unwrap();
    fs::write(&plan, "").unwrap();
    symlink("plan.json", &link).unwrap();
    lab.ok(["plan", &map, "--out", &link]);
    assert!(PathBuf::from(&link).is_symlink());
    assert_eq!(lab.run(["show", &plan]).code, 0);
    let units = lab.path("units");
    for _ in 0..2 {
        assert_eq!(ended(dmctl().args(["units", &units, "--map", &map])).code, 0);
    }
    for path in ["/dev/null", &units] {
        let refused = lab.run(["plan", &map, "--out", path]);
        assert!(refused.code == 1 && refused.stderr.contains("is not replaced"), "{refused:?}");
    }
}

#[test]
fn what_killed_runs_left_is_swept() {
    let lab = Lab::new();
    let map = lab.write("map.toml", MAP);
    for name in [".dmctl-plan-aB3dEf", ".dmctl-state-aB3dEf"] {
        lab.write(name, "half");
    }
    let held = lab.write(".dmctl-plan-aaaaaa", "of a process that lives");
    let file = fs::File::open(&held).unwrap();
    file.try_lock().unwrap();
    lab.ok(["plan", &map, "--out", &lab.path("plan.json")]);
    lab.ok(["apply", &map]);
    assert!(!lab.has(".dmctl-plan-aB3dEf") && !lab.has(".dmctl-state-aB3dEf"));
    assert!(lab.has(".dmctl-plan-aaaaaa"));
}

#[test]
fn what_a_killed_trial_left_is_swept_and_what_a_living_one_has_is_not() {
    let lab = Lab::new();
    let map = lab.write("map.toml", MAP);
    let trial = |state: &str| {
        let args = ["apply", "--kernel", &lab.path(state), &map, "--confirm-within", "1h"];
        let ran = ended(dmctl().args(args));
        assert_eq!(ran.code, 0, "{ran:?}");
    };
    let tokens = || {
        let names = entries(&PathBuf::from(lab.path("")));
        names.into_iter().filter(|name| name.starts_with(".dmctl-")).collect::<Vec<_>>()
    };
    // A trial of another kernel in the same folder, which lives.
    let disk = ["--disk", "/dev/sda=64MiB"];
    assert_eq!(ended(dmctl().args(["simulate", &lab.path("other.json")]).args(disk)).code, 0);
    trial("other.json");
    let living = tokens();
    assert_eq!(living.len(), 1);
    // Killed before the record told of the token, in the midst of the record, and while it waited.
    lab.write(".dmctl-unconfirmed-aB3dEf", "");
    lab.write(".dmctl-confirm-aB3dEf", "{");
    trial("state.json");
    let killed = confirm::pid(&lab);
    kill(killed, Signal::SIGKILL).unwrap();
    until("the death", || confirm::waiting(&lab).is_none_or(|found| found["alive"] == false));
    assert_eq!(tokens().len(), 2, "{:?}", tokens());
    lab.ok(["remove", "a"]);
    trial("state.json");
    let left = tokens();
    assert!(left.len() == 2 && left.contains(&living[0]), "{left:?}");
    for state in ["state.json", "other.json"] {
        let kept = ended(dmctl().args(["confirm", "--kernel", &lab.path(state)]));
        assert_eq!(kept.code, 0, "{kept:?}");
    }
    assert_eq!(tokens(), Vec::<String>::new());
}
