//! A variable whose value is a file's content, as it is now.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How old a value may be. Reading a small file is quick, but not free.
const FRESH: Duration = Duration::from_secs(1);

/// A value and where it comes from.
#[derive(Debug)]
pub(crate) struct FileVariable {
    path: PathBuf,
    read: Mutex<(String, Instant)>,
}

impl FileVariable {
    /// Reads the file for the first time; then it must be there.
    pub fn open(name: &str, path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("variable `{name}`: {}: {error}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            read: Mutex::new((text, Instant::now())),
        })
    }

    /// What the file says now, or said when it could last be read.
    pub fn value(&self) -> String {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.1.elapsed() >= FRESH {
            match std::fs::read_to_string(&self.path) {
                Ok(text) => read.0 = text,
                Err(error) => {
                    tracing::warn!(path = %self.path.display(), %error, "a variable keeps its value");
                }
            }
            read.1 = Instant::now();
        }
        read.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_and_a_lost_one_is_not_missed() {
        let path = std::env::temp_dir().join(format!("wasmart-variable-{}", std::process::id()));
        FileVariable::open("x", &path).unwrap_err();
        std::fs::write(&path, "one").unwrap();
        let variable = FileVariable::open("x", &path).unwrap();
        let past = || variable.read.lock().unwrap().1 -= FRESH;
        std::fs::write(&path, "two").unwrap();
        assert_eq!(variable.value(), "one");
        past();
        assert_eq!(variable.value(), "two");
        std::fs::remove_file(&path).unwrap();
        past();
        assert_eq!(variable.value(), "two");
    }
}
