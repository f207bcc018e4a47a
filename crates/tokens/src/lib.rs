//! What the guard, auth and the operator's commands must agree on about tokens. Pure functions: the
//! time is passed in, and nobody is asked for anything.

pub mod config;
pub mod foreign;
#[cfg(test)]
mod foreign_tests;
pub mod keys;
pub mod notes;
mod parts;

pub use parts::{LEEWAY, object, segments};

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use uuid::Uuid;

/// SHA-256 in base64url: how tokens and other secrets are known where they must not be kept.
pub fn digest(text: &str) -> String {
    base64url(&hmac_sha256::Hash::hash(text.as_bytes()))
}

/// base64url without padding (RFC 4648 §5).
pub fn base64url(bytes: &[u8]) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap_or_default()
}

/// The account of whom an issuer calls `subject`, unless it is linked to another one: a UUID v5, so that
/// every component knows it without asking.
pub fn account_of(issuer: &str, subject: &str) -> String {
    // No issuer has a line break in it (`config`), so no two pairs make the same name.
    let name = format!("wasmart:account\n{issuer}\n{subject}");
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::account_of;

    #[test]
    fn an_issuers_subject_has_one_account_for_ever() {
        let id = account_of("https://issuer.example", "7");
        // Written down: were it to change, everyone would get a new, empty account.
        assert_eq!(id, "1d607ed3-3a1e-5959-94b3-5312581b1c40");
        assert_ne!(id, account_of("https://issuer.example", "8"));
        assert_ne!(id, account_of("https://issuer.example/", "7"));
    }
}
