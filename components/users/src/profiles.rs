//! Reading and changing a profile: one's own, or any for an administrator. For all others there is
//! nothing (404).

use crate::SERVICE;
use crate::input::{Changes, Replacement};
use crate::store::{self, Profile};
use axum::Json;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use wasmart_service::actor::Actor;
use wasmart_service::db::{Db, Tx};
use wasmart_service::guard::Caller;
use wasmart_service::http::{Conditions, Id, Input, Problem, Tagged};
use wasmart_service::idempotency::{Answer, Once};

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
    headers: HeaderMap,
    conditions: Conditions,
    Input(changes): Input<Changes>,
) -> Result<impl IntoResponse, Problem> {
    let once = Once::new(&headers, &caller.id, "POST /profiles", &changes)?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    if let Some(answer) = once.earlier(&tx).await? {
        return Ok(answer);
    }
    let profile = apply_in(&tx, &caller, &caller.id, &conditions, changes).await?;
    let location = format!("/api/v1/profiles/{}", profile.id);
    let answer = Answer::json(StatusCode::CREATED, &profile)
        .at(location)
        .tagged();
    once.keep(&tx, &answer).await?;
    tx.commit().await?;
    Ok(answer)
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
    get_in(&Db::open(&SERVICE).await?, caller, id).await
}

async fn get_in(db: &Db, caller: &Caller, id: &str) -> Result<Profile, Problem> {
    allow(caller, id)?;
    let found = if caller.id == id {
        store::own(db, caller).await
    } else {
        store::find(db, id).await
    };
    let profile = found?.ok_or_else(no_user)?;
    Ok(profile.seen_by(caller))
}

async fn apply(
    caller: &Caller,
    id: &str,
    conditions: &Conditions,
    changes: Changes,
) -> Result<Profile, Problem> {
    allow(caller, id)?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    let profile = apply_in(&tx, caller, id, conditions, changes).await?;
    tx.commit().await?;
    Ok(profile)
}

/// A request that changes nothing leaves the profile as it is, and the time of its last change too.
async fn apply_in(
    tx: &Tx,
    caller: &Caller,
    id: &str,
    conditions: &Conditions,
    changes: Changes,
) -> Result<Profile, Problem> {
    let profile = get_in(tx, caller, id).await?;
    let changes = changes.cleaned()?;
    conditions.check(&profile)?;
    let actor = Actor::of(caller, id);
    let changed = store::change(tx, id, &changes, &actor).await?;
    Ok(changed.map_or(profile, |profile| profile.seen_by(caller)))
}
