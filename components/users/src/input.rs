//! What a client may change of a profile. Email, username and id belong to the account.

use serde::{Deserialize, Serialize};
use wasmart_service::http::{FieldError, Patch, Problem};

/// Characters of a name or a phone number.
const MAX_TEXT: usize = 100;
/// Characters of a language tag (RFC 5646 §4.4.1).
const MAX_LANGUAGE: usize = 35;

/// One field of a change; every field of a profile can be cleared.
pub type Change = Patch<String>;

/// A field, what becomes of it, what must hold for it, and how to say so.
type Rule<'a> = (&'a str, &'a Change, fn(&str) -> bool, &'a str);

/// `PATCH`: changes what is named.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    #[serde(default)]
    pub first_name: Change,
    #[serde(default)]
    pub last_name: Change,
    #[serde(default)]
    pub phone: Change,
    #[serde(default)]
    pub language: Change,
}

/// `PUT`: what is not named is gone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    first_name: Option<String>,
    last_name: Option<String>,
    phone: Option<String>,
    language: Option<String>,
}

impl From<Replacement> for Changes {
    fn from(replacement: Replacement) -> Changes {
        Changes {
            first_name: replacement.first_name.into(),
            last_name: replacement.last_name.into(),
            phone: replacement.phone.into(),
            language: replacement.language.into(),
        }
    }
}

impl Changes {
    /// Each column with what becomes of it.
    pub fn columns(&self) -> [(&'static str, &Change); 4] {
        [
            ("first_name", &self.first_name),
            ("last_name", &self.last_name),
            ("phone", &self.phone),
            ("language", &self.language),
        ]
    }

    /// Refuses what can't be, all faults at once.
    pub fn check(&self) -> Result<(), Problem> {
        let rules: [Rule<'_>; 4] = [
            (
                "first_name",
                &self.first_name,
                is_text,
                "must have 1 to 100 characters",
            ),
            (
                "last_name",
                &self.last_name,
                is_text,
                "must have 1 to 100 characters",
            ),
            (
                "phone",
                &self.phone,
                is_phone,
                "must be a phone number of 5 to 15 digits",
            ),
            (
                "language",
                &self.language,
                is_language,
                "must be a language tag such as en or pt-BR",
            ),
        ];
        let errors: Vec<FieldError> = rules
            .iter()
            .filter(|(_, change, holds, _)| change.value().is_some_and(|value| !holds(value)))
            .map(|(field, _, _, detail)| FieldError {
                field: (*field).to_owned(),
                detail: (*detail).to_owned(),
            })
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::fields(errors))
        }
    }
}

fn is_text(value: &str) -> bool {
    !value.trim().is_empty()
        && value.chars().count() <= MAX_TEXT
        && !value.contains(char::is_control)
}

/// However people write it; ITU-T E.164 allows 15 digits.
fn is_phone(value: &str) -> bool {
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let clean =
        |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | '(' | ')' | ' ' | '/');
    value.chars().count() <= MAX_TEXT && (5..=15).contains(&digits) && value.chars().all(clean)
}

/// The shape of RFC 5646, not its registry.
fn is_language(value: &str) -> bool {
    let part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let primary = value.split('-').next().unwrap_or_default();
    value.len() <= MAX_LANGUAGE
        && primary.len() >= 2
        && primary.bytes().all(|b| b.is_ascii_alphabetic())
        && value.split('-').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_null_are_not_the_same() {
        let changes: Changes =
            serde_json::from_str(r#"{"phone":null,"language":"en"}"#).expect("changes");
        assert_eq!(
            (changes.first_name, changes.phone),
            (Patch::Absent, Patch::Null)
        );
        assert_eq!(changes.language, Patch::Value("en".to_owned()));
        assert!(serde_json::from_str::<Changes>(r#"{"email":"x@y.de"}"#).is_err());
        let replacement: Replacement = serde_json::from_str("{}").expect("a replacement");
        assert_eq!(Changes::from(replacement).phone, Patch::Null);
    }

    #[test]
    fn shapes_are_lenient_but_bounded() {
        for good in ["Ann", "Анна-Мария", "O'Neil", &"a".repeat(100)] {
            assert!(is_text(good), "{good}");
        }
        for bad in ["", "  ", "a\nb", &"a".repeat(101)] {
            assert!(!is_text(bad), "{bad}");
        }
        for good in ["+49 (30) 1234-567", "8 800 555 35 35", "12345"] {
            assert!(is_phone(good), "{good}");
        }
        for bad in ["", "1234", "call me", "1234567890123456", "+49x30123456"] {
            assert!(!is_phone(bad), "{bad}");
        }
        for good in ["en", "pt-BR", "zh-Hant-TW"] {
            assert!(is_language(good), "{good}");
        }
        for bad in ["", "e", "en_US", "-en", "en-", "123", "englishlanguage"] {
            assert!(!is_language(bad), "{bad}");
        }
    }
}
