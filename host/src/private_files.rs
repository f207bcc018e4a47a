//! The application's data is for the owner of this process alone: folders 0700, files 0600, from before SQLite
//! opens them. SQLite gives `-wal`, `-shm` and `-journal` the mode of their database.
//!
//! Which folders are the application's: the state folder, and each folder of a database or store that the
//! configuration names by a path below its starting point. A folder that an absolute path names may hold other
//! things; its mode is the operator's, and the files in it that are the application's are closed all the same.

use std::io;
use std::path::{Component, Path, PathBuf};

use std::os::unix::fs::PermissionsExt;

use wasmart_private::{close, close_all, create_file, create_folder, holds_more};

use crate::runtime_config::{Folders, RuntimeConfig};

/// What SQLite puts beside a database.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Mends what is there from earlier runs. What can't be mended is told, and is no reason not to serve: on some
/// volumes modes can't be changed.
pub(crate) fn mend(config: &RuntimeConfig, folders: &Folders<'_>, beside: Option<&Path>) {
    if !holds_more(folders.state) {
        report(folders.state, close_all(folders.state));
    }
    let starts = [Some(folders.state), folders.data, beside];
    for file in config.files() {
        if let Some(folder) = file.parent()
            && (is_below(folder, Path::new(""))
                || starts.iter().flatten().any(|s| is_below(folder, s)))
            && !holds_more(folder)
        {
            report(folder, close(folder));
        }
        BESIDE
            .map(|end| with(file, end))
            .iter()
            .for_each(|file| report(file, close(file)));
    }
}

/// Makes the folder and the file where there are none, so that SQLite finds them with their modes.
pub(crate) fn prepare(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if folder != Path::new("") => create_folder(folder)?,
        _ => {}
    }
    create_file(file)
}

fn with(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Whether a folder is named by a path that goes down from `start`, and so was named for the application.
fn is_below(folder: &Path, start: &Path) -> bool {
    let rest = match start.as_os_str().is_empty() {
        true => Some(folder).filter(|folder| folder.is_relative()),
        false => folder.strip_prefix(start).ok(),
    };
    rest.is_some_and(|rest| {
        let mut parts = rest.components().peekable();
        parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
    })
}

/// Says what others on this machine may still read.
fn report(path: &Path, closed: io::Result<()>) {
    match closed {
        Ok(()) => warn_if_open(path),
        Err(error) => tracing::warn!(path = %path.display(), %error, "can't be kept from others"),
    }
}

/// As [`report`], of a file that is not ours to change. Through a link, too.
pub(crate) fn warn_if_open(path: &Path) {
    let is_open = |found: std::fs::Metadata| found.permissions().mode() & 0o077 != 0;
    if path.metadata().is_ok_and(is_open) {
        let path = path.display();
        tracing::warn!(%path, "others on this machine may read this; take it from them: chmod go=");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_below_the_starting_point_are_the_applications() {
        for (folder, start, is) in [
            (".wasmart", "", true),
            ("a/b", "", true),
            ("", "", false),
            ("..", "", false),
            ("../other", "", false),
            ("/var/lib/shop", "", false),
            ("/srv/shop/.wasmart", "/srv/shop", true),
            ("/srv/shop", "/srv/shop", false),
            ("/srv/shop/../other", "/srv/shop", false),
            ("/srv/other", "/srv/shop", false),
        ] {
            assert_eq!(
                is_below(Path::new(folder), Path::new(start)),
                is,
                "{folder} {start}"
            );
        }
    }
}
