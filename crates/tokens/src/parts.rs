//! The outer shape of a token: three segments, each an object whose members come once.

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// How far the clock of an issuer may be ahead of ours, in seconds.
pub const LEEWAY: u64 = 60;

/// Header, payload and signature as they are written; none where there are not three.
pub fn segments(token: &str) -> Option<[&str; 3]> {
    let segments: Vec<&str> = token.splitn(4, '.').collect();
    segments.try_into().ok()
}

/// The object in a segment; none where there is something else. Members that `T` names must come once.
pub fn object<T: DeserializeOwned>(segment: &str) -> Option<T> {
    serde_json::from_slice(&json(segment)?).ok()
}

/// The object in a segment, with all it says; none where any member in it, at any depth, comes twice.
pub(crate) fn whole_object(segment: &str) -> Option<Value> {
    let json = json(segment)?;
    let mut deserializer = serde_json::Deserializer::from_slice(&json);
    let value = Unique.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(value)
}

fn json(segment: &str) -> Option<Vec<u8>> {
    let json = Base64UrlSafeNoPadding::decode_to_vec(segment, None).ok()?;
    // serde would take an array for a struct, its elements for the members in their order.
    (json.first() == Some(&b'{')).then_some(json)
}

/// A JSON value that says nothing twice. serde_json's own takes the last of two members, another reader
/// may take the first.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(Unique)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(Unique)? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Unique)?;
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom("a member comes twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base64url;

    #[test]
    fn what_is_said_twice_is_refused_at_any_depth() {
        let read = |json: &str| whole_object(&base64url(json.as_bytes()));
        for twice in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[{"b":1,"\u0062":2}]}"#,
            r#"{"a":1}x"#,
            "[]",
            "7",
        ] {
            assert_eq!(read(twice), None, "{twice}");
        }
        let once = r#"{"a":[1,-1,1.5,"x",true,null,{"b":{"a":2}}]}"#;
        assert_eq!(read(once).map(|value| value.to_string()), Some(once.into()));
    }
}
