//! Every way in which a token can be wrong (docs: RELIABILITY §3), each refused.

mod claims;

use crate::Claims;
use crate::keys::Trust;
use crate::token::{Fault, from_header, verify};
use jwt_simple::prelude::*;
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use serde_json::{Value, json};
use std::sync::LazyLock;
use wasmart_tokens::keys::parse;

const NOW: u64 = 1_800_000_000;
const SUB: &str = "0197a5b0-0000-7000-8000-000000000001";

static PAIR: LazyLock<RS256KeyPair> =
    LazyLock::new(|| RS256KeyPair::generate(2048).expect("a key pair"));
static TRUST: LazyLock<Trust> = LazyLock::new(|| {
    let mut jwk: Value = serde_json::from_str(&PAIR.public_key().to_jwk()).expect("a JWK");
    jwk["kid"] = json!("k1");
    let keys = parse(&json!({"keys": [jwk]}).to_string()).expect("a key set");
    Trust::new(keys, "http://issuer".into(), "wasmart".into(), vec![])
});

fn header() -> Value {
    json!({"alg": "RS256", "kid": "k1", "typ": "at+jwt"})
}

fn payload() -> Value {
    json!({
        "iss": "http://issuer", "aud": "wasmart", "sub": SUB, "jti": "j1",
        "iat": NOW, "exp": NOW + 900, "roles": ["customer"], "email": "ann@example.com",
    })
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).expect("it fits")
}

/// Signs any text whatsoever with the good key, which no library lets one do through its front door.
fn sign(header: &str, payload: &str) -> String {
    use superboring::hash::MessageDigest;
    use superboring::pkey::PKey;
    use superboring::rsa::{Padding, Rsa};
    use superboring::sign::Signer;
    let signed = format!("{}.{}", encode(header), encode(payload));
    let key = Rsa::private_key_from_pem(PAIR.to_pem().expect("PEM").as_bytes()).expect("a key");
    let key = PKey::from_rsa(key).expect("a key");
    let mut signer = Signer::new(MessageDigest::sha256(), &key).expect("a signer");
    signer.set_rsa_padding(Padding::PKCS1).expect("RSA");
    signer.update(signed.as_bytes()).expect("it takes bytes");
    format!(
        "{signed}.{}",
        encode(signer.sign_to_vec().expect("a signature"))
    )
}

fn good() -> String {
    sign(&header().to_string(), &payload().to_string())
}

fn check(token: &str) -> Result<Claims, Fault> {
    verify(token, &TRUST, NOW).map(|entry| entry.claims)
}

/// `member` of the header set to `value`; `Value::Null` takes it away.
fn with_header(member: &str, value: Value) -> Result<Claims, Fault> {
    check(&sign(
        &set(header(), member, value).to_string(),
        &payload().to_string(),
    ))
}

fn with_claim(member: &str, value: Value) -> Result<Claims, Fault> {
    check(&sign(
        &header().to_string(),
        &set(payload(), member, value).to_string(),
    ))
}

fn set(mut object: Value, member: &str, value: Value) -> Value {
    let members = object.as_object_mut().expect("an object");
    match value {
        Value::Null => members.remove(member),
        value => members.insert(member.to_owned(), value),
    };
    object
}

#[test]
fn a_good_token_says_who_it_is() {
    let claims = check(&good()).expect("valid");
    assert_eq!(claims.subject, SUB);
    assert_eq!(
        (claims.token_id.as_str(), claims.expires_at),
        ("j1", NOW + 900)
    );
    assert_eq!(claims.roles, ["customer"]);
    assert_eq!(claims.email.as_deref(), Some("ann@example.com"));
    assert_eq!(claims.username, None);
    assert!(with_header("typ", json!("application/AT+JWT")).is_ok());
    assert!(with_claim("aud", json!(["other", "wasmart"])).is_ok());
}

#[test]
fn the_authorization_header_is_read_as_rfc_6750_says() {
    for header in ["Bearer abc", "bearer abc", "BEARER   abc"] {
        assert_eq!(from_header(header), Ok("abc"), "{header}");
    }
    for header in ["", "abc", "Bearer", "Basic YTpi", "Bearerabc"] {
        assert_eq!(from_header(header), Err(Fault::Missing), "{header}");
    }
    for size in [10_000, 1_000_000] {
        assert_eq!(
            from_header(&format!("Bearer {}", "a".repeat(size))),
            Err(Fault::Invalid)
        );
    }
}

