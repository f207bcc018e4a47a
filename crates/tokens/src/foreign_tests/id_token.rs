//! What an id token says, and must not say.

use super::*;

#[test]
fn an_id_token_is_the_answer_to_this_sign_in() {
    for nonce in [json!("m"), json!(""), json!(["n"]), Value::Null] {
        assert_eq!(id_with("nonce", nonce.clone()), Err(REFUSED), "{nonce}");
    }
    let no_nonce = Expected {
        nonce: "",
        ..expected()
    };
    let token = sign(
        &header().to_string(),
        &set(id(), "nonce", json!("")).to_string(),
    );
    assert_eq!(id_token(&token, &KEYS, &no_nonce, NOW), Err(REFUSED));
    for aud in [json!("shop"), json!([]), json!(["shop"]), Value::Null] {
        assert_eq!(id_with("aud", aud.clone()), Err(REFUSED), "{aud}");
    }
    assert!(id_with("aud", json!(["web", "shop"])).is_ok());
    let several = set(id(), "aud", json!(["web", "shop"]));
    assert_eq!(
        check_id(&header(), &set(several, "azp", Value::Null)),
        Err(REFUSED)
    );
    assert_eq!(id_with("azp", json!("shop")), Err(REFUSED));
    assert!(id_with("azp", Value::Null).is_ok());
    assert_eq!(id_with("iss", json!("https://evil.example")), Err(REFUSED));
    assert_eq!(id_with("iat", Value::Null), Err(REFUSED));
    assert_eq!(id_with("exp", json!(NOW)), Err(Fault::Expired));
    // §3.1.3.6: the first half of SHA-256 of the access token that came with it.
    let hash = base64url(&hmac_sha256::Hash::hash(b"at")[..16]);
    let bound = sign(
        &header().to_string(),
        &set(id(), "at_hash", json!(hash)).to_string(),
    );
    for (token, fits) in [("at", true), ("other", false)] {
        let expected = Expected {
            access_token: Some(token),
            ..expected()
        };
        assert_eq!(
            id_token(&bound, &KEYS, &expected, NOW).is_ok(),
            fits,
            "{token}"
        );
    }
}
