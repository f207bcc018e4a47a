//! What an account may look like: email, username, password, role.

mod email;
mod username;

pub use email::{former_email, normalize_email};
pub use username::{former_username, normalize_username};

use crate::text::TextError;
use thiserror::Error;

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Buys.
    Customer,
    /// Runs the stock and completes orders.
    Manager,
    /// All of it, and the accounts.
    Admin,
}

impl Role {
    /// The name in tokens and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Customer => "customer",
            Role::Manager => "manager",
            Role::Admin => "admin",
        }
    }

    /// The inverse of [`Role::as_str`].
    pub fn parse(name: &str) -> Option<Role> {
        [Role::Customer, Role::Manager, Role::Admin]
            .into_iter()
            .find(|r| r.as_str() == name)
    }
}

/// Why a field of an account is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AccountError {
    /// Not even a text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Not something mail can be sent to.
    #[error("must be an email address")]
    Email,
    /// Too short, too long, or with characters that could be mistaken for an email's.
    #[error("must have 3 to 64 characters: letters, digits, '.', '_' or '-'")]
    Username,
    /// Right-to-left letters beside others: their order depends on the text around them.
    #[error("must not mix letters that are written from the left and from the right")]
    Directions,
    /// Outside 8 to 128 characters (OWASP ASVS 5.0, 6.2.1 and 6.2.9).
    #[error("must have 8 to 128 characters")]
    Password,
}

/// Checks a password's length, counted in characters of any script.
pub fn check_password(password: &str) -> Result<(), AccountError> {
    if (8..=128).contains(&password.chars().count()) {
        Ok(())
    } else {
        Err(AccountError::Password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_count_characters_not_bytes() {
        assert_eq!(check_password("пароль12"), Ok(()));
        assert_eq!(check_password("1234567"), Err(AccountError::Password));
        assert_eq!(check_password(&"я".repeat(128)), Ok(()));
        assert_eq!(
            check_password(&"a".repeat(129)),
            Err(AccountError::Password)
        );
    }

    #[test]
    fn roles_have_one_name() {
        assert_eq!(Role::parse("manager"), Some(Role::Manager));
        assert_eq!(Role::parse("Manager"), None);
    }
}
