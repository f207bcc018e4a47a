//! What an account may look like: email, username, password, role.

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
    /// Not something mail can be sent to.
    #[error("must be an email address")]
    Email,
    /// Too short, too long, or with characters that could be mistaken for an email's.
    #[error("must have 3 to 64 characters: letters, digits, '.', '_' or '-'")]
    Username,
    /// Outside 8 to 128 characters (OWASP ASVS 5.0, 6.2.1 and 6.2.9).
    #[error("must have 8 to 128 characters")]
    Password,
}

/// Checks an email address and brings it into the form it is compared in: trimmed, lower case.
///
/// Only the shape is checked (one `@`, something on both sides, a dot in the domain, at most 254
/// characters as in RFC 5321 §4.5.3.1.3); that it exists only a mail can tell.
pub fn normalize_email(email: &str) -> Result<String, AccountError> {
    let email = email.trim().to_lowercase();
    let (local, domain) = email.split_once('@').ok_or(AccountError::Email)?;
    let clean = |part: &str| {
        !part.is_empty()
            && !part.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@')
    };
    let domain_ok = domain.contains('.') && domain.split('.').all(|label| !label.is_empty());
    if email.len() <= 254 && local.len() <= 64 && clean(local) && clean(domain) && domain_ok {
        Ok(email)
    } else {
        Err(AccountError::Email)
    }
}

/// Checks a username and brings it into the form it is compared in: lower case.
pub fn normalize_username(username: &str) -> Result<String, AccountError> {
    let name = username.to_lowercase();
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (3..=64).contains(&name.chars().count()) && name.chars().all(allowed) {
        Ok(name)
    } else {
        Err(AccountError::Username)
    }
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
    fn emails_are_compared_in_one_form() {
        assert_eq!(
            normalize_email(" Ann@Example.COM "),
            Ok("ann@example.com".to_owned())
        );
        for bad in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "ann@com",
            "a b@example.com",
            "a@b@c.de",
            "a@.de",
            "a@de.",
        ] {
            assert_eq!(normalize_email(bad), Err(AccountError::Email), "{bad:?}");
        }
        assert_eq!(
            normalize_email(&format!("{}@example.com", "a".repeat(65))),
            Err(AccountError::Email)
        );
    }

    #[test]
    fn a_username_cannot_look_like_an_email() {
        assert_eq!(normalize_username("Ann.Lee"), Ok("ann.lee".to_owned()));
        for bad in ["an", "ann@example.com", "ann lee", &"a".repeat(65)] {
            assert_eq!(
                normalize_username(bad),
                Err(AccountError::Username),
                "{bad:?}"
            );
        }
    }

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
