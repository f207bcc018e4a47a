//! `GET /auth/{provider}/callback`: back from the provider.

use super::exchange::{exchange, word};
use super::{account, refused, state};
use crate::audit::{Entry, Kind};
use crate::session::is_secure;
use crate::signing::Signer;
use crate::{SERVICE, issuers, login};
use axum::response::Response;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;
use wasmart_service::db::Db;
use wasmart_service::http::{Client, Name, Params, Problem};
use wasmart_tokens::config::Provider;
use wasmart_tokens::notes::Metadata;

/// What a provider adds to the address (RFC 6749 §4.1.2, RFC 9207); what else is there is passed over.
#[derive(Deserialize)]
pub struct Returned {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// Answers as a login does.
pub async fn callback(
    Name(name): Name,
    client: Client,
    headers: HeaderMap,
    Params(returned): Params<Returned>,
) -> Result<Response, Problem> {
    let provider = issuers::provider(&name).await?;
    let state = returned.state.as_deref().unwrap_or_default();
    // Whatever comes of it, this sign-in is over: its code is good for one try.
    let secrets = state::end(&Db::open(&SERVICE).await?, &provider, state, &headers).await?;
    let (nonce, verifier) = secrets.ok_or_else(unknown_state)?;
    if let Some(error) = &returned.error {
        let reason = format!("the provider says {}", word(&json!(error)));
        return Err(refused(&provider, &reason));
    }
    let found = issuers::found(&provider.issuer).await?;
    check_sender(&provider, &found.metadata, returned.iss.as_deref())?;
    let code = returned.code.as_deref().filter(|code| !code.is_empty());
    let code = code.ok_or_else(|| refused(&provider, "there is no code"))?;
    let person = exchange(&provider, &found, code, (&nonce, &verifier)).await?;
    let account = account::of(&provider, &person).await?;
    let session = login::open_session(account).await?;
    let record = Entry::new(Kind::LoginSucceeded)
        .about(Some(&session.account.id))
        .with(json!({"by": provider.name}));
    let db = Db::open(&SERVICE).await?;
    record.from(client).write(&db).await?.log();
    let mut response = session.answer(StatusCode::OK)?;
    let headers = response.headers_mut();
    let secure = is_secure(&Signer::get().await?.issuer);
    headers.append(SET_COOKIE, state::no_cookie(&provider, secure)?);
    Ok(response)
}

/// RFC 9207: an answer that another provider has sent must not lead to a code of that one being shown to
/// this one.
fn check_sender(
    provider: &Provider,
    metadata: &Metadata,
    iss: Option<&str>,
) -> Result<(), Problem> {
    let is_named = metadata.authorization_response_iss_parameter_supported;
    match iss {
        Some(iss) if iss != provider.issuer => Err(refused(provider, "the answer is another's")),
        None if is_named => Err(refused(provider, "the answer names nobody")),
        _ => Ok(()),
    }
}

fn unknown_state() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "invalid-state",
        "This browser has not begun this sign-in, or has ended it; begin again",
    )
}
