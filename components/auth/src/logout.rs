//! `POST /auth/logout`: ends a login, known by its access token, its refresh token, or both.

use crate::credentials::RefreshToken;
use crate::signing::digest;
use crate::{SERVICE, revocation, session, store};
use axum::response::Response;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use wasmart_service::db::Db;
use wasmart_service::guard::Caller;
use wasmart_service::http::Problem;

/// An access token that is no longer valid does not keep anyone from logging out with a refresh
/// token, and an unknown refresh token not from doing so with an access token.
pub async fn logout(
    caller: Result<Caller, Problem>,
    headers: HeaderMap,
    RefreshToken(refresh): RefreshToken,
) -> Result<Response, Problem> {
    let db = Db::open(&SERVICE).await?;
    let by_refresh = match refresh {
        Some(token) => store::refresh_token(&db, &digest(&token)).await?,
        None => None,
    };
    let caller = match caller {
        Err(problem) if by_refresh.is_none() => return Err(problem),
        caller => caller.ok(),
    };
    let tx = db.begin().await?;
    if let Some(caller) = caller {
        let family = revocation::revoke_own(&tx, &caller, &digest(bearer(&headers))).await?;
        revocation::revoke_family(&tx, &family).await?;
    }
    if let Some(known) = by_refresh {
        revocation::revoke_family(&tx, &known.family.id).await?;
    }
    tx.commit().await?;
    revocation::apply(&Db::open(&SERVICE).await?).await?;
    session::ended().await
}

/// The token that the guard has just let in.
fn bearer(headers: &HeaderMap) -> &str {
    let header = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    header
        .and_then(|value| value.split_once(' '))
        .map_or("", |(_, token)| token.trim_start())
}
