//! The files themselves: where they are, read whole, replaced whole.

use crate::error::{KeyError, file};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Held while the others are changed.
const LOCK: &str = "lock";

/// The files of a folder.
pub(crate) struct Files {
    pub private: PathBuf,
    pub public: PathBuf,
    pub secret: PathBuf,
    pub channels: PathBuf,
}

impl Files {
    pub fn of(folder: &Path) -> Files {
        Files {
            private: folder.join("private.pem"),
            public: folder.join("jwks.json"),
            secret: folder.join("internal_secret"),
            channels: folder.join("channel_keys"),
        }
    }

    pub fn all(&self) -> [&Path; 4] {
        [&self.private, &self.public, &self.secret, &self.channels]
    }
}

/// Closes the folder and its files to everybody but their owner. A volume where that can't be done,
/// such as a read-only one, is accepted all the same.
pub(crate) fn close(folder: &Path) {
    if !wasmart_private::holds_more(folder) {
        wasmart_private::close(folder).ok();
    }
    for path in Files::of(folder).all() {
        wasmart_private::close(path).ok();
    }
    wasmart_private::close(&folder.join(LOCK)).ok();
}

pub(crate) fn read(path: &Path) -> Result<String, KeyError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(KeyError::Missing(path.into())),
        Err(e) => Err(file(path, e)),
    }
}

/// Makes a file that is not there.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), KeyError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut out = options.open(path).map_err(|e| file(path, e))?;
    out.write_all(text.as_bytes())
        .and_then(|()| out.sync_all())
        .map_err(|e| file(path, e))
}

/// Puts a new file in the place of one: whoever reads meanwhile gets one or the other, whole.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), KeyError> {
    let next = path.with_extension("next");
    match std::fs::remove_file(&next) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(file(&next, e)),
        _ => {}
    }
    write(&next, text)?;
    std::fs::rename(&next, path).map_err(|e| file(path, e))
}

/// Held while the files are changed: two commands at once would lose one's key.
pub(crate) fn lock(folder: &Path) -> Result<std::fs::File, KeyError> {
    close(folder);
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let lock = options.open(&path).map_err(|e| file(&path, e))?;
    lock.lock().map_err(|e| file(&path, e))?;
    Ok(lock)
}
