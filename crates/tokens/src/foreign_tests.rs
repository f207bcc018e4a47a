//! Every way in which a token of another issuer can be wrong, each refused.

mod id_token;

use crate::base64url;
use crate::config::{TrustedIssuer, trusted_issuers};
use crate::foreign::{Access, Expected, Fault, LONGEST_SECONDS, Person, access, id_token, issuer};
use crate::keys::{PublicKeys, parse};
use jwt_simple::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://kc.example/realms/shop";

static PAIR: LazyLock<RS256KeyPair> =
    LazyLock::new(|| RS256KeyPair::generate(2048).expect("a key pair"));
static KEYS: LazyLock<PublicKeys> = LazyLock::new(|| {
    let mut jwk: Value = serde_json::from_str(&PAIR.public_key().to_jwk()).expect("a JWK");
    jwk["kid"] = json!("k1");
    parse(&json!({"keys": [jwk]}).to_string()).expect("a key set")
});

/// What Keycloak puts into an access token.
fn bearer() -> Value {
    json!({
        "iss": ISSUER, "aud": ["shop", "account"], "azp": "web", "sub": "u-1", "jti": "j", "typ": "Bearer",
        "iat": NOW, "exp": NOW + 300, "preferred_username": "ann",
        "email": "ann@example.com", "email_verified": true,
        "realm_access": {"roles": ["offline_access", "shop-manager"]},
        "https://shop.example/roles": "shop-manager",
    })
}

/// What Keycloak puts into an id token.
fn id() -> Value {
    json!({
        "iss": ISSUER, "aud": "web", "azp": "web", "sub": "u-1", "typ": "ID", "nonce": "n",
        "iat": NOW, "exp": NOW + 300, "email": "ann@example.com", "email_verified": true,
    })
}

fn header() -> Value {
    json!({"alg": "RS256", "kid": "k1", "typ": "JWT"})
}

/// Signs any text whatsoever, which no library lets one do through its front door.
fn sign(header: &str, payload: &str) -> String {
    use superboring::hash::MessageDigest;
    use superboring::pkey::PKey;
    use superboring::rsa::{Padding, Rsa};
    use superboring::sign::Signer;
    let signed = format!(
        "{}.{}",
        base64url(header.as_bytes()),
        base64url(payload.as_bytes())
    );
    let key = Rsa::private_key_from_pem(PAIR.to_pem().expect("PEM").as_bytes()).expect("a key");
    let key = PKey::from_rsa(key).expect("a key");
    let mut signer = Signer::new(MessageDigest::sha256(), &key).expect("a signer");
    signer.set_rsa_padding(Padding::PKCS1).expect("RSA");
    signer.update(signed.as_bytes()).expect("it takes bytes");
    format!(
        "{signed}.{}",
        base64url(&signer.sign_to_vec().expect("a signature"))
    )
}

fn set(mut object: Value, member: &str, value: Value) -> Value {
    let members = object.as_object_mut().expect("an object");
    match value {
        Value::Null => members.remove(member),
        value => members.insert(member.to_owned(), value),
    };
    object
}

fn trusted(more: Value) -> TrustedIssuer {
    let mut entry = json!({"issuer": ISSUER, "audience": "shop", "roles": "realm_access.roles"});
    for (member, value) in more.as_object().expect("members") {
        entry = set(entry, member, value.clone());
    }
    trusted_issuers(&json!([entry]).to_string())
        .expect("fine")
        .remove(0)
}

fn check(header: &Value, payload: &Value, trusted: &TrustedIssuer) -> Result<Access, Fault> {
    access(
        &sign(&header.to_string(), &payload.to_string()),
        &KEYS,
        trusted,
        NOW,
    )
}

fn with(member: &str, value: Value) -> Result<Access, Fault> {
    check(
        &header(),
        &set(bearer(), member, value),
        &trusted(json!({})),
    )
}

fn with_header(member: &str, value: Value) -> Result<Access, Fault> {
    check(
        &set(header(), member, value),
        &bearer(),
        &trusted(json!({})),
    )
}

fn expected() -> Expected<'static> {
    Expected {
        issuer: ISSUER,
        client_id: "web",
        nonce: "n",
        access_token: None,
    }
}

fn check_id(header: &Value, payload: &Value) -> Result<Person, Fault> {
    id_token(
        &sign(&header.to_string(), &payload.to_string()),
        &KEYS,
        &expected(),
        NOW,
    )
}

fn id_with(member: &str, value: Value) -> Result<Person, Fault> {
    check_id(&header(), &set(id(), member, value))
}

const REFUSED: Fault = Fault::Invalid;