#[test]
fn only_rs256_will_do() {
    for alg in [
        "none", "None", "NONE", "nOnE", "", "HS256", "RS384", "RS512", "PS256", "rs256", "x",
    ] {
        assert_eq!(with_header("alg", json!(alg)), Err(Fault::Invalid), "{alg}");
    }
    for alg in [Value::Null, json!(["RS256"]), json!(1), json!({})] {
        assert_eq!(
            with_header("alg", alg.clone()),
            Err(Fault::Invalid),
            "{alg}"
        );
    }
    let unsigned = format!(
        "{}.{}.",
        encode(r#"{"alg":"none","kid":"k1","typ":"at+jwt"}"#),
        encode(payload().to_string())
    );
    assert_eq!(check(&unsigned), Err(Fault::Invalid));
}

#[test]
fn the_public_key_is_no_secret_to_sign_with() {
    let public = PAIR.public_key();
    let (pem, der) = (public.to_pem().expect("PEM"), public.to_der().expect("DER"));
    for secret in [pem.as_bytes(), pem.trim().as_bytes(), &der] {
        for alg in ["HS256", "RS256"] {
            let header = set(header(), "alg", json!(alg)).to_string();
            let signed = format!("{}.{}", encode(header), encode(payload().to_string()));
            let mac = hmac_sha256::HMAC::mac(signed.as_bytes(), secret);
            assert_eq!(
                check(&format!("{signed}.{}", encode(mac))),
                Err(Fault::Invalid)
            );
        }
    }
}

#[test]
fn a_signature_is_whole_and_its_own() {
    let good = good();
    let at = good.rfind('.').expect("three segments") + 1;
    let (signed, signature) = good.split_at(at);
    let another = sign(
        &header().to_string(),
        &set(payload(), "jti", json!("j2")).to_string(),
    );
    let another = &another[another.rfind('.').expect("three segments") + 1..];
    for bad in [
        "",
        "AA",
        another,
        &signature[..signature.len() - 1],
        &signature[4..],
        "!!!!",
    ] {
        assert_eq!(
            check(&format!("{signed}{bad}")),
            Err(Fault::Invalid),
            "{bad}"
        );
    }
    for position in [0, 1, signature.len() / 2, signature.len() - 1] {
        for bit in 0..6 {
            let flipped = flip(signature, position, bit);
            assert_eq!(
                check(&format!("{signed}{flipped}")),
                Err(Fault::Invalid),
                "{position}/{bit}"
            );
        }
    }
    let stranger = RS256KeyPair::generate(2048)
        .expect("a key pair")
        .with_key_id("k1");
    let options = HeaderOptions {
        signature_type: Some("at+jwt".into()),
        ..Default::default()
    };
    let claims: JWTClaims<Value> = serde_json::from_value(payload()).expect("claims");
    let token = stranger
        .sign_with_options(claims, &options)
        .expect("a token");
    assert_eq!(check(&token), Err(Fault::Invalid));
}

/// Another character of the alphabet, one bit away.
fn flip(text: &str, position: usize, bit: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = text.as_bytes().to_vec();
    let value = ALPHABET
        .iter()
        .position(|c| *c == bytes[position])
        .expect("base64url");
    bytes[position] = ALPHABET[value ^ (1 << bit)];
    String::from_utf8(bytes).expect("ASCII")
}

#[test]
fn a_changed_payload_does_not_pass() {
    let good = good();
    let mut parts: Vec<&str> = good.split('.').collect();
    let changed = encode(set(payload(), "roles", json!(["admin"])).to_string());
    parts[1] = &changed;
    assert_eq!(check(&parts.join(".")), Err(Fault::Invalid));
}

#[test]
fn there_are_three_segments_and_nothing_else() {
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        parts[0].into(),
        parts[..2].join("."),
        format!("{good}."),
        format!("{good}.{}", parts[2]),
        format!("{good}.a.b"),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{good}="),
        format!("{good}, Bearer {good}"),
        good.replace('.', " "),
        // base64's other alphabet, padding within, line breaks within.
        good.replace('_', "/").replace('-', "+"),
        format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
        format!("{}.{}\n.{}", parts[0], parts[1], parts[2]),
        "a".repeat(1_000_000),
        vec!["a"; 100_000].join("."),
    ] {
        assert_eq!(check(&bad), Err(Fault::Invalid), "{bad}");
    }
}

