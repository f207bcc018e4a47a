//! What somebody types to say which account: an email or a username. A username has no `@`, so a login
//! is one or the other.

use wasmart_domain::account::{normalize_email, normalize_username};

/// A login in the form it is compared in; what can be neither is kept as it is and names nobody.
#[derive(Debug, PartialEq, Eq)]
pub enum LoginName {
    Email(String),
    Username(String),
    Neither(String),
}

impl LoginName {
    pub fn read(login: &str) -> LoginName {
        let read = if login.contains('@') {
            normalize_email(login).map(LoginName::Email)
        } else {
            normalize_username(login).map(LoginName::Username)
        };
        read.unwrap_or_else(|_| LoginName::Neither(login.to_owned()))
    }

    /// What attempts are counted under.
    pub fn text(&self) -> &str {
        match self {
            LoginName::Email(text) | LoginName::Username(text) | LoginName::Neither(text) => text,
        }
    }
}
