//! `POST /auth/login`: by email or username.

use crate::authenticate::authenticate;
use crate::session::{Family, Session};
use crate::store::Account;
use crate::{SERVICE, store};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use wasmart_service::db::Db;
use wasmart_service::http::{Client, Input, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    login: String,
    password: String,
}

pub async fn login(client: Client, Input(input): Input<Login>) -> Result<Response, Problem> {
    let account = authenticate(&input.login, &input.password, client).await?;
    open_session(account).await?.answer(StatusCode::OK)
}

/// New tokens for an account that has shown who it is.
pub async fn open_session(account: Account) -> Result<Session, Problem> {
    let session = Session::new(account, Family::new()).await?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    if !store::insert_session(&tx, &session, None).await? {
        return Err(Problem::unavailable("an account changed during its login"));
    }
    tx.commit().await?;
    Ok(session)
}
