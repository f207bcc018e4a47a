//! From the code to the person: the token endpoint, and the id token that comes from it.

use super::{form, redirect_uri, refused};
use crate::{issuers, outbound};
use serde_json::Value;
use wasmart_service::clock;
use wasmart_service::http::Problem;
use wasmart_tokens::config::Provider;
use wasmart_tokens::foreign::{Expected, Fault, Person, id_token};
use wasmart_tokens::keys::parse_published;
use wasmart_tokens::notes::{Found, Metadata};

/// Asks for the tokens and verifies the id token. The provider's access token is of no further use.
pub async fn exchange(
    provider: &Provider,
    found: &Found,
    code: &str,
    (nonce, verifier): (&str, &str),
) -> Result<Person, Problem> {
    let answer = tokens(provider, &found.metadata, code, verifier).await?;
    let token = answer["id_token"].as_str();
    let token = token.ok_or_else(|| refused(provider, "there is no id token"))?;
    let expected = Expected {
        issuer: &provider.issuer,
        client_id: &provider.client_id,
        nonce,
        access_token: answer["access_token"].as_str(),
    };
    let verify = |found: &Found| {
        let keys = parse_published(&found.jwks.to_string()).map_err(|_| Fault::UnknownKey)?;
        let now = u64::try_from(clock::now_ms() / 1000).unwrap_or_default();
        id_token(token, &keys, &expected, now)
    };
    let verified = match verify(found) {
        Err(Fault::UnknownKey) => verify(&issuers::renewed(&provider.issuer).await?),
        verified => verified,
    };
    verified.map_err(|fault| refused(provider, &format!("its id token: {fault:?}")))
}

async fn tokens(
    provider: &Provider,
    metadata: &Metadata,
    code: &str,
    verifier: &str,
) -> Result<Value, Problem> {
    let endpoint = metadata.token_endpoint.as_deref();
    let endpoint = endpoint
        .ok_or_else(|| Problem::unavailable(format!("{} has no token_endpoint", provider.name)))?;
    let redirect_uri = redirect_uri(provider).await?;
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri.as_str()),
        ("code_verifier", verifier),
    ];
    let mut authorization = None;
    match &provider.client_secret {
        Some(secret) if takes_basic(metadata) => {
            authorization = Some(basic(&provider.client_id, secret));
        }
        Some(secret) => {
            fields.extend([
                ("client_id", provider.client_id.as_str()),
                ("client_secret", secret),
            ]);
        }
        None => fields.push(("client_id", &provider.client_id)),
    }
    let (status, body) = outbound::post_form(endpoint, authorization, form(&fields))
        .await
        .map_err(Problem::unavailable)?;
    match status {
        200 => Ok(body),
        // What the provider says of the reason may hold anything: its own word for it, if it is one.
        400..500 => Err(refused(
            provider,
            &format!("no token: {}", word(&body["error"])),
        )),
        _ => Err(Problem::unavailable(format!("{endpoint} answers {status}"))),
    }
}

/// Without a word, a client shows its secret by Basic (Discovery 1.0 §3).
fn takes_basic(metadata: &Metadata) -> bool {
    let methods = metadata.token_endpoint_auth_methods_supported.as_ref();
    methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"))
}

/// RFC 6749 §2.3.1: both are encoded as in a form first.
fn basic(id: &str, secret: &str) -> String {
    use jwt_simple::reexports::ct_codecs::{Base64, Encoder};
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(id), encode(secret));
    format!(
        "Basic {}",
        Base64::encode_to_string(pair).unwrap_or_default()
    )
}

/// An error code of OAuth, which has a narrow alphabet; nothing else gets into the log.
pub fn word(value: &Value) -> &str {
    let word = value.as_str().unwrap_or_default();
    let is_code = |c: char| c.is_ascii_lowercase() || c == '_';
    if (1..=40).contains(&word.len()) && word.chars().all(is_code) {
        word
    } else {
        "no reason given"
    }
}
