//! A new key in, an old one out, and no valid token refused on the way.
//!
//! A new key is published at once and signs later: by then whoever keeps a copy of the public set has a
//! newer one. The key before it stays in the set until its last token has ended. All of that is in the
//! files (`signs_from`), so nothing has to happen at the right moment. Times are seconds since the Unix
//! epoch.

use crate::error::KeyError;
use crate::files::{Files, lock, read, replace};
use crate::{KeySet, modulus, new_key};
use serde_json::{Value, json};
use std::path::Path;
use wasmart_tokens::keys::{
    CACHE_SECONDS, FRESH_SECONDS, RsaKey, pem_blocks, read as read_set, signing,
};

/// How long a new key is only published, unless said otherwise: twice as long as anyone may keep a copy.
pub const PUBLISHED_FIRST: u64 = 2 * CACHE_SECONDS;

/// From the moment the next key signs to the moment this one's last token has ended: 15 minutes of its
/// life, a minute in which an instance of auth may not have looked at its keys again, and two for clocks.
pub const LAST_TOKEN: u64 = 900 + FRESH_SECONDS + 120;

/// What a key is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Published only; it signs in so many seconds.
    Next(u64),
    /// It signs.
    Signs,
    /// It signs no more; it can be retired in so many seconds.
    Old(u64),
}

/// One key of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name in the header of tokens.
    pub kid: String,
    /// What it is good for.
    pub state: State,
}

/// The keys of a folder, in the order in which they sign.
///
/// # Errors
/// As [`KeySet::load`].
pub fn list(folder: &Path, now: u64) -> Result<Vec<Key>, KeyError> {
    KeySet::load(folder)?;
    let mut keys = public_keys(folder)?;
    keys.sort_by_key(|key| key.signs_from);
    let current = signing(&keys, now).map_or(0, |key| key.signs_from);
    let state = |at: usize, key: &RsaKey| match keys.get(at + 1) {
        _ if key.signs_from > current => State::Next(key.signs_from - now.min(key.signs_from)),
        Some(next) if key.signs_from < current => {
            State::Old((next.signs_from + LAST_TOKEN).saturating_sub(now))
        }
        _ => State::Signs,
    };
    let keys = keys.iter().enumerate().map(|(at, key)| Key {
        kid: key.kid.clone(),
        state: state(at, key),
    });
    Ok(keys.collect())
}

/// Makes a key that signs `after` seconds from now, and gives its name.
///
/// # Errors
/// [`KeyError::OnItsWay`] while there is one that does not sign yet; otherwise as [`KeySet::load`].
pub fn rotate(folder: &Path, now: u64, after: u64) -> Result<String, KeyError> {
    let _lock = lock(folder)?;
    for key in list(folder, now)? {
        if let State::Next(seconds) = key.state {
            let kid = key.kid;
            return Err(KeyError::OnItsWay { kid, seconds });
        }
    }
    let (pem, mut jwk) = new_key();
    // Two keys of the same second would have no order.
    let newest = public_keys(folder)?.iter().map(|key| key.signs_from).max();
    jwk["signs_from"] = json!((now + after).max(newest.unwrap_or_default() + 1));
    let kid = jwk["kid"].as_str().unwrap_or_default().to_owned();
    let files = Files::of(folder);
    let mut set = set(&files)?;
    if let Some(keys) = set["keys"].as_array_mut() {
        keys.push(jwk);
    }
    // The public half first: whoever reads between the two knows one key too many, not one too few.
    replace(&files.public, &set.to_string())?;
    replace(&files.private, &format!("{}{pem}", read(&files.private)?))?;
    Ok(kid)
}

/// Takes out every old key whose last token has ended, and gives their names.
///
/// # Errors
/// As [`KeySet::load`].
pub fn retire(folder: &Path, now: u64) -> Result<Vec<String>, KeyError> {
    let _lock = lock(folder)?;
    let ended = list(folder, now)?
        .into_iter()
        .filter(|key| key.state == State::Old(0));
    let kids: Vec<String> = ended.map(|key| key.kid).collect();
    remove(folder, &kids)?;
    Ok(kids)
}

/// Takes out one old key. `force` ends those of its tokens that are still valid.
///
/// # Errors
/// [`KeyError::Unknown`], [`KeyError::InUse`], [`KeyError::TooEarly`]; otherwise as [`KeySet::load`].
pub fn retire_one(folder: &Path, kid: &str, now: u64, force: bool) -> Result<(), KeyError> {
    let _lock = lock(folder)?;
    let keys = list(folder, now)?;
    let key = keys.iter().find(|key| key.kid == kid);
    let key = key.ok_or_else(|| KeyError::Unknown(kid.to_owned()))?;
    let kid = key.kid.clone();
    match key.state {
        State::Next(_) | State::Signs => Err(KeyError::InUse(kid)),
        State::Old(seconds) if seconds > 0 && !force => Err(KeyError::TooEarly { kid, seconds }),
        State::Old(_) => remove(folder, &[kid]),
    }
}

