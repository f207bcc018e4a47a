//! What can be wrong with the key files.

use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why the keys can't be used or changed. Each says what to do.
#[derive(Debug, Error)]
pub enum KeyError {
    /// A file can't be read or written.
    #[error("can't use the key file {}: {source}; check its owner and mode", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// One of the files is there and another is not.
    #[error("{} is missing beside the other key files; restore it, or remove the folder for new keys (all tokens end)", .0.display())]
    Missing(PathBuf),
    /// The private key is none, or not the one that the public set belongs to.
    #[error("{} is broken ({reason}); restore it, or remove its folder for new keys (all tokens end)", path.display())]
    Broken {
        /// Which one.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There is a next key already.
    #[error("key {kid} is on its way and signs in {seconds} s; one at a time")]
    OnItsWay {
        /// Which one.
        kid: String,
        /// When it begins to sign, counted from now.
        seconds: u64,
    },
    /// No key has this name.
    #[error("there is no key {0}; `wasmart keys list` shows them")]
    Unknown(String),
    /// The key signs, now or next.
    #[error("key {0} signs, or will; rotate first")]
    InUse(String),
    /// Tokens of this key may still be valid.
    #[error(
        "tokens of key {kid} may be valid for {seconds} s more; wait, or end them with --force"
    )]
    TooEarly {
        /// Which one.
        kid: String,
        /// When it may go, counted from now.
        seconds: u64,
    },
}

pub(crate) fn file(path: &Path, source: std::io::Error) -> KeyError {
    KeyError::File {
        path: path.to_owned(),
        source,
    }
}
