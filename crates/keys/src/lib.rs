//! The shop's key files, in one folder: `private.pem` (the RSA key that tokens are signed with),
//! `jwks.json` (its public half, RFC 7517) and `internal_secret`. Made on first use, mode 0600.
//!
//! ```no_run
//! let keys = wasmart_keys::KeySet::load_or_create(".wasmart/keys".as_ref())?;
//! for (name, value) in keys.variables() {
//!     println!("SPIN_VARIABLE_{} has {} bytes", name.to_uppercase(), value.len());
//! }
//! # Ok::<(), wasmart_keys::KeyError>(())
//! ```

use jwt_simple::prelude::RS256KeyPair;
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Bits of a new key: what RS256 asks for at least (RFC 7518 §3.3).
const BITS: usize = 2048;

/// Why the keys can't be used. Each says what to do.
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
}

/// What the application's variables need.
#[derive(Clone)]
pub struct KeySet {
    private_pem: String,
    jwks: String,
    internal_secret: String,
}

impl KeySet {
    /// Makes new keys; takes a second or so.
    pub fn generate() -> KeySet {
        // Only an unsupported size can fail.
        let pair = RS256KeyPair::generate(BITS).unwrap_or_else(|error| panic!("{error}"));
        let mut secret = [0u8; 32];
        getrandom::fill(&mut secret).unwrap_or_else(|error| panic!("no randomness: {error}"));
        KeySet {
            private_pem: pair.to_pem().unwrap_or_else(|error| panic!("{error}")),
            jwks: jwks(&pair),
            internal_secret: encode(&secret),
        }
    }

    /// Reads the keys of a folder, or makes them where there are none.
    ///
    /// # Errors
    /// [`KeyError`], when the folder holds something else than a whole set that fits together.
    pub fn load_or_create(folder: &Path) -> Result<KeySet, KeyError> {
        let [private, public, secret] = Self::files(folder);
        if ![&private, &public, &secret]
            .iter()
            .any(|path| path.exists())
        {
            let keys = KeySet::generate();
            std::fs::create_dir_all(folder).map_err(|e| file(folder, e))?;
            let mode = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(folder, mode).map_err(|e| file(folder, e))?;
            write(&public, &keys.jwks)?;
            write(&secret, &keys.internal_secret)?;
            write(&private, &keys.private_pem)?;
        }
        Self::load(folder)
    }

    /// Reads the keys of a folder.
    ///
    /// # Errors
    /// As [`KeySet::load_or_create`], and [`KeyError::Missing`].
    pub fn load(folder: &Path) -> Result<KeySet, KeyError> {
        let [private, public, secret] = Self::files(folder);
        let keys = KeySet {
            private_pem: read(&private)?,
            jwks: read(&public)?,
            internal_secret: read(&secret)?.trim().to_owned(),
        };
        KeySet::check(&keys.private_pem, &keys.jwks).map_err(|reason| {
            let path = if reason.starts_with("jwks") {
                public
            } else {
                private
            };
            KeyError::Broken { path, reason }
        })?;
        Ok(keys)
    }

    /// Whether a private key and a public set, as the application's variables hold them, fit
    /// together. The reasons name the variables and show nothing of their values.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(private_pem: &str, jwks: &str) -> Result<(), String> {
        let pair = RS256KeyPair::from_pem(private_pem)
            .map_err(|_| "jwt_private_key is not an RSA private key in PEM".to_owned())?;
        let set: serde_json::Value = serde_json::from_str(jwks)
            .map_err(|_| "jwks is not a JSON Web Key Set (RFC 7517)".to_owned())?;
        let Some(keys) = set["keys"].as_array() else {
            return Err("jwks is not a JSON Web Key Set (RFC 7517)".to_owned());
        };
        let modulus = encode(&pair.public_key().to_components().n);
        if keys.iter().any(|key| key["n"] == modulus) {
            return Ok(());
        }
        Err("jwks does not list the other half of jwt_private_key".to_owned())
    }

    /// Names and values of the application variables.
    pub fn variables(&self) -> [(&'static str, &str); 3] {
        [
            ("jwt_private_key", &self.private_pem),
            ("jwks", &self.jwks),
            ("internal_secret", &self.internal_secret),
        ]
    }

    /// What the host's tick and the components show each other.
    pub fn internal_secret(&self) -> &str {
        &self.internal_secret
    }

    fn files(folder: &Path) -> [PathBuf; 3] {
        ["private.pem", "jwks.json", "internal_secret"].map(|name| folder.join(name))
    }
}

/// The public set of one key; its `kid` is its thumbprint (RFC 7638), so it needs no keeping.
fn jwks(pair: &RS256KeyPair) -> String {
    let public = pair.public_key().to_components();
    let (n, e) = (encode(&public.n), encode(&public.e));
    let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    let kid = encode(&hmac_sha256::Hash::hash(members.as_bytes()));
    let key = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e});
    json!({"keys": [key]}).to_string()
}

fn encode(bytes: &[u8]) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap_or_default()
}

fn file(path: &Path, source: std::io::Error) -> KeyError {
    KeyError::File {
        path: path.to_owned(),
        source,
    }
}

fn read(path: &Path) -> Result<String, KeyError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(KeyError::Missing(path.into())),
        Err(e) => Err(file(path, e)),
    }
}

fn write(path: &Path, text: &str) -> Result<(), KeyError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut out = options.open(path).map_err(|e| file(path, e))?;
    out.write_all(text.as_bytes())
        .and_then(|()| out.sync_all())
        .map_err(|e| file(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = folder.path().join("keys");
        let made = KeySet::load_or_create(&keys).expect("made");
        let read = KeySet::load_or_create(&keys).expect("read");
        assert_eq!(made.variables(), read.variables());
        for path in KeySet::files(&keys) {
            let mode = std::fs::metadata(&path)
                .expect("there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
    }

    #[test]
    fn a_missing_or_foreign_half_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        KeySet::load_or_create(folder.path()).expect("made");
        let [private, public, _] = KeySet::files(folder.path());
        let own = std::fs::read_to_string(&public).expect("there");
        std::fs::write(&public, KeySet::generate().jwks).expect("written");
        assert!(
            matches!(KeySet::load(folder.path()), Err(KeyError::Broken { path, .. }) if path == public)
        );
        std::fs::write(&public, own).expect("written");
        std::fs::write(&private, "nonsense").expect("written");
        assert!(
            matches!(KeySet::load(folder.path()), Err(KeyError::Broken { path, .. }) if path == private)
        );
        std::fs::remove_file(&private).expect("removed");
        assert!(
            matches!(KeySet::load_or_create(folder.path()), Err(KeyError::Missing(path)) if path == private)
        );
    }
}
