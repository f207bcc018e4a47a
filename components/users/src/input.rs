//! What a client may change of a profile. Email, username and id belong to the account.

use serde::{Deserialize, Deserializer};
use wasmart_domain::text::{PERSON_NAME, TextError, clean_language, clean_phone};
use wasmart_service::http::{FieldError, Problem};

/// One field of a change: absent means as it was, `null` means none.
pub type Change = Option<Option<String>>;

/// A field, what becomes of it, and the rule for its text.
type Field<'a> = (
    &'a str,
    &'a mut Change,
    fn(&str) -> Result<String, TextError>,
);

/// `PATCH`: changes what is named.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    #[serde(default, deserialize_with = "named")]
    pub first_name: Change,
    #[serde(default, deserialize_with = "named")]
    pub last_name: Change,
    #[serde(default, deserialize_with = "named")]
    pub phone: Change,
    #[serde(default, deserialize_with = "named")]
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

fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Change, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl From<Replacement> for Changes {
    fn from(replacement: Replacement) -> Changes {
        Changes {
            first_name: Some(replacement.first_name),
            last_name: Some(replacement.last_name),
            phone: Some(replacement.phone),
            language: Some(replacement.language),
        }
    }
}

impl Changes {
    /// Whether anything is named.
    pub fn is_empty(&self) -> bool {
        [
            &self.first_name,
            &self.last_name,
            &self.phone,
            &self.language,
        ]
        .iter()
        .all(|c| c.is_none())
    }

    /// The texts as they are stored. Refuses what can't be, all faults at once.
    pub fn cleaned(mut self) -> Result<Changes, Problem> {
        let name = |typed: &str| PERSON_NAME.clean(typed);
        let fields: [Field<'_>; 4] = [
            ("first_name", &mut self.first_name, name),
            ("last_name", &mut self.last_name, name),
            ("phone", &mut self.phone, clean_phone),
            ("language", &mut self.language, clean_language),
        ];
        let mut errors = Vec::new();
        for (field, change, clean) in fields {
            let Some(Some(text)) = change else { continue };
            match clean(text) {
                Ok(cleaned) => *text = cleaned,
                Err(fault) => errors.push(FieldError {
                    field: field.to_owned(),
                    detail: fault.to_string(),
                }),
            }
        }
        if errors.is_empty() {
            Ok(self)
        } else {
            Err(Problem::fields(errors))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_null_are_not_the_same() {
        let changes: Changes =
            serde_json::from_str(r#"{"phone":null,"language":"en"}"#).expect("changes");
        assert_eq!((changes.first_name, changes.phone), (None, Some(None)));
        assert_eq!(changes.language, Some(Some("en".to_owned())));
        assert!(serde_json::from_str::<Changes>(r#"{"email":"x@y.de"}"#).is_err());
        let replacement: Replacement = serde_json::from_str("{}").expect("a replacement");
        assert!(!Changes::from(replacement).is_empty());
    }
}
