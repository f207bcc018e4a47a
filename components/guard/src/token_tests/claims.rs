//! What a well-signed token says, and must not say.

use super::*;

#[test]
fn times_are_numbers_and_hold() {
    for exp in [
        Value::Null,
        json!("9999999999"),
        json!(-1),
        json!(NOW as f64 + 900.5),
        json!([NOW + 1]),
        json!({}),
    ] {
        assert_eq!(with_claim("exp", exp.clone()), Err(Fault::Invalid), "{exp}");
    }
    let infinite = payload()
        .to_string()
        .replace(&(NOW + 900).to_string(), "1e400");
    assert_eq!(
        check(&sign(&header().to_string(), &infinite)),
        Err(Fault::Invalid)
    );
    for exp in [0, 1, NOW - 3600, NOW - 1, NOW] {
        assert_eq!(with_claim("exp", json!(exp)), Err(Fault::Expired), "{exp}");
    }
    assert!(with_claim("exp", json!(NOW + 1)).is_ok());
    for member in ["nbf", "iat"] {
        assert!(with_claim(member, json!(NOW + 60)).is_ok(), "{member}");
        assert_eq!(
            with_claim(member, json!(NOW + 61)),
            Err(Fault::Invalid),
            "{member}"
        );
        assert_eq!(
            with_claim(member, json!("now")),
            Err(Fault::Invalid),
            "{member}"
        );
    }
}

#[test]
fn it_comes_from_our_issuer_for_us() {
    for iss in [
        json!("http://issuer/"),
        json!("HTTP://ISSUER"),
        json!(""),
        Value::Null,
        json!(1),
    ] {
        assert_eq!(with_claim("iss", iss.clone()), Err(Fault::Invalid), "{iss}");
    }
    for aud in [
        json!("other"),
        json!(""),
        json!([]),
        json!(["a", "b"]),
        Value::Null,
        json!(1),
    ] {
        assert_eq!(with_claim("aud", aud.clone()), Err(Fault::Invalid), "{aud}");
    }
}

#[test]
fn it_names_an_account_its_own_id_and_roles() {
    let upper = SUB.to_uppercase();
    for sub in [
        json!("ann"),
        json!(""),
        Value::Null,
        json!(1),
        json!("'; DROP TABLE"),
        json!(upper),
    ] {
        assert_eq!(with_claim("sub", sub.clone()), Err(Fault::Invalid), "{sub}");
    }
    for jti in [json!(""), Value::Null, json!(1)] {
        assert_eq!(with_claim("jti", jti.clone()), Err(Fault::Invalid), "{jti}");
    }
    for roles in [
        json!([]),
        Value::Null,
        json!("admin"),
        json!([1]),
        json!({"admin": true}),
    ] {
        assert_eq!(
            with_claim("roles", roles.clone()),
            Err(Fault::Invalid),
            "{roles}"
        );
    }
}
