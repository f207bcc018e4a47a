//! Reading addresses: ids in paths, and query strings.

use super::Problem;
use super::input::field_of;
use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use serde::de::DeserializeOwned;

/// A UUID in the path, in the spelling that is stored; anything else gets 404.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Id, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found("resource"))?;
        canonical_id(&id)
            .map(Id)
            .ok_or_else(|| Problem::not_found("resource"))
    }
}

/// A name in the path; bytes that are not text get 404.
pub struct Name(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Name, Problem> {
        Path::<String>::from_request_parts(parts, state)
            .await
            .map(|Path(name)| Name(name))
            .map_err(|_| Problem::not_found("resource"))
    }
}

/// A UUID in the spelling that is stored; `None` if the text is not a UUID.
pub fn canonical_id(id: &str) -> Option<String> {
    uuid::Uuid::try_parse(id).ok().map(|id| id.to_string())
}

/// The query string; 422 with the faulty field if it can't be read.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params<T>, Problem> {
        read_query(parts.uri.query().unwrap_or_default()).map(Params)
    }
}

fn read_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let deserializer = serde_urlencoded::Deserializer::new(pairs);
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        let field = match field_of(&path, &message) {
            field if field == "body" => "query".to_owned(),
            field => field,
        };
        Problem::field(field, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Filter {
        limit: Option<i64>,
        archived: Option<bool>,
    }

    #[test]
    fn the_parameter_at_fault_is_named() {
        for good in ["", "limit=7", "limit=7&archived=true", "&limit=7&"] {
            read_query::<Filter>(good).expect(good);
        }
        for (query, field) in [
            ("limit=", "limit"),
            ("limit=x", "limit"),
            ("limit=1e3", "limit"),
            ("limit", "limit"),
            ("limit=1&limit=2", "limit"),
            ("archived=yes", "archived"),
            ("archived=", "archived"),
            ("surprise=1", "surprise"),
            ("Limit=1", "Limit"),
        ] {
            let fault = format!("{:?}", read_query::<Filter>(query).expect_err(query));
            assert!(fault.contains("422"), "{query}: {fault}");
            assert!(
                fault.contains(&format!("field: \"{field}\"")),
                "{query}: {fault}"
            );
        }
    }
}
