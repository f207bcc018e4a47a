//! Passwords: argon2id at OWASP's first setting (m = 19 MiB, t = 2, p = 1), kept as PHC strings.
//!
//! Hashes with smaller parameters, and bcrypt's, which other shops bring along, are good for one more
//! login: it replaces them. While there is any bcrypt hash, every check costs one bcrypt more, so that
//! the time does not tell whose it is.

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordVerifier, Version};
use std::sync::LazyLock;
use wasmart_domain::text::nfc;
use wasmart_service::http::Problem;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The hash of nobody's password: verified where there is no account, so that the answer takes as
/// long as for one that exists. Also that of an account without a password, which signs in elsewhere.
pub const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$d2FzbWFydC1ub2JvZHk$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// The salt of bcrypt's work for nothing.
const NOBODYS_SALT: [u8; 16] = *b"wasmart-nobody-0";
/// Beyond this a check would take seconds, and hold up whoever comes next.
pub const MAX_BCRYPT_COST: u32 = 14;

static ARGON2: LazyLock<Option<Argon2>> = LazyLock::new(|| {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
});

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Wrong,
    Right,
    /// Right, but the hash is to be replaced.
    Outdated,
}

fn argon2() -> Result<&'static Argon2<'static>, Problem> {
    ARGON2
        .as_ref()
        .ok_or_else(|| Problem::internal("argon2 refuses its parameters"))
}

/// A password in the one spelling that is hashed: NFC, so that an é is an é, typed on whatever keyboard.
/// Not NFKC, which takes characters for the same that their owner chose as different (² and 2).
pub fn normalized(password: &str) -> String {
    nfc(password)
}

/// The hash to keep. Some 40 ms of work: never within a transaction.
pub fn hash(password: &str) -> Result<String, Problem> {
    argon2()?
        .hash_password(normalized(password).as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| Problem::internal(format!("argon2: {error}")))
}

/// Whether this is the password of an account. The same work whether there is one or not. `imported` is
/// the highest cost of the bcrypt hashes that are still there.
pub fn verify(
    password: &str,
    hash: Option<&str>,
    imported: Option<u32>,
) -> Result<Verdict, Problem> {
    let normal = normalized(password);
    let verdict = compare(&normal, hash, imported)?;
    // Hashes from elsewhere, or from before, may be of what the keyboard sent.
    if verdict == Verdict::Wrong && normal != password {
        return Ok(match compare(password, hash, imported)? {
            Verdict::Wrong => Verdict::Wrong,
            _ => Verdict::Outdated,
        });
    }
    Ok(verdict)
}

fn compare(password: &str, hash: Option<&str>, imported: Option<u32>) -> Result<Verdict, Problem> {
    let old = hash.filter(|hash| hash.starts_with("$2"));
    let modern = hash.filter(|_| old.is_none());
    // In every case both kinds of work, if there is any bcrypt at all.
    let is_argon2 = argon2()?
        .verify_password(password.as_bytes(), modern.unwrap_or(NOBODY))
        .is_ok();
    let is_bcrypt = match (old, imported) {
        (Some(hash), _) if cost(hash) <= MAX_BCRYPT_COST => {
            bcrypt::verify(password, hash).unwrap_or(false)
        }
        (_, Some(cost)) => {
            let cost = cost.min(MAX_BCRYPT_COST);
            std::hint::black_box(bcrypt::hash_with_salt(password, cost, NOBODYS_SALT).ok());
            false
        }
        _ => false,
    };
    Ok(match modern {
        Some(hash) if is_argon2 && is_weak(hash) => Verdict::Outdated,
        Some(_) if is_argon2 => Verdict::Right,
        _ if is_bcrypt => Verdict::Outdated,
        _ => Verdict::Wrong,
    })
}

/// The cost in `$2b$12$…`; of what has none, more than is accepted.
fn cost(hash: &str) -> u32 {
    let cost = hash.split('$').nth(2).and_then(|cost| cost.parse().ok());
    cost.unwrap_or(u32::MAX)
}

/// Whether a hash was made with less than we ask today, or with something else.
fn is_weak(hash: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(hash) else {
        return true;
    };
    let enough = Params::try_from(&parsed).is_ok_and(|params| {
        params.m_cost() >= MEMORY_KIB && params.t_cost() >= PASSES && params.p_cost() >= LANES
    });
    parsed.algorithm.as_str() != "argon2id" || !enough
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_only() {
        let hash = hash("correct horse").expect("a hash");
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let verdict = |password: &str, hash: Option<&str>| verify(password, hash, None).ok();
        assert_eq!(verdict("correct horse", Some(&hash)), Some(Verdict::Right));
        assert_eq!(verdict("correct hors", Some(&hash)), Some(Verdict::Wrong));
        assert_eq!(verdict("correct horse", None), Some(Verdict::Wrong));
    }

    #[test]
    fn nobody_costs_as_much_as_somebody() {
        let parsed = PasswordHash::new(NOBODY).expect("a PHC string");
        let params = Params::try_from(&parsed).expect("parameters");
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (MEMORY_KIB, PASSES, LANES)
        );
        assert!(parsed.hash.is_some_and(|hash| hash.len() == 32));
    }
}