#[test]
fn a_token_without_an_end_in_sight_ends_a_day_after_it_was_given_out() {
    let ten_years = NOW + 315_360_000;
    let long = |iat: Value| {
        let payload = set(set(bearer(), "exp", json!(ten_years)), "iat", iat);
        let access = check(&header(), &payload, &trusted(json!({})));
        access.map(|access| access.person.expires_at)
    };
    assert_eq!(long(json!(NOW)), Ok(NOW + LONGEST_SECONDS));
    assert_eq!(long(json!(NOW - 1_000)), Ok(NOW - 1_000 + LONGEST_SECONDS));
    assert_eq!(long(json!(NOW - LONGEST_SECONDS)), Err(Fault::Expired));
    // Its age is unknown.
    assert_eq!(long(Value::Null), Err(REFUSED));
    let short = with("iat", Value::Null).expect("valid");
    assert_eq!(short.person.expires_at, NOW + 300);
}

#[test]
fn an_access_token_says_who_it_is() {
    let good = check(&header(), &bearer(), &trusted(json!({}))).expect("valid");
    assert_eq!(good.person.subject, "u-1");
    assert_eq!(good.person.email.as_deref(), Some("ann@example.com"));
    assert_eq!(good.person.username.as_deref(), Some("ann"));
    assert_eq!(good.person.expires_at, NOW + 300);
    assert_eq!(good.roles, ["customer"]);
    // By its type alone, as RFC 9068 has it.
    let typed = set(header(), "typ", json!("at+jwt"));
    assert!(
        check(
            &typed,
            &set(bearer(), "typ", Value::Null),
            &trusted(json!({}))
        )
        .is_ok()
    );
    let token = sign(&header().to_string(), &bearer().to_string());
    assert_eq!(issuer(&token).as_deref(), Some(ISSUER));
    assert_eq!(issuer("x"), None);
}

#[test]
fn an_id_token_is_no_access_token_and_the_other_way_round() {
    let no_id = trusted(json!({"audience": "web"}));
    assert_eq!(check(&header(), &id(), &no_id), Err(REFUSED));
    for member in ["nonce", "at_hash", "c_hash"] {
        assert_eq!(with(member, json!("x")), Err(REFUSED), "{member}");
        let typed = set(header(), "typ", json!("at+jwt"));
        let payload = set(bearer(), member, json!("x"));
        assert_eq!(
            check(&typed, &payload, &trusted(json!({}))),
            Err(REFUSED),
            "{member}"
        );
    }
    for typ in [
        json!("ID"),
        json!("Refresh"),
        json!("Offline"),
        json!("Logout"),
        json!("bearer"),
        json!(["Bearer"]),
        Value::Null,
    ] {
        assert_eq!(with("typ", typ.clone()), Err(REFUSED), "{typ}");
    }
    for typ in [json!("id+jwt"), json!("logout+jwt"), json!("rt+jwt")] {
        assert_eq!(with_header("typ", typ.clone()), Err(REFUSED), "{typ}");
    }
    assert!(check_id(&header(), &id()).is_ok());
    for typ in [json!("Bearer"), json!("Refresh"), json!(1)] {
        assert_eq!(id_with("typ", typ.clone()), Err(REFUSED), "{typ}");
    }
    let typed = set(header(), "typ", json!("at+jwt"));
    assert_eq!(check_id(&typed, &id()), Err(REFUSED));
}

#[test]
fn it_is_for_us_and_from_the_issuer_that_is_trusted() {
    for aud in [
        json!("other"),
        json!(["a", "b"]),
        json!([]),
        json!(1),
        Value::Null,
        json!({"shop": 1}),
    ] {
        assert_eq!(with("aud", aud.clone()), Err(REFUSED), "{aud}");
    }
    for iss in [
        json!("https://kc.example/realms/shop/"),
        json!("https://kc.example/realms/other"),
        json!(""),
        Value::Null,
    ] {
        assert_eq!(with("iss", iss.clone()), Err(REFUSED), "{iss}");
    }
    let by_party = trusted(json!({"audience": null, "azp": "web"}));
    assert!(check(&header(), &bearer(), &by_party).is_ok());
    for azp in [json!("other"), Value::Null, json!(["web"])] {
        let payload = set(bearer(), "azp", azp.clone());
        assert_eq!(check(&header(), &payload, &by_party), Err(REFUSED), "{azp}");
    }
    // Where both are asked for, both must hold.
    let both = trusted(json!({"azp": "other"}));
    assert_eq!(check(&header(), &bearer(), &both), Err(REFUSED));
}

#[test]
fn nobody_becomes_an_administrator_by_accident() {
    let roles = |payload: &Value, more: Value| {
        check(&header(), payload, &trusted(more))
            .expect("valid")
            .roles
    };
    let admin = set(
        bearer(),
        "realm_access",
        json!({"roles": ["admin", "manager", "realm-admin"]}),
    );
    assert_eq!(roles(&admin, json!({})), ["customer"]);
    assert_eq!(
        roles(&set(admin.clone(), "roles", json!(["admin"])), json!({})),
        ["customer"]
    );
    let map = json!({"role_map": {"shop-manager": "manager", "boss": "admin"}});
    assert_eq!(roles(&admin, map.clone()), ["customer"]);
    assert_eq!(roles(&bearer(), map.clone()), ["manager"]);
    let boss = set(
        bearer(),
        "realm_access",
        json!({"roles": ["boss", "shop-manager", 7]}),
    );
    assert_eq!(roles(&boss, map.clone()), ["admin", "manager"]);
    for odd in [
        json!({"roles": {"boss": true}}),
        json!("boss"),
        json!([{"roles": "boss"}]),
        json!({"roles": "Boss"}),
        Value::Null,
    ] {
        assert_eq!(
            roles(&set(bearer(), "realm_access", odd.clone()), map.clone()),
            ["customer"],
            "{odd}"
        );
    }
    let pointer = set(map, "roles", json!("/https:~1~1shop.example~1roles"));
    assert_eq!(roles(&bearer(), pointer), ["manager"]);
}

