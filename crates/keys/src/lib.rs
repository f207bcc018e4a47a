//! The shop's key files, in one folder: `private.pem` (the RSA keys that tokens are signed with),
//! `jwks.json` (their public halves, RFC 7517), `internal_secret`, and `channel_keys` (what messages are signed with).
//! Made on first use, mode 0600.
//! [`rotation`] brings new keys in and takes old ones out.
//!
//! ```no_run
//! let keys = wasmart_keys::KeySet::load_or_create(".wasmart/keys".as_ref())?;
//! for (name, value) in keys.variables() {
//!     println!("SPIN_VARIABLE_{} has {} bytes", name.to_uppercase(), value.len());
//! }
//! # Ok::<(), wasmart_keys::KeyError>(())
//! ```

mod error;
mod files;
pub mod rotation;

pub use error::KeyError;

use error::file;
use files::{Files, read, write};
use jwt_simple::prelude::RS256KeyPair;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use wasmart_tokens::keys::pem_blocks;
use wasmart_tokens::{base64url, digest};

/// Bits of a new key: what RS256 asks for at least (RFC 7518 §3.3).
const BITS: usize = 2048;

/// What the application's variables need.
#[derive(Clone)]
pub struct KeySet {
    private_pem: String,
    jwks: String,
    internal_secret: String,
    channel_keys: String,
}

impl KeySet {
    /// Makes new keys; takes a second or so.
    pub fn generate() -> KeySet {
        let (private_pem, jwk) = new_key();
        KeySet {
            private_pem,
            jwks: json!({ "keys": [jwk] }).to_string(),
            internal_secret: secret(),
            channel_keys: new_channel_keys(),
        }
    }

    /// Reads the keys of a folder, or makes them where there are none.
    ///
    /// # Errors
    /// [`KeyError`], when the folder holds something else than a whole set that fits together.
    pub fn load_or_create(folder: &Path) -> Result<KeySet, KeyError> {
        let files = Files::of(folder);
        if !files.all().iter().any(|path| path.exists()) {
            let keys = KeySet::generate();
            wasmart_private::create_folder(folder).map_err(|e| file(folder, e))?;
            write(&files.public, &keys.jwks)?;
            write(&files.secret, &keys.internal_secret)?;
            write(&files.channels, &keys.channel_keys)?;
            write(&files.private, &keys.private_pem)?;
        } else if !files.channels.exists() {
            // A folder that is older than signed messages.
            write(&files.channels, &new_channel_keys())?;
        }
        Self::load(folder)
    }

    /// Reads the keys of a folder.
    ///
    /// # Errors
    /// As [`KeySet::load_or_create`], and [`KeyError::Missing`].
    pub fn load(folder: &Path) -> Result<KeySet, KeyError> {
        files::close(folder);
        let files = Files::of(folder);
        let keys = KeySet {
            private_pem: read(&files.private)?,
            jwks: read(&files.public)?,
            internal_secret: read(&files.secret)?.trim().to_owned(),
            // Empty if there is no file: messages are not signed then, as in older versions.
            channel_keys: match read(&files.channels) {
                Err(KeyError::Missing(_)) => String::new(),
                text => text?.trim().to_owned(),
            },
        };
        KeySet::check(&keys.private_pem, &keys.jwks).map_err(|reason| {
            let path = if reason.starts_with("jwks") {
                files.public
            } else {
                files.private
            };
            KeyError::Broken { path, reason }
        })?;
        Ok(keys)
    }

