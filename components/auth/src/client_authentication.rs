//! How a client of the token endpoint authenticates (RFC 6749 §2.3). The shop's client is public:
//! it has no secret, so it sends none, or an empty one. Only `Authorization: Basic` counts as
//! client authentication. A `Bearer` token, which an HTTP library may add to every request, is
//! ignored.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jwt_simple::reexports::ct_codecs::{Base64, Decoder};

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client sent a secret, or something that can't be read.
    NoSecretHere,
    /// More than one way at once, or two that contradict each other: which, in words.
    Ambiguous(&'static str),
}

/// Checks header and form. `parameter` returns a parameter of the form if it is not empty.
pub fn check<'a>(
    headers: &HeaderMap,
    parameter: &impl Fn(&str) -> Option<&'a str>,
) -> Result<(), Fault> {
    let mut basics = headers.get_all(AUTHORIZATION).iter().filter_map(basic);
    let basic = basics.next();
    let in_form = ["client_secret", "client_assertion"]
        .into_iter()
        .filter(|name| parameter(name).is_some())
        .count();
    if basics.next().is_some() || in_form + usize::from(basic.is_some()) > 1 {
        return Err(Fault::Ambiguous("a client authenticates in one way only"));
    }
    if in_form > 0 {
        return Err(Fault::NoSecretHere);
    }
    let Some(credentials) = basic else {
        return Ok(());
    };
    let (id, secret) = decoded(credentials).ok_or(Fault::NoSecretHere)?;
    if !secret.is_empty() {
        return Err(Fault::NoSecretHere);
    }
    if parameter("client_id").is_some_and(|other| other != id) {
        return Err(Fault::Ambiguous("there are two client ids"));
    }
    Ok(())
}

/// The credentials of a field whose scheme is Basic, in any case (RFC 9110 §11.1).
fn basic(field: &HeaderValue) -> Option<&str> {
    let field = field.to_str().unwrap_or_default().trim();
    let (scheme, credentials) = field.split_once(' ').unwrap_or((field, ""));
    scheme
        .eq_ignore_ascii_case("basic")
        .then_some(credentials.trim())
}

/// Id and secret, each encoded as in a form (RFC 6749 §2.3.1).
fn decoded(credentials: &str) -> Option<(String, String)> {
    let pair = Base64::decode_to_vec(credentials, None).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((from_form(id), from_form(secret)))
}

fn from_form(text: &str) -> String {
    // Neither `&` nor `=` separates anything here.
    let one = text.replace('&', "%26").replace('=', "%3D");
    let mut parts = form_urlencoded::parse(one.as_bytes());
    parts
        .next()
        .map_or_else(String::new, |(text, _)| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jwt_simple::reexports::ct_codecs::Encoder;

    fn checked(fields: &[&str], form: &[(&str, &'static str)]) -> Result<(), Fault> {
        let mut headers = HeaderMap::new();
        for field in fields {
            let field = HeaderValue::from_str(field).expect("a field");
            headers.append(AUTHORIZATION, field);
        }
        check(&headers, &|name| {
            let found = form.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| *value)
        })
    }

    fn basic_of(pair: &str) -> String {
        let encoded = Base64::encode_to_string(pair).expect("Base64");
        format!("Basic {encoded}")
    }

    #[test]
    fn other_schemes_are_passed_over() {
        for field in [
            "Bearer a.b.c",
            "bearer x",
            "Digest a=b",
            "Negotiate",
            "",
            "x",
        ] {
            assert_eq!(checked(&[field], &[]), Ok(()), "{field}");
        }
        let basic = basic_of("app:");
        assert_eq!(checked(&["Bearer x", &basic], &[]), Ok(()));
    }

    #[test]
    fn an_empty_secret_is_none_and_any_other_is_refused() {
        for pair in ["app:", ":", "my%20app:", "a+b:"] {
            let field = basic_of(pair);
            assert_eq!(checked(&[&field], &[]), Ok(()), "{pair}");
            let shouted = field.replacen("Basic", "BASIC", 1);
            assert_eq!(checked(&[&shouted], &[]), Ok(()), "{pair}");
        }
        let unreadable = ["Basic", "Basic !", "basic YXBwOg"].map(str::to_owned);
        let secrets = ["app:secret", "app:%20", "app::", "app"].map(basic_of);
        for field in secrets.iter().chain(&unreadable) {
            assert_eq!(checked(&[field], &[]), Err(Fault::NoSecretHere), "{field}");
        }
        for name in ["client_secret", "client_assertion"] {
            assert_eq!(checked(&[], &[(name, "x")]), Err(Fault::NoSecretHere));
        }
    }

    #[test]
    fn two_ways_at_once_are_one_too_many() {
        let ambiguous = |fields: &[&str], form: &[(&str, &'static str)]| {
            matches!(checked(fields, form), Err(Fault::Ambiguous(_)))
        };
        for pair in ["app:", "app:secret"] {
            let field = basic_of(pair);
            assert!(ambiguous(&[&field], &[("client_secret", "x")]), "{pair}");
            assert!(ambiguous(&[&field, &field], &[]), "{pair}");
        }
        let both = [("client_secret", "x"), ("client_assertion", "y")];
        assert!(ambiguous(&[], &both));
        let field = basic_of("my%20app:");
        assert!(ambiguous(&[&field], &[("client_id", "other")]));
        assert_eq!(checked(&[&field], &[("client_id", "my app")]), Ok(()));
    }
}