#[test]
fn only_rs256_with_a_key_of_the_issuer_will_do() {
    for alg in [
        json!("none"),
        json!("None"),
        json!("HS256"),
        json!("RS512"),
        json!("PS256"),
        json!(""),
        json!(["RS256"]),
        Value::Null,
    ] {
        assert_eq!(with_header("alg", alg.clone()), Err(REFUSED), "{alg}");
    }
    let long = "k".repeat(10_000);
    for kid in ["", "k2", "../k1", "' OR 1=1 --", long.as_str()] {
        assert_eq!(
            with_header("kid", json!(kid)),
            Err(Fault::UnknownKey),
            "{kid}"
        );
    }
    for kid in [Value::Null, json!(1)] {
        assert_eq!(with_header("kid", kid.clone()), Err(REFUSED), "{kid}");
    }
    for crit in [json!(["exp"]), json!([]), json!("b64")] {
        assert_eq!(with_header("crit", crit.clone()), Err(REFUSED), "{crit}");
    }
    let public = PAIR.public_key().to_pem().expect("PEM");
    let head = set(header(), "alg", json!("HS256")).to_string();
    let signed = format!(
        "{}.{}",
        base64url(head.as_bytes()),
        base64url(bearer().to_string().as_bytes())
    );
    let mac = hmac_sha256::HMAC::mac(signed.as_bytes(), public.as_bytes());
    let forged = format!("{signed}.{}", base64url(&mac));
    assert_eq!(
        access(&forged, &KEYS, &trusted(json!({})), NOW),
        Err(REFUSED)
    );
    let good = sign(&header().to_string(), &bearer().to_string());
    let (signed, signature) = good.rsplit_once('.').expect("three segments");
    for bad in [
        format!("{signed}."),
        format!("{signed}.{}", &signature[..signature.len() - 4]),
        format!("{signed}.{}", signature.replace(&signature[..4], "AAAA")),
        format!("{good}.x"),
        format!("{good} "),
        signed.to_owned(),
        "\u{1F600}.x.y".to_owned(),
        "a".repeat(1_000_000),
    ] {
        assert_eq!(
            access(&bad, &KEYS, &trusted(json!({})), NOW),
            Err(REFUSED),
            "{:.80}",
            bad
        );
    }
}

#[test]
fn times_hold_and_members_come_once() {
    for exp in [
        Value::Null,
        json!("9999999999"),
        json!(-1),
        json!(NOW as f64 + 9.5),
        json!([NOW]),
    ] {
        assert_eq!(with("exp", exp.clone()), Err(REFUSED), "{exp}");
    }
    for exp in [0, NOW - 1, NOW] {
        assert_eq!(with("exp", json!(exp)), Err(Fault::Expired), "{exp}");
    }
    for member in ["nbf", "iat"] {
        assert!(with(member, json!(NOW + 60)).is_ok(), "{member}");
        assert_eq!(with(member, json!(NOW + 61)), Err(REFUSED), "{member}");
    }
    let payload = bearer().to_string();
    for twice in [
        r#""iss":"x""#,
        r#""typ":"ID""#,
        r#""azp":"x""#,
        r#""realm_access":{}"#,
        r#""x":{"y":1,"y":2}"#,
    ] {
        let text = format!("{{{twice},{}", &payload[1..]);
        let expected = if twice.contains("\"x\":{") {
            REFUSED
        } else {
            Fault::Invalid
        };
        assert_eq!(
            access(
                &sign(&header().to_string(), &text),
                &KEYS,
                &trusted(json!({})),
                NOW
            ),
            Err(expected),
            "{twice}"
        );
    }
    for sub in [
        json!(""),
        Value::Null,
        json!(1),
        json!("x".repeat(256)),
        json!("a\nb"),
        json!("ä"),
    ] {
        assert_eq!(with("sub", sub.clone()), Err(REFUSED), "{sub}");
    }
}

#[test]
fn an_email_counts_only_where_the_issuer_has_verified_it() {
    for verified in [json!(false), json!("true"), json!(1), Value::Null] {
        let person = with("email_verified", verified.clone())
            .expect("valid")
            .person;
        assert_eq!(person.email, None, "{verified}");
        assert_eq!(
            id_with("email_verified", verified).expect("valid").email,
            None
        );
    }
    assert_eq!(
        with("email", json!(["a@b.c"])).expect("valid").person.email,
        None
    );
}
