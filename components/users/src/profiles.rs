//! Reading and changing a profile: one's own, or any for an administrator. For all others there is
//! nothing (404).

use crate::SERVICE;
use crate::input::{Changes, Replacement};
use crate::store::{self, Profile};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use wasmart_service::db::Db;
use wasmart_service::guard::Caller;
use wasmart_service::http::{Id, Input, Problem};

/// `GET /users/me`.
pub async fn read_own(caller: Caller) -> Result<Json<Profile>, Problem> {
    let id = caller.id.clone();
    get(&caller, &id).await.map(Json)
}

/// `GET /users/{id}`.
pub async fn read(caller: Caller, Id(id): Id) -> Result<Json<Profile>, Problem> {
    get(&caller, &id).await.map(Json)
}

/// `PATCH /users/me`.
pub async fn change_own(
    caller: Caller,
    Input(changes): Input<Changes>,
) -> Result<Json<Profile>, Problem> {
    let id = caller.id.clone();
    apply(&caller, &id, changes).await.map(Json)
}

/// `PATCH /users/{id}`.
pub async fn change(
    caller: Caller,
    Id(id): Id,
    Input(changes): Input<Changes>,
) -> Result<Json<Profile>, Problem> {
    apply(&caller, &id, changes).await.map(Json)
}

/// `PUT /users/{id}`.
pub async fn replace(
    caller: Caller,
    Id(id): Id,
    Input(replacement): Input<Replacement>,
) -> Result<Json<Profile>, Problem> {
    apply(&caller, &id, replacement.into()).await.map(Json)
}

/// `POST /profiles`: seed 1 makes a profile by itself. Here each account has one, and this fills it in.
pub async fn create(caller: Caller, Input(changes): Input<Changes>) -> Result<Response, Problem> {
    let id = caller.id.clone();
    let profile = apply(&caller, &id, changes).await?;
    let location = format!("/api/v1/profiles/{}", profile.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(profile)).into_response())
}

/// Refuses whoever is neither the owner nor an administrator.
pub fn allow(caller: &Caller, id: &str) -> Result<(), Problem> {
    if caller.id == id || caller.is_any(&["admin"]) {
        Ok(())
    } else {
        Err(no_user())
    }
}

pub fn no_user() -> Problem {
    Problem::not_found("user")
}

async fn get(caller: &Caller, id: &str) -> Result<Profile, Problem> {
    allow(caller, id)?;
    let db = Db::open(&SERVICE).await?;
    let found = if caller.id == id {
        store::own(&db, caller).await
    } else {
        store::find(&db, id).await
    };
    found?.ok_or_else(no_user)
}

async fn apply(caller: &Caller, id: &str, changes: Changes) -> Result<Profile, Problem> {
    let profile = get(caller, id).await?;
    let changes = changes.cleaned()?;
    if changes.is_empty() {
        return Ok(profile);
    }
    store::change(&Db::open(&SERVICE).await?, id, &changes)
        .await?
        .ok_or_else(no_user)
}