#[test]
fn the_key_is_one_of_ours_by_name() {
    let long = "k".repeat(10_000);
    for kid in [
        "",
        "k2",
        "K1",
        "k1 ",
        "../../etc/passwd",
        "' OR 1=1 --",
        "k1\0",
        long.as_str(),
    ] {
        assert_eq!(
            with_header("kid", json!(kid)),
            Err(Fault::UnknownKey),
            "{kid}"
        );
    }
    for kid in [Value::Null, json!(1), json!(["k1"])] {
        assert_eq!(
            with_header("kid", kid.clone()),
            Err(Fault::Invalid),
            "{kid}"
        );
    }
}

#[test]
fn a_key_that_the_token_brings_along_counts_for_nothing() {
    // Well signed by our key, whatever it says beside that; and by its own key it is not valid.
    assert!(with_header("jku", json!("http://evil.example/jwks.json")).is_ok());
    assert!(with_header("x5u", json!("http://evil.example/cert.pem")).is_ok());
    let stranger = RS256KeyPair::generate(2048).expect("a key pair");
    let jwk = stranger.public_key().to_jwk();
    for (member, value) in [
        ("jwk", json!(jwk)),
        ("jku", json!("data:,x")),
        ("x5u", json!("data:,x")),
    ] {
        let header = set(set(header(), "kid", Value::Null), member, value).to_string();
        assert_eq!(
            check(&sign(&header, &payload().to_string())),
            Err(Fault::Invalid),
            "{member}"
        );
    }
}

#[test]
fn critical_extensions_are_refused() {
    for crit in [
        json!(["exp"]),
        json!(["b64"]),
        json!([]),
        json!("b64"),
        json!(true),
    ] {
        assert_eq!(
            with_header("crit", crit.clone()),
            Err(Fault::Invalid),
            "{crit}"
        );
    }
}

#[test]
fn other_kinds_of_token_are_refused() {
    for typ in [
        json!("JWT"),
        json!("id+jwt"),
        json!("rt+jwt"),
        json!(""),
        Value::Null,
        json!(1),
    ] {
        assert_eq!(
            with_header("typ", typ.clone()),
            Err(Fault::Invalid),
            "{typ}"
        );
    }
}

#[test]
fn members_come_once() {
    let twice = |object: Value, member: &str| {
        let text = object.to_string();
        format!("{{{member},{}", &text[1..])
    };
    for member in [r#""alg":"RS256""#, r#""kid":"k1""#, r#""typ":"at+jwt""#] {
        let token = sign(&twice(header(), member), &payload().to_string());
        assert_eq!(check(&token), Err(Fault::Invalid), "{member}");
    }
    for member in [
        r#""sub":"x""#,
        r#""roles":["admin"]"#,
        r#""exp":9999999999"#,
        r#""iss":"http://issuer""#,
    ] {
        let token = sign(&header().to_string(), &twice(payload(), member));
        assert_eq!(check(&token), Err(Fault::Invalid), "{member}");
    }
}

#[test]
fn segments_are_json_objects_in_utf8() {
    for bad in [
        "",
        "{",
        "[]",
        "null",
        "7",
        "\"x\"",
        r#"["RS256","k1","at+jwt",null]"#,
        "{}x",
    ] {
        assert_eq!(
            check(&sign(bad, &payload().to_string())),
            Err(Fault::Invalid),
            "header {bad}"
        );
        assert_eq!(
            check(&sign(&header().to_string(), bad)),
            Err(Fault::Invalid),
            "payload {bad}"
        );
    }
    let parts = good().split('.').map(str::to_owned).collect::<Vec<_>>();
    let raw = encode(b"{\"alg\":\"RS256\",\"kid\":\"k1\",\"typ\":\"at+jwt\",\"x\":\"\xff\xfe\"}");
    assert_eq!(
        check(&format!("{raw}.{}.{}", parts[1], parts[2])),
        Err(Fault::Invalid)
    );
    assert_eq!(check("\u{1F600}.\u{1F600}.\u{1F600}"), Err(Fault::Invalid));
}