fn remove(folder: &Path, kids: &[String]) -> Result<(), KeyError> {
    if kids.is_empty() {
        return Ok(());
    }
    let files = Files::of(folder);
    let gone: Vec<String> = public_keys(folder)?
        .into_iter()
        .filter(|key| kids.contains(&key.kid))
        .map(|key| key.n)
        .collect();
    let private = read(&files.private)?;
    let left = pem_blocks(&private).into_iter().filter(|block| {
        let modulus = modulus(block);
        !modulus.is_some_and(|modulus| gone.contains(&modulus))
    });
    // The private half first, for the same reason as above.
    replace(&files.private, &left.collect::<String>())?;
    let mut set = set(&files)?;
    if let Some(keys) = set["keys"].as_array_mut() {
        keys.retain(|key| !kids.iter().any(|kid| key["kid"] == kid.as_str()));
    }
    replace(&files.public, &set.to_string())
}

fn set(files: &Files) -> Result<Value, KeyError> {
    let text = read(&files.public)?;
    serde_json::from_str(&text).map_err(|error| broken(files, error.to_string()))
}

fn public_keys(folder: &Path) -> Result<Vec<RsaKey>, KeyError> {
    let files = Files::of(folder);
    read_set(&read(&files.public)?).map_err(|reason| broken(&files, reason))
}

fn broken(files: &Files, reason: String) -> KeyError {
    KeyError::Broken {
        path: files.public.clone(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn states(folder: &Path, now: u64) -> Vec<State> {
        let keys = list(folder, now).expect("a list");
        keys.into_iter().map(|key| key.state).collect()
    }

    #[test]
    fn a_new_key_is_published_then_signs_and_the_old_one_goes_last() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        KeySet::load_or_create(folder).expect("made");
        assert_eq!(states(folder, NOW), [State::Signs]);
        let old = list(folder, NOW).expect("a list").remove(0).kid;

        let new = rotate(folder, NOW, 600).expect("rotated");
        assert_eq!(states(folder, NOW), [State::Signs, State::Next(600)]);
        assert!(matches!(
            rotate(folder, NOW, 0),
            Err(KeyError::OnItsWay { kid, seconds: 600 }) if kid == new
        ));
        for kid in [&old, &new] {
            let refused = retire_one(folder, kid, NOW, true);
            assert!(matches!(refused, Err(KeyError::InUse(_))), "{refused:?}");
        }
        let signs = NOW + 600;
        assert_eq!(
            states(folder, signs),
            [State::Old(LAST_TOKEN), State::Signs]
        );
        assert_eq!(
            retire(folder, signs + LAST_TOKEN - 1).expect("nothing"),
            [""; 0]
        );
        assert!(matches!(
            retire_one(folder, &old, signs, false),
            Err(KeyError::TooEarly {
                seconds: LAST_TOKEN,
                ..
            })
        ));
        assert_eq!(retire(folder, signs + LAST_TOKEN).expect("retired"), [old]);
        assert_eq!(states(folder, NOW), [State::Signs]);
        let keys = KeySet::load(folder).expect("they fit");
        assert_eq!(keys.private_pem.matches("BEGIN").count(), 1);
    }

    #[test]
    fn rotated_at_once_each_key_is_newer_than_the_last() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        KeySet::load_or_create(folder).expect("made");
        let first = list(folder, NOW).expect("a list").remove(0).kid;
        rotate(folder, NOW, 0).expect("rotated");
        assert_eq!(states(folder, NOW), [State::Old(LAST_TOKEN), State::Signs]);
        rotate(folder, NOW, 0).expect("rotated");
        // Two of the same second have an order: the later one signs a second later.
        assert_eq!(states(folder, NOW)[2], State::Next(1));
        retire_one(folder, &first, NOW + 2, true).expect("forced");
        assert!(matches!(
            retire_one(folder, &first, NOW, true),
            Err(KeyError::Unknown(_))
        ));
    }

    #[test]
    fn changed_files_are_nobody_elses_to_read() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        KeySet::load_or_create(folder.path()).expect("made");
        rotate(folder.path(), NOW, 600).expect("rotated");
        for path in Files::of(folder.path()).all() {
            let mode = std::fs::metadata(path).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
    }
}
