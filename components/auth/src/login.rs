//! `POST /auth/login`: by email or username.

use crate::session::{Family, Session};
use crate::store::Account;
use crate::{SERVICE, first_admin, passwords, store};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use wasmart_domain::account::{normalize_email, normalize_username};
use wasmart_service::db::Db;
use wasmart_service::http::{Input, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    login: String,
    password: String,
}

pub async fn login(Input(input): Input<Login>) -> Result<Response, Problem> {
    let account = authenticate(&input.login, &input.password).await?;
    open_session(account).await?.answer(StatusCode::OK)
}

/// Whose login and password these are. One answer (401), after the same work, for an unknown login and a
/// wrong password.
pub async fn authenticate(login: &str, password: &str) -> Result<Account, Problem> {
    first_admin::ensure().await?;
    let found = find(login).await?;
    let hash = found.as_ref().map(|(_, hash)| hash.as_str());
    if !passwords::verify(password, hash)? {
        return Err(refused());
    }
    found.map(|(account, _)| account).ok_or_else(refused)
}

/// Tokens for an account that has shown who it is.
pub async fn open_session(account: Account) -> Result<Session, Problem> {
    let session = Session::new(account, Family::new()).await?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    if !store::insert_session(&tx, &session).await? {
        return Err(Problem::unavailable("an account changed during its login"));
    }
    tx.commit().await?;
    Ok(session)
}

/// A username has no `@`, so a login is one or the other.
async fn find(login: &str) -> Result<Option<(Account, String)>, Problem> {
    let (column, normalized) = if login.contains('@') {
        ("email", normalize_email(login))
    } else {
        ("username", normalize_username(login))
    };
    let Ok(login) = normalized else {
        return Ok(None);
    };
    Ok(store::by_login(&Db::open(&SERVICE).await?, column, &login).await?)
}

fn refused() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "invalid-credentials",
        "Wrong login or password",
    )
    .challenge("Bearer")
}
