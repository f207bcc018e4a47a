//! What a new password may be (OWASP ASVS 5.0, 6.2): long enough, any characters, but none of those that
//! everybody tries first, nor the account's own name.
//!
//! The common ones are those of the crate `passwords`, some 100 000, of which those with 8 characters and
//! more count here.

use crate::passwords::normalized;
use passwords::analyzer::is_common_password;
use wasmart_domain::account::check_password;

/// Checks a new password; `names` are the account's email and username.
///
/// # Errors
/// What it must be, as a sentence that begins with "must".
pub fn check(password: &str, names: [Option<&str>; 2]) -> Result<(), String> {
    let password = normalized(password);
    check_password(&password).map_err(|error| error.to_string())?;
    let lower = password.to_lowercase();
    if is_common_password(&password) || is_common_password(&lower) {
        return Err("must not be one of the most common passwords".to_owned());
    }
    let is_name = |name: &str| {
        let name = name.to_lowercase();
        lower == name || name.split('@').next() == Some(&lower)
    };
    if names.into_iter().flatten().any(is_name) {
        return Err("must not be the account's own name".to_owned());
    }
    Ok(())
}