    /// Whether private keys and a public set, as the application's variables hold them, fit together.
    /// The reasons name the variables and show nothing of their values.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(private_pem: &str, jwks: &str) -> Result<(), String> {
        let moduli =
            moduli(private_pem).ok_or("jwt_private_key is not an RSA private key in PEM")?;
        let set: Value = serde_json::from_str(jwks)
            .map_err(|_| "jwks is not a JSON Web Key Set (RFC 7517)".to_owned())?;
        let Some(keys) = set["keys"].as_array() else {
            return Err("jwks is not a JSON Web Key Set (RFC 7517)".to_owned());
        };
        if moduli
            .iter()
            .all(|modulus| keys.iter().any(|key| key["n"] == modulus.as_str()))
        {
            return Ok(());
        }
        Err("jwks does not list the other half of jwt_private_key".to_owned())
    }

    /// Names and values of the application variables.
    pub fn variables(&self) -> [(&'static str, &str); 4] {
        [
            ("jwt_private_key", &self.private_pem),
            ("jwks", &self.jwks),
            ("internal_secret", &self.internal_secret),
            ("channel_keys", &self.channel_keys),
        ]
    }

    /// Names of the variables that a rotation changes, and the files in which their values are.
    pub fn changing(folder: &Path) -> [(&'static str, PathBuf); 3] {
        let files = Files::of(folder);
        [
            ("jwt_private_key", files.private),
            ("jwks", files.public),
            ("channel_keys", files.channels),
        ]
    }

    /// The keys that sign messages between the services.
    pub fn channel_keys(&self) -> &str {
        &self.channel_keys
    }

    /// What the host's tick and the components show each other.
    pub fn internal_secret(&self) -> &str {
        &self.internal_secret
    }
}

/// Long random text, of characters that are safe everywhere.
fn secret() -> String {
    let mut secret = [0u8; 32];
    getrandom::fill(&mut secret).unwrap_or_else(|error| panic!("no randomness: {error}"));
    base64url(&secret)
}

/// One key; its name only has to differ from that of the next one.
fn new_channel_keys() -> String {
    format!("{}:{}", &digest(&secret())[..8], secret())
}

/// The moduli of all private keys; none where one of them can't be read, or there is none.
fn moduli(private_pem: &str) -> Option<Vec<String>> {
    let blocks = pem_blocks(private_pem);
    let moduli: Option<Vec<String>> = blocks.iter().map(|block| modulus(block)).collect();
    moduli.filter(|moduli| !moduli.is_empty())
}

fn modulus(block: &str) -> Option<String> {
    let pair = RS256KeyPair::from_pem(block).ok()?;
    Some(base64url(&pair.public_key().to_components().n))
}

/// A private key in PEM and its public half; its `kid` is its thumbprint (RFC 7638), so it needs no keeping.
fn new_key() -> (String, Value) {
    // Only an unsupported size can fail.
    let pair = RS256KeyPair::generate(BITS).unwrap_or_else(|error| panic!("{error}"));
    let public = pair.public_key().to_components();
    let (n, e) = (base64url(&public.n), base64url(&public.e));
    let kid = digest(&format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#));
    let jwk = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e});
    let pem = pair.to_pem().unwrap_or_else(|error| panic!("{error}"));
    (pem, jwk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn files_that_others_may_read_are_mended_when_they_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = folder.path().join("keys");
        KeySet::load_or_create(&keys).expect("made");
        let files = Files::of(&keys);
        let all = || files.all().into_iter().chain([keys.as_path()]);
        for path in all() {
            let open = mode(path) | 0o044;
            std::fs::set_permissions(path, Permissions::from_mode(open)).expect("changed");
        }
        KeySet::load_or_create(&keys).expect("read");
        assert_eq!(mode(&keys), 0o700);
        for path in files.all() {
            assert_eq!(mode(path), 0o600, "{}", path.display());
        }
    }

    #[test]
    fn keys_are_made_once_and_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = folder.path().join("keys");
        let made = KeySet::load_or_create(&keys).expect("made");
        let read = KeySet::load_or_create(&keys).expect("read");
        assert_eq!(made.variables(), read.variables());
        assert_eq!(mode(&keys), 0o700);
        for path in Files::of(&keys).all() {
            assert_eq!(mode(path), 0o600, "{}", path.display());
        }
    }

    #[test]
    fn a_folder_from_before_messages_were_signed_gets_its_channel_keys() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = KeySet::load_or_create(folder.path()).expect("made");
        std::fs::remove_file(folder.path().join("channel_keys")).expect("removed");
        let read = KeySet::load_or_create(folder.path()).expect("read");
        assert_eq!(made.internal_secret(), read.internal_secret());
        let again = KeySet::load_or_create(folder.path()).expect("read");
        assert_eq!(read.variables(), again.variables());
        let (id, secret) = read.channel_keys().split_once(':').expect("id:secret");
        assert_eq!((id.len(), secret.len()), (8, 43));
    }

    #[test]
    fn a_missing_or_foreign_half_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        KeySet::load_or_create(folder.path()).expect("made");
        let Files {
            private, public, ..
        } = Files::of(folder.path());
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
