//! `POST /auth/logout`: ends a login, known by its access token, its refresh token, or both.
//! `POST /auth/logout/everywhere`: ends all logins of the account.

use crate::audit::{Entry, Kind};
use crate::credentials::RefreshToken;
use crate::refresh_tokens::{self, Refresh};
use crate::signing::digest;
use crate::{SERVICE, revocation, session, store};
use axum::response::Response;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use wasmart_service::db::{Db, DbError};
use wasmart_service::guard::Caller;
use wasmart_service::http::{Client, Problem};

/// An access token that is no longer valid does not keep anyone from logging out with a refresh
/// token, and an unknown refresh token not from doing so with an access token.
pub async fn logout(
    caller: Result<Caller, Problem>,
    client: Client,
    headers: HeaderMap,
    RefreshToken(refresh): RefreshToken,
) -> Result<Response, Problem> {
    let db = Db::open(&SERVICE).await?;
    let by_refresh = known(&db, refresh).await?;
    let caller = unless_shown(by_refresh.as_ref(), caller)?;
    let account = account_of(caller.as_ref(), by_refresh.as_ref());
    let record = Entry::new(Kind::LoggedOut).about(account).from(client);
    let tx = db.begin().await?;
    let record = record.write(&tx).await?;
    if let Some(caller) = caller {
        let family = revocation::revoke_own(&tx, &caller, &digest(bearer(&headers))).await?;
        revocation::revoke_family(&tx, &family).await?;
    }
    if let Some(known) = by_refresh {
        revocation::revoke_family(&tx, &known.family.id).await?;
    }
    tx.commit().await?;
    record.log();
    revocation::apply(&Db::open(&SERVICE).await?).await?;
    session::ended().await
}

/// As [`logout`], of the account whose token it is. A login that is under way at this moment ends, too.
pub async fn everywhere(
    caller: Result<Caller, Problem>,
    client: Client,
    headers: HeaderMap,
    RefreshToken(refresh): RefreshToken,
) -> Result<Response, Problem> {
    let db = Db::open(&SERVICE).await?;
    // One that was used is no proof of anything.
    let by_refresh = known(&db, refresh).await?;
    let by_refresh = by_refresh.filter(|known| known.used_at.is_none());
    let caller = unless_shown(by_refresh.as_ref(), caller)?;
    let Some(account) = account_of(caller.as_ref(), by_refresh.as_ref()) else {
        return session::ended().await;
    };
    let record = Entry::new(Kind::LoggedOutEverywhere).about(Some(account));
    let tx = db.begin().await?;
    if let Some(caller) = &caller {
        revocation::revoke_own(&tx, caller, &digest(bearer(&headers))).await?;
    }
    store::end_generation(&tx, account).await?;
    revocation::revoke_account(&tx, account).await?;
    let record = record.from(client).write(&tx).await?;
    tx.commit().await?;
    record.log();
    revocation::apply(&Db::open(&SERVICE).await?).await?;
    session::ended().await
}

/// What the refresh token of a request is known as.
async fn known(db: &Db, token: Option<String>) -> Result<Option<Refresh>, DbError> {
    match token {
        Some(token) => refresh_tokens::find(db, &digest(&token)).await,
        None => Ok(None),
    }
}

/// The caller, where there is one; who there is none of needs a refresh token.
fn unless_shown(
    refresh: Option<&Refresh>,
    caller: Result<Caller, Problem>,
) -> Result<Option<Caller>, Problem> {
    match caller {
        Err(problem) if refresh.is_none() => Err(problem),
        caller => Ok(caller.ok()),
    }
}

/// Whose login it is; the access token goes before the refresh token.
fn account_of<'a>(caller: Option<&'a Caller>, refresh: Option<&'a Refresh>) -> Option<&'a str> {
    let by_refresh = refresh.map(|known| known.account_id.as_str());
    caller.map(|caller| caller.id.as_str()).or(by_refresh)
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
