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
use wasmart_service::http::{Conditions, Id, Input, Problem, Tagged};

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
    conditions: Conditions,
    Input(changes): Input<Changes>,
) -> Result<Tagged<Profile>, Problem> {
    let id = caller.id.clone();
    apply(&caller, &id, &conditions, changes).await.map(Tagged)
}

/// `PATCH /users/{id}`.
pub async fn change(
    caller: Caller,
    Id(id): Id,
    conditions: Conditions,
    Input(changes): Input<Changes>,
) -> Result<Tagged<Profile>, Problem> {
    apply(&caller, &id, &conditions, changes).await.map(Tagged)
}

/// `PUT /users/{id}`.
pub async fn replace(
    caller: Caller,
    Id(id): Id,
    conditions: Conditions,
    Input(replacement): Input<Replacement>,
) -> Result<Tagged<Profile>, Problem> {
    let changes = replacement.into();
    apply(&caller, &id, &conditions, changes).await.map(Tagged)
}

/// `POST /profiles`: seed 1 makes a profile by itself. Here each account has one, and this fills it in.
pub async fn create(
    caller: Caller,
    conditions: Conditions,
    Input(changes): Input<Changes>,
) -> Result<Response, Problem> {
    let id = caller.id.clone();
    let profile = apply(&caller, &id, &conditions, changes).await?;
    let location = [(LOCATION, format!("/api/v1/profiles/{}", profile.id))];
    Ok((StatusCode::CREATED, location, Tagged(profile)).into_response())
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

/// A profile that the caller may see.
pub async fn get(caller: &Caller, id: &str) -> Result<Profile, Problem> {
    allow(caller, id)?;
    let db = Db::open(&SERVICE).await?;
    let found = if caller.id == id {
        store::own(&db, caller).await
    } else {
        store::find(&db, id).await
    };
    found?.ok_or_else(no_user)
}

async fn apply(
    caller: &Caller,
    id: &str,
    conditions: &Conditions,
    changes: Changes,
) -> Result<Profile, Problem> {
    get(caller, id).await?;
    changes.check()?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    let before = store::find(&tx, id).await?.ok_or_else(no_user)?;
    conditions.check(&before)?;
    if changes.is_empty() {
        tx.rollback().await?;
        return Ok(before);
    }
    let after = store::change(&tx, id, &changes).await?;
    tx.commit().await?;
    after.ok_or_else(no_user)
}
