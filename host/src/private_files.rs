//! Only the owner of this process may read the application's data: folders have mode 0700 and files 0600 before SQLite
//! opens them. SQLite gives `-wal`, `-shm` and `-journal` files the mode of their database.
//!
//! The application's folders are the state folder, and each folder of a database or store that the configuration names
//! by a path below its starting point. A folder that is named by an absolute path may hold other things, so its mode is
//! left to the operator. The application's files in it are closed all the same.

use std::io;
use std::path::{Component, Path, PathBuf};

use std::os::unix::fs::PermissionsExt;

use wasmart_private::{close, close_all, create_file, create_folder, holds_more};

use crate::runtime_config::{Folders, RuntimeConfig};

/// What SQLite puts beside a database.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Closes files that earlier runs have left open to others. Failure is only logged: on some volumes
/// modes can't be changed.
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

/// Creates the folder and an empty file if they don't exist, so that SQLite finds them with the right modes.
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

/// Whether a folder lies below `start`.
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

/// Logs the files that others on this machine may still read.
fn report(path: &Path, closed: io::Result<()>) {
    match closed {
        Ok(()) => warn_if_open(path),
        Err(error) => tracing::warn!(path = %path.display(), %error, "others may still read this"),
    }
}

/// Logs a warning if others may read a file, also through a link.
pub(crate) fn warn_if_open(path: &Path) {
    let is_open = |found: std::fs::Metadata| found.permissions().mode() & 0o077 != 0;
    if path.metadata().is_ok_and(is_open) {
        let path = path.display();
        tracing::warn!(%path, "other users of this machine may read this; run chmod go= on it");
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
