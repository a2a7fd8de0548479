//! What is found at a path, on a real file system. Tests that need files of other users run as root alone.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};

use super::folder::Entry;
use super::*;

/// The user number of an account that owns nothing.
pub(super) const OTHER: u32 = 65534;

pub(super) struct Lab {
    _folder: tempfile::TempDir,
    root: PathBuf,
}

impl Lab {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        Self { _folder: folder, root }
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        let path = self.at(name);
        fs::write(&path, name).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        path
    }

    pub(super) fn folder(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.at(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }
}

fn text(path: &Path) -> String {
    let mut text = String::new();
    find(path).unwrap().open().unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The ways in which others could have written what `path` leads to, for root.
fn lax(path: &Path) -> Vec<String> {
    find(path).unwrap().laxness(0).iter().map(ToString::to_string).collect()
}

#[test]
fn a_path_is_walked_as_the_kernel_walks_it() {
    let lab = Lab::new();
    lab.folder("a", 0o755);
    lab.folder("b", 0o755);
    lab.file("a/x");
    lab.file("b/x");
    symlink("../a/x", lab.at("b/up")).unwrap();
    symlink(lab.at("a"), lab.at("b/absolute")).unwrap();
    symlink("up", lab.at("b/twice")).unwrap();
    for path in ["a/x", "b/up", "b/absolute/x", "b/absolute/../a/x", "b/twice", "./b/../a/./x"] {
        assert_eq!(text(&lab.at(path)), "a/x", "{path}");
        assert_eq!(fs::read_to_string(lab.at(path)).unwrap(), "a/x", "{path}");
    }
    assert_eq!(find(&lab.at("b/absolute")).unwrap().kind(), Some(FileKind::Folder));
    for folder in ["/", "/..", "/proc/self", "/proc/self/cwd"] {
        assert_eq!(find(Path::new(folder)).unwrap().kind(), Some(FileKind::Folder), "{folder}");
    }
}

#[test]
fn a_path_that_leads_nowhere_tells_where() {
    let lab = Lab::new();
    symlink("gone/x", lab.at("dangling")).unwrap();
    symlink("loop", lab.at("loop")).unwrap();
    lab.file("file");
    let error = |name: &str| find(&lab.at(name)).unwrap_err();
    assert!(
        matches!(error("dangling"), FindError::Dangling(to) if to.as_os_str() == lab.at("gone/x").as_os_str())
    );
    for (name, kind) in [("loop", "Too many"), ("absent", "No such file"), ("file/x", "Not a directory")] {
        assert!(error(name).to_string().starts_with(kind), "{name}: {}", error(name));
        assert_eq!(
            fs::metadata(lab.at(name)).unwrap_err().raw_os_error(),
            std::io::Error::from(error(name)).raw_os_error()
        );
    }
}

#[test]
fn nothing_is_opened_before_it_is_judged() {
    let lab = Lab::new();
    mkfifo(&lab.at("pipe"), Mode::S_IRUSR).unwrap();
    let _socket = UnixListener::bind(lab.at("socket")).unwrap();
    for (path, kind) in [
        (lab.at("pipe"), FileKind::Fifo),
        (lab.at("socket"), FileKind::Socket),
        ("/dev/null".into(), FileKind::CharacterDevice),
        (lab.root.clone(), FileKind::Folder),
    ] {
        let found = find(&path).unwrap();
        assert_eq!(found.kind(), Some(kind));
        assert!(matches!(found.read(10), Err(ReadError::NotRegular(_))));
    }
}

#[test]
fn the_file_that_was_judged_is_the_one_that_is_opened() {
    let lab = Lab::new();
    let found = find(&lab.file("x")).unwrap();
    fs::rename(lab.file("other"), lab.at("x")).unwrap();
    assert_eq!(&found.read(10).unwrap()[..], b"x");
}

#[test]
fn what_is_open_already_is_found_by_its_number() {
    use std::os::fd::AsRawFd;

    let lab = Lab::new();
    let file = fs::File::open(lab.file("x")).unwrap();
    let path = |fd: i32| PathBuf::from(format!("/dev/fd/{fd}"));
    assert_eq!(text(&path(file.as_raw_fd())), "x");
    // A file that has lost its name.
    fs::remove_file(lab.at("x")).unwrap();
    assert_eq!(text(&path(file.as_raw_fd())), "x");
    let (read, write) = std::io::pipe().unwrap();
    let found = find(&path(read.as_raw_fd())).unwrap();
    assert_eq!((found.kind(), found.laxness(0)), (Some(FileKind::Fifo), Vec::new()));
    drop(write);
}

#[test]
fn a_pipe_with_a_name_is_judged_as_a_file() {
    use std::os::fd::AsRawFd;

    let lab = Lab::new();
    let pipe = lab.at("pipe");
    mkfifo(&pipe, Mode::S_IRUSR).unwrap();
    assert_eq!(find(&pipe).unwrap().laxness(geteuid().as_raw()), []);
    fs::set_permissions(&pipe, Permissions::from_mode(0o622)).unwrap();
    let told = lax(&pipe);
    assert!(told[0].starts_with(&format!("`{}` is writable by", pipe.display())), "{told:?}");
    // By its number, and without its name.
    let open = fs::File::options().read(true).write(true).open(&pipe).unwrap();
    let number = PathBuf::from(format!("/dev/fd/{}", open.as_raw_fd()));
    assert_eq!(lax(&number).len(), lax(&pipe).len());
    fs::remove_file(&pipe).unwrap();
    assert!(lax(&number)[0].contains("is writable by"), "{:?}", lax(&number));
    if !geteuid().is_root() {
        return;
    }
    // A pipe without a name is as good as the way to it, whichever program made it.
    let (read, _write) = std::io::pipe().unwrap();
    chown(format!("/proc/self/fd/{}", read.as_raw_fd()), Some(OTHER), None).unwrap();
    lab.folder("sticky", 0o1777);
    symlink(format!("/proc/self/fd/{}", read.as_raw_fd()), lab.at("sticky/link")).unwrap();
    assert_eq!(lax(&lab.at("sticky/link")), Vec::<String>::new());
    std::os::unix::fs::lchown(lab.at("sticky/link"), Some(OTHER), None).unwrap();
    assert!(lax(&lab.at("sticky/link"))[0].starts_with("the link"), "{:?}", lax(&lab.at("sticky/link")));
}

#[test]
fn more_than_the_limit_is_not_read() {
    let lab = Lab::new();
    let path = lab.file("four");
    assert_eq!(&read(&path, 4).unwrap()[..], b"four");
    assert!(matches!(read(&path, 3), Err(ReadError::TooLarge)));
}

#[test]
fn each_folder_on_the_way_is_judged() {
    let lab = Lab::new();
    if !geteuid().is_root() {
        return;
    }
    lab.folder("open", 0o777);
    lab.folder("open/closed", 0o755);
    let below = lab.file("open/closed/x");
    lab.folder("sticky", 0o1777);
    let sticky = lab.file("sticky/x");
    let mine = lab.file("x");
    assert_eq!((lax(&mine), lax(&sticky)), (vec![], vec![]));
    let told = lax(&below);
    assert!(
        told[0].starts_with(&format!("the folder `{}` is writable by", lab.at("open").display())),
        "{told:?}"
    );
    assert!(told[0].ends_with(&format!("run `chmod go-w {}`", lab.at("open").display())), "{told:?}");
    assert_eq!(told.len(), 1);
    // A link is as good as the folders on its way, and on the way to what it leads to.
    symlink(&mine, lab.at("open/link")).unwrap();
    symlink(&below, lab.at("sticky/link")).unwrap();
    symlink(&mine, lab.at("sticky/good")).unwrap();
    assert_eq!((lax(&lab.at("open/link")).len(), lax(&lab.at("sticky/link")).len()), (1, 1));
    assert_eq!(lax(&lab.at("sticky/good")), Vec::<String>::new());
    let through = lab.at("open/../x");
    assert_eq!(lax(&through).len(), 1, "where `..` leads, the folder decides");
}

#[test]
fn what_others_own_is_theirs() {
    let lab = Lab::new();
    if !geteuid().is_root() {
        return;
    }
    lab.folder("sticky", 0o1777);
    let file = lab.file("sticky/x");
    chown(&file, Some(OTHER), None).unwrap();
    assert!(
        lax(&file)[0].ends_with("belongs to user 65534, who could decide what dmctl does"),
        "{:?}",
        lax(&file)
    );
    let mine = lab.file("x");
    symlink(&mine, lab.at("sticky/link")).unwrap();
    std::os::unix::fs::lchown(lab.at("sticky/link"), Some(OTHER), None).unwrap();
    assert!(lax(&lab.at("sticky/link"))[0].starts_with("the link"), "{:?}", lax(&lab.at("sticky/link")));
    // In a folder of root's alone root has put the link there, as it is.
    symlink(&mine, lab.at("link")).unwrap();
    std::os::unix::fs::lchown(lab.at("link"), Some(OTHER), None).unwrap();
    assert_eq!(lax(&lab.at("link")), Vec::<String>::new());
    let theirs = lab.folder("theirs", 0o755);
    let below = lab.file("theirs/x");
    chown(&theirs, Some(OTHER), None).unwrap();
    assert!(lax(&below)[0].starts_with("the folder"), "{:?}", lax(&below));
    // Another user than root gains nothing by another file in the place of one.
    assert_eq!(find(&below).unwrap().laxness(OTHER).len(), 0);
}

#[test]
fn a_name_that_others_could_have_made_is_theirs() {
    let lab = Lab::new();
    lab.folder("sticky", 0o1777);
    lab.folder("closed", 0o755);
    lab.folder("sticky/below", 0o755);
    let file = lab.file("x");
    let pipe = lab.at("pipe");
    mkfifo(&pipe, Mode::S_IRUSR).unwrap();
    symlink(&file, lab.at("link")).unwrap();
    for name in ["x", "pipe", "link"] {
        for folder in ["sticky", "closed", "sticky/below"] {
            // As link(2): a symbolic link is not followed.
            fs::hard_link(lab.at(name), lab.at(&format!("{folder}/{name}"))).unwrap();
        }
    }
    let linked = |path: &Path| -> Vec<String> {
        let found = find(path).unwrap().laxness(0);
        let linked = found.iter().filter(|lax| matches!(lax, Laxness::Linked { .. }));
        linked.map(ToString::to_string).collect()
    };
    for name in ["x", "pipe"] {
        let path = lab.at(&format!("sticky/{name}"));
        assert_eq!(
            linked(&path),
            [format!(
                "`{}` has 4 names (hard links), this one in a folder to which others can write, who could have made it to decide what dmctl does",
                path.display()
            )]
        );
    }
    let told = linked(&lab.at("sticky/link"));
    assert!(told[0].starts_with(&format!("the link `{}` has 4 names", lab.at("sticky/link").display())));
    assert!(told[0].ends_with("who could have made it to decide where it leads") && told.len() == 1);
    // The names that this user alone could have made, and a link to one of them from a folder of all.
    symlink(lab.at("closed/x"), lab.at("sticky/to")).unwrap();
    for path in ["x", "pipe", "link", "closed/x", "closed/link", "sticky/below/x", "sticky/to"] {
        assert_eq!(linked(&lab.at(path)), Vec::<String>::new(), "{path}");
    }
    // The other way round: what the link leads to.
    symlink(lab.at("sticky/x"), lab.at("closed/to")).unwrap();
    assert_eq!(linked(&lab.at("closed/to")).len(), 1);
    // By the list of the folder.
    let (folder, entry) = entered(&lab, "sticky");
    let found = folder.find(&lab.at("sticky/x"), &entry).unwrap();
    assert_eq!(found.laxness(0).iter().filter(|lax| matches!(lax, Laxness::Linked { .. })).count(), 1);
    // Another user gains nothing by another file.
    assert_eq!(
        find(&lab.at("sticky/x"))
            .unwrap()
            .laxness(geteuid().as_raw().max(1))
            .iter()
            .filter(|lax| matches!(lax, Laxness::Linked { .. }))
            .count(),
        0
    );
}

#[test]
fn the_last_folder_on_the_way_is_the_one_that_holds_the_file() {
    let lab = Lab::new();
    lab.folder("sticky", 0o1777);
    symlink("/proc", lab.at("sticky/link")).unwrap();
    let found = find(&lab.at("sticky/link")).unwrap();
    let is_root = found.way.last().is_some_and(|guard| **guard == root_guard());
    assert!(is_root, "{:?}", found.way.last());
}

fn root_guard() -> Guard {
    let root = fs::File::open("/").unwrap();
    Guard::of(Place::Folder, Path::new("/"), &root, &root.metadata().unwrap())
}

#[test]
fn a_folder_is_read_by_its_names() {
    let lab = Lab::new();
    lab.folder("maps", 0o755);
    let file = lab.file("maps/x");
    let (folder, entry) = entered(&lab, "maps");
    assert_eq!(&folder.find(&file, &entry).unwrap().read(10).unwrap()[..], b"maps/x");
    assert!(Folder::enter(find(&file).unwrap()).is_err());
}

/// Enters the folder `name`, and returns its entry `x`.
fn entered(lab: &Lab, name: &str) -> (Folder, Entry) {
    let folder = Folder::enter(find(&lab.at(name)).unwrap()).unwrap();
    let entry = folder.entries().unwrap().into_iter().find(|entry| entry.name == "x").unwrap();
    (folder, entry)
}

/// Tells whether `act` opens the file at `path`.
fn opens(path: &Path, act: impl FnOnce()) -> bool {
    let seen = Inotify::init(InitFlags::IN_NONBLOCK).unwrap();
    seen.add_watch(path, AddWatchFlags::IN_OPEN).unwrap();
    act();
    match seen.read_events() {
        Ok(events) => !events.is_empty(),
        Err(error) => {
            assert_eq!(error, Errno::EAGAIN);
            false
        }
    }
}

#[test]
fn a_regular_file_is_opened_at_once_only_where_other_users_can_put_nothing_in_its_place() {
    let lab = Lab::new();
    for (name, mode, at_once) in
        [("closed", 0o755, true), ("open", 0o777, false), ("group", 0o775, false), ("sticky", 0o1777, false)]
    {
        let folder = lab.folder(name, mode);
        if name == "group" && geteuid().is_root() {
            chown(&folder, None, Some(OTHER)).unwrap();
        }
        let file = lab.file(&format!("{name}/x"));
        let (folder, entry) = entered(&lab, name);
        let mut found = None;
        assert_eq!(opens(&file, || found = folder.find(&file, &entry).ok()), at_once, "{name}");
        assert_eq!(&found.unwrap().read(20).unwrap()[..], format!("{name}/x").as_bytes());
        lab.folder(&format!("{name}/below"), 0o755);
        let below = lab.file(&format!("{name}/below/x"));
        let (folder, entry) = entered(&lab, &format!("{name}/below"));
        let is_sticky = name == "sticky";
        assert_eq!(opens(&below, || drop(folder.find(&below, &entry))), at_once || is_sticky, "below {name}");
    }
}

#[test]
fn only_a_regular_file_is_opened_at_once() {
    let lab = Lab::new();
    lab.folder("maps", 0o755);
    let path = lab.at("maps/x");
    mkfifo(&path, Mode::S_IRUSR).unwrap();
    let (folder, entry) = entered(&lab, "maps");
    let mut kind = None;
    assert!(!opens(&path, || kind = folder.find(&path, &entry).unwrap().kind()));
    assert_eq!(kind, Some(FileKind::Fifo));
    fs::remove_file(&path).unwrap();
    let other = lab.file("other");
    symlink(&other, &path).unwrap();
    let (folder, entry) = entered(&lab, "maps");
    assert!(!opens(&other, || drop(folder.find(&path, &entry))), "a link is walked");
}

#[test]
fn what_came_into_the_place_of_a_listed_file_is_looked_at_and_not_waited_for() {
    let lab = Lab::new();
    lab.folder("maps", 0o755);
    let path = lab.file("maps/x");
    let (folder, entry) = entered(&lab, "maps");
    fs::remove_file(&path).unwrap();
    assert!(
        matches!(folder.find(&path, &entry), Err(FindError::Failed(error)) if error.raw_os_error() == Some(2))
    );
    mkfifo(&path, Mode::S_IRUSR).unwrap();
    assert_eq!(folder.find(&path, &entry).unwrap().kind(), Some(FileKind::Fifo));
    fs::remove_file(&path).unwrap();
    symlink("gone", &path).unwrap();
    assert!(matches!(folder.find(&path, &entry), Err(FindError::Dangling(_))));
}

#[test]
fn a_file_of_a_folder_that_was_judged_is_the_one_that_is_read() {
    let lab = Lab::new();
    for (name, mode) in [("closed", 0o755), ("open", 0o777)] {
        lab.folder(name, mode);
        let path = lab.file(&format!("{name}/x"));
        let (folder, entry) = entered(&lab, name);
        let found = folder.find(&path, &entry).unwrap();
        fs::rename(lab.file("other"), &path).unwrap();
        assert_eq!(&found.read(20).unwrap()[..], format!("{name}/x").as_bytes());
    }
}

#[test]
fn an_access_control_list_is_seen() {
    let lab = Lab::new();
    let file = lab.file("x");
    fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
    std::os::unix::fs::chown(&file, None, Some(geteuid().as_raw())).unwrap();
    let count = || find(&file).unwrap().laxness(geteuid().as_raw()).len();
    assert_eq!(count(), 0, "the group of the number of its owner is that user");
    // `u::rw-,u:65534:rw-,g::r--,m::rw-,o::r--` (linux/posix_acl_xattr.h): the mode stays 0664.
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, u32::MAX), (2, 6, OTHER), (4, 4, u32::MAX), (16, 6, u32::MAX), (32, 4, u32::MAX)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    let set = rustix::fs::setxattr(&file, "system.posix_acl_access", &list, rustix::fs::XattrFlags::empty());
    match set {
        Err(rustix::io::Errno::OPNOTSUPP) => return,
        set => set.unwrap(),
    }
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o664);
    assert_eq!(count(), 1, "the list lets another user write");
}
