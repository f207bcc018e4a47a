//! What somebody types to say which account: an email or a username. A username has no `@`, so a login
//! is one or the other.

use wasmart_domain::account::{former_email, former_username, normalize_email, normalize_username};

/// A login in the form in which it is compared. A login that the rules no longer allow may still
/// name an account that is older than the rules; otherwise it names nobody.
#[derive(Debug, PartialEq, Eq)]
pub struct LoginName {
    column: &'static str,
    normal: Option<String>,
    former: String,
}

impl LoginName {
    pub fn read(login: &str) -> LoginName {
        if login.contains(['@', '＠']) {
            LoginName {
                column: "email",
                normal: normalize_email(login).ok(),
                former: former_email(login),
            }
        } else {
            LoginName {
                column: "username",
                normal: normalize_username(login).ok(),
                former: former_username(login),
            }
        }
    }

    /// What attempts are counted under.
    pub fn text(&self) -> &str {
        self.normal.as_deref().unwrap_or(&self.former)
    }

    /// The login in the spelling that was stored before [`crate::spelling`]. If both spellings name
    /// accounts, this one wins.
    pub fn former(&self) -> &str {
        &self.former
    }

    /// Where it is looked for in `accounts`.
    pub fn column(&self) -> &'static str {
        self.column
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_login_are_counted_as_one() {
        for (spellings, one) in [
            (
                &[
                    "josé@example.com",
                    "JOSE\u{301}@Example.com",
                    "ｊosé＠example.com",
                ][..],
                "josé@example.com",
            ),
            (&["Ann", " ann", "ＡＮＮ"], "ann"),
        ] {
            for spelling in spellings {
                assert_eq!(LoginName::read(spelling).text(), one, "{spelling}");
            }
        }
    }

    #[test]
    fn what_is_no_login_keeps_its_former_spelling() {
        let hidden = LoginName::read("Ann\u{200B}@example.com");
        assert_eq!(
            (hidden.text(), hidden.column()),
            ("ann\u{200B}@example.com", "email")
        );
        let nobody = LoginName::read("Ann Lee");
        assert_eq!((nobody.text(), nobody.column()), ("ann lee", "username"));
    }
}
