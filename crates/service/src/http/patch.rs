//! One field of a `PATCH`: absent, `null`, or a value (RFC 7396).

use super::Problem;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a client wants done with one field. Needs `#[serde(default)]`, so that an absent field is
/// [`Patch::Absent`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Not named: the field stays as it is.
    #[default]
    Absent,
    /// `null`: the field is cleared.
    Null,
    /// The field's new value.
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Patch<T>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Patch::Null, Patch::Value))
    }
}

/// For the fingerprint of a request: all three must differ, and an absent field must not count.
impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Patch::Absent => serializer.serialize_none(),
            Patch::Null => [(); 0].serialize(serializer),
            Patch::Value(value) => [value].serialize(serializer),
        }
    }
}

impl<T> From<Option<T>> for Patch<T> {
    /// For a `PUT`: a field that is not named is cleared.
    fn from(value: Option<T>) -> Patch<T> {
        value.map_or(Patch::Null, Patch::Value)
    }
}

impl<T> Patch<T> {
    /// The value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Patch::Value(value) => Some(value),
            Patch::Absent | Patch::Null => None,
        }
    }

    /// For a field that can't be empty: `null` is refused (422).
    pub fn required(self, field: &str) -> Result<Option<T>, Problem> {
        match self {
            Patch::Absent => Ok(None),
            Patch::Null => Err(Problem::field(field, "must not be null")),
            Patch::Value(value) => Ok(Some(value)),
        }
    }

    /// The value checked and changed by `read`.
    pub fn try_map<U, E>(self, read: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Patch::Absent => Patch::Absent,
            Patch::Null => Patch::Null,
            Patch::Value(value) => Patch::Value(read(value)?),
        })
    }

    /// The field's value afterwards, if it is `now` before.
    pub fn over(self, now: Option<T>) -> Option<T> {
        match self {
            Patch::Absent => now,
            Patch::Null => None,
            Patch::Value(value) => Some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Change {
        #[serde(default)]
        name: Patch<String>,
    }

    fn read(body: &str) -> Patch<String> {
        serde_json::from_str::<Change>(body).expect("a change").name
    }

    #[test]
    fn absent_null_and_a_value_are_three_things() {
        let tea = || Some("tea".to_owned());
        let cup = || Some("cup".to_owned());
        for (body, patch, over) in [
            ("{}", Patch::Absent, tea()),
            (r#"{"name":null}"#, Patch::Null, None),
            (r#"{"name":"cup"}"#, Patch::Value("cup".to_owned()), cup()),
        ] {
            assert_eq!(read(body), patch, "{body}");
            assert_eq!(read(body).over(tea()), over, "{body}");
            assert_eq!(read(body).required("name").is_err(), patch == Patch::Null);
        }
        assert!(serde_json::from_str::<Change>(r#"{"name":7}"#).is_err());
    }
}
