//! Passwords: argon2id at OWASP's first setting (m = 19 MiB, t = 2, p = 1), kept as PHC strings.

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, PasswordVerifier, Version};
use std::sync::LazyLock;
use wasmart_service::http::Problem;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The hash of nobody's password: verified where there is no account, so that the answer takes as
/// long as for one that exists. Also that of an account without a password, which signs in elsewhere.
pub const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$d2FzbWFydC1ub2JvZHk$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static ARGON2: LazyLock<Option<Argon2>> = LazyLock::new(|| {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
});

fn argon2() -> Result<&'static Argon2<'static>, Problem> {
    ARGON2
        .as_ref()
        .ok_or_else(|| Problem::internal("argon2 refuses its parameters"))
}

/// The hash to keep. Some 40 ms of work: never within a transaction.
pub fn hash(password: &str) -> Result<String, Problem> {
    argon2()?
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| Problem::internal(format!("argon2: {error}")))
}

/// Whether this is the password of an account. The same work whether there is one or not.
pub fn verify(password: &str, hash: Option<&str>) -> Result<bool, Problem> {
    let verified = argon2()?.verify_password(password.as_bytes(), hash.unwrap_or(NOBODY));
    Ok(verified.is_ok() && hash.is_some())
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
        assert!(verify("correct horse", Some(&hash)).expect("checked"));
        assert!(!verify("correct hors", Some(&hash)).expect("checked"));
        assert!(!verify("correct horse", None).expect("checked"));
    }

    #[test]
    fn nobody_costs_as_much_as_somebody() {
        let parsed = argon2::password_hash::phc::PasswordHash::new(NOBODY).expect("a PHC string");
        let params = Params::try_from(&parsed).expect("parameters");
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (MEMORY_KIB, PASSES, LANES)
        );
        assert!(parsed.hash.is_some_and(|hash| hash.len() == 32));
    }
}
