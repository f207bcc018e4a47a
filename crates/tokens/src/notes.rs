//! What the guards and auth tell each other over the key-value stores about other issuers: the keys of
//! the entries, and what is in them. Auth asks the issuers and has the database; the guards have neither.
//!
//! In the store `default`, written by auth:
//! - `k:` + SHA-256 of an issuer → [`IssuerKeys`]
//! - [`TOLD`]: present once auth has written which tokens are revoked; before that the guards admit no new token
//! - `w:` + an account as [`crate::account_of`] gives it → [`Who`]; none for an account without anything to
//!   say of it
//!
//! In the store [`STORE`], left by guards and taken away by auth, which so finds them without a search:
//! - `wanted/` + SHA-256 of an issuer: somebody shows a key that is not known
//! - `seen/` + SHA-256 of a token → [`Seen`]

use crate::digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The label of the store for notes.
pub const STORE: &str = "notes";

/// In the store `default`: the mark that auth compares with its own. A store that is new has no
/// mark; a store that has lost something has no mark or an old one.
pub const TOLD: &str = "told";

/// What is known of an issuer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct IssuerKeys {
    /// Its `issuer`.
    pub issuer: String,
    /// When it was asked last, with or without success; milliseconds since the Unix epoch.
    pub asked_at: i64,
    /// What it said when it last answered.
    pub found: Option<Found>,
}

/// What an issuer publishes of itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Found {
    /// Its keys (RFC 7517), as they are.
    pub jwks: Value,
    /// What else sign-in needs.
    pub metadata: Metadata,
}

/// The part of an OpenID Connect discovery document that is of use here.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Metadata {
    /// Where its keys are.
    pub jwks_uri: String,
    /// Where users sign in.
    pub authorization_endpoint: Option<String>,
    /// Where codes become tokens.
    pub token_endpoint: Option<String>,
    /// How a client shows its secret.
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether its answers name it (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// What is to be said of somebody else's user.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Who {
    /// The account, which may be one that was there before.
    pub account: String,
    /// Nobody is let in.
    pub barred: bool,
    /// The role that the account has here.
    pub role: String,
}

/// A token of another issuer that a guard has verified.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Seen {
    /// Its `iss`.
    pub issuer: String,
    /// Its `sub`.
    pub subject: String,
    /// The account that the guard took it for.
    pub account: String,
    /// Under what it can be revoked.
    pub token_id: String,
    /// Its `exp`, in seconds since the Unix epoch.
    pub expires_at: u64,
    /// The email, where the issuer has verified it.
    pub email: Option<String>,
    /// `preferred_username`.
    pub username: Option<String>,
}

/// Where the keys of an issuer are.
pub fn keys_key(issuer: &str) -> String {
    format!("k:{}", digest(issuer))
}

/// Where it says who an account of another issuer is.
pub fn who_key(account: &str) -> String {
    format!("w:{account}")
}

/// The note that keys are wanted.
pub fn wanted_key(issuer: &str) -> String {
    format!("wanted/{}", digest(issuer))
}

/// The prefix of the notes on tokens.
pub const SEEN: &str = "seen/";

/// The note on a token, known by its SHA-256.
pub fn seen_key(token_hash: &str) -> String {
    format!("{SEEN}{token_hash}")
}
