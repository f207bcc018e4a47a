//! `POST /auth/refresh`: a new pair of tokens for a refresh token, which is thereby used up.

use crate::audit::{Entry, Kind};
use crate::credentials::RefreshToken;
use crate::session::Session;
use crate::signing::digest;
use crate::store::Refresh;
use crate::{SERVICE, revocation, store};
use axum::response::Response;
use http::StatusCode;
use wasmart_service::clock;
use wasmart_service::db::Db;
use wasmart_service::http::{Client, Problem};

pub async fn refresh(
    client: Client,
    RefreshToken(token): RefreshToken,
) -> Result<Response, Problem> {
    let session = renew(&token.ok_or_else(refused)?, client).await?;
    session.answer(StatusCode::OK)
}

/// The new pair; 401 where the token is not good for one.
pub async fn renew(token: &str, client: Client) -> Result<Session, Problem> {
    let arrived_at = clock::now_ms();
    let hash = digest(token);
    let db = Db::open(&SERVICE).await?;
    let known = store::refresh_token(&db, &hash)
        .await?
        .ok_or_else(refused)?;
    if let Some(used_at) = known.used_at {
        return Err(replayed(db, &known, client, (used_at, arrived_at)).await?);
    }
    let account = store::by_id(&db, &known.account_id)
        .await?
        .filter(|account| account.disabled_at.is_none())
        .ok_or_else(refused)?;
    let session = Session::new(account, known.family).await?;
    let tx = db.begin().await?;
    if !store::use_refresh_token(&tx, &hash).await? {
        tx.rollback().await?;
        return Err(refused());
    }
    if !store::insert_session(&tx, &session).await? {
        return Err(Problem::unavailable(
            "an account changed during its refresh",
        ));
    }
    tx.commit().await?;
    Ok(session)
}

/// A used token has been copied: whoever comes second, thief or owner, both must log in again. Not so
/// when the two requests were under way at the same time: that is one client that sent it twice, one
/// of which has won.
async fn replayed(
    db: Db,
    known: &Refresh,
    client: Client,
    (used_at, arrived_at): (i64, i64),
) -> Result<Problem, Problem> {
    if used_at >= arrived_at {
        return Ok(refused());
    }
    let record = Entry::new(Kind::RefreshReplayed).about(Some(&known.account_id));
    let tx = db.begin().await?;
    revocation::revoke_family(&tx, &known.family.id).await?;
    let record = record.from(client).write(&tx).await?;
    tx.commit().await?;
    record.log();
    revocation::apply(&Db::open(&SERVICE).await?).await?;
    Ok(refused())
}

fn refused() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "invalid-refresh-token",
        "The refresh token is not valid; log in again",
    )
    .challenge("Bearer")
}
