//! Folders and files that only their owner may read: mode 0700 and 0600. New ones are made so, and old ones
//! are mended.
//!
//! Nothing here follows a symbolic link at the end of a path, and nothing opens an existing file:
//! closing it again would drop the locks that SQLite holds on it in the same process.

use std::fs::{DirBuilder, Metadata, OpenOptions, Permissions, ReadDir};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The rights of the group and of all others.
const OTHERS: u32 = 0o077;
/// Set on folders where anybody may put files, such as `/tmp`.
const STICKY: u32 = 0o1000;

/// Makes a folder, and missing folders above it. An existing folder stays as it is.
///
/// # Errors
/// As [`std::fs::create_dir_all`].
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes an empty file if there is none. An existing file stays as it is.
///
/// # Errors If the file neither exists nor can be made.
pub fn create_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // `create_new` does not follow a link either.
    match options.write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Removes all rights of the group and of others from a file or a folder. Does nothing to a path that does not exist, a
/// symbolic link or a device.
///
/// # Errors
/// When the mode can't be read, or changed because the file is somebody else's.
pub fn close(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_file() || found.is_dir() => close_found(path, &found),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// As [`close`], for a folder and everything in it. Continues after an error and returns the first one.
///
/// # Errors
/// As [`close`].
pub fn close_all(folder: &Path) -> io::Result<()> {
    // The folder first: from then on nobody else can put a link in the place of a file.
    let closed = close(folder);
    let Ok(found) = folder.symlink_metadata() else {
        return closed;
    };
    if !found.is_dir() {
        return closed;
    }
    let entries: ReadDir = std::fs::read_dir(folder)?;
    entries
        .map(|entry| close_all(&entry?.path()))
        .fold(closed, Result::and)
}

/// Whether a folder probably holds more than one program's files: it contains the working folder or the home folder, or
/// anybody may create files in it. Such a folder must not be closed.
pub fn holds_more(folder: &Path) -> bool {
    let Ok(whole) = folder.canonicalize() else {
        return false;
    };
    let is_sticky = || {
        let found = whole.metadata();
        found.is_ok_and(|found| found.permissions().mode() & STICKY != 0)
    };
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let mut places = [std::env::current_dir().ok(), home].into_iter().flatten();
    is_sticky() || places.any(|place| place.starts_with(&whole))
}

fn close_found(path: &Path, found: &Metadata) -> io::Result<()> {
    let mode = found.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    match std::fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 & !OTHERS)) {
        // Deleted between the two calls: SQLite's files come and go.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        let found = path.symlink_metadata().expect("there");
        found.permissions().mode() & 0o777
    }

    fn open_to_all(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("changed");
    }

    #[test]
    fn what_is_made_is_its_owners_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("a/b");
        create_folder(&deep).expect("made");
        create_folder(&deep).expect("there");
        let file = deep.join("c.db");
        create_file(&file).expect("made");
        std::fs::write(&file, "kept").expect("written");
        create_file(&file).expect("there");
        assert_eq!(std::fs::read_to_string(&file).expect("readable"), "kept");
        assert_eq!(mode(&folder.path().join("a")), 0o700);
        assert_eq!((mode(&deep), mode(&file)), (0o700, 0o600));
    }

    #[test]
    fn what_is_there_is_mended_down_to_the_last_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).expect("made");
        let (file, program) = (deep.join("c.db"), deep.join("run"));
        for path in [&file, &program] {
            std::fs::write(path, "x").expect("written");
        }
        for (path, mode) in [(&deep, 0o755), (&file, 0o644), (&program, 0o775)] {
            open_to_all(path, mode);
        }
        close_all(folder.path()).expect("mended");
        assert_eq!((mode(&deep), mode(&file)), (0o700, 0o600));
        assert_eq!(mode(&program), 0o700, "the owner keeps what they may do");
        close_all(&folder.path().join("nowhere")).expect("nothing to do");
    }

    #[test]
    fn folders_that_hold_more_are_told_apart() {
        for folder in [".", "/", "..", "/tmp"] {
            assert!(holds_more(Path::new(folder)), "{folder}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        assert!(!holds_more(folder.path()));
        assert!(!holds_more(&folder.path().join("nowhere")));
    }

    #[test]
    fn links_are_not_followed() {
        let (folder, elsewhere) = (tempfile::tempdir(), tempfile::tempdir());
        let (folder, elsewhere) = (folder.expect("a folder"), elsewhere.expect("a folder"));
        let file = elsewhere.path().join("public.txt");
        std::fs::write(&file, "for all").expect("written");
        open_to_all(&file, 0o644);
        open_to_all(elsewhere.path(), 0o755);
        let link = |name: &str, to: &Path| {
            let link = folder.path().join(name);
            std::os::unix::fs::symlink(to, &link).expect("linked");
            link
        };
        let to_file = link("auth.db", &file);
        let to_folder = link("compiled", elsewhere.path());
        link("dangling", &folder.path().join("nowhere"));
        close_all(folder.path()).expect("mended");
        close(&to_file).expect("left alone");
        close_all(&to_folder).expect("left alone");
        create_file(&to_file).expect("there");
        assert_eq!((mode(&file), mode(elsewhere.path())), (0o644, 0o755));
    }
}
