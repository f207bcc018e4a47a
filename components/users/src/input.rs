//! What a client may change of a profile. Email, username and id belong to the account.

use serde::{Deserialize, Serialize};
use wasmart_domain::text::{PERSON_NAME, TextError, clean_language, clean_phone};
use wasmart_service::http::{FieldError, Patch, Problem};

/// One field of a change; every field of a profile can be cleared.
pub type Change = Patch<String>;

/// A field, its change, and the rule for its text.
type Field<'a> = (
    &'a str,
    &'a mut Change,
    fn(&str) -> Result<String, TextError>,
);

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
    /// Each column with its change.
    pub fn columns(&self) -> [(&'static str, &Change); 4] {
        [
            ("first_name", &self.first_name),
            ("last_name", &self.last_name),
            ("phone", &self.phone),
            ("language", &self.language),
        ]
    }

    /// Brings the texts into their stored form. Refuses bad texts, and reports all faults at once.
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
            let Patch::Value(text) = change else { continue };
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
        assert_eq!(
            (changes.first_name, changes.phone),
            (Patch::Absent, Patch::Null)
        );
        assert_eq!(changes.language, Patch::Value("en".to_owned()));
        assert!(serde_json::from_str::<Changes>(r#"{"email":"x@y.de"}"#).is_err());
        let replacement: Replacement = serde_json::from_str("{}").expect("a replacement");
        assert_eq!(Changes::from(replacement).phone, Patch::Null);
    }
}
