//! What the guard, auth and the operator's commands must agree on about tokens. Pure functions: the
//! time is passed in, and nobody is asked for anything.

pub mod keys;

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Encoder};

/// SHA-256 in base64url: how tokens and other secrets are known where they must not be kept.
pub fn digest(text: &str) -> String {
    base64url(&hmac_sha256::Hash::hash(text.as_bytes()))
}

/// base64url without padding (RFC 4648 §5).
pub fn base64url(bytes: &[u8]) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap_or_default()
}
