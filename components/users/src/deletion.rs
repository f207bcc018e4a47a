//! Deleting an account: auth ends it and tells everyone; the profile is emptied here and now.

use crate::profiles::{allow, get, no_user};
use crate::{SERVICE, store};
use http::{Method, StatusCode};
use wasmart_service::db::Db;
use wasmart_service::guard::Caller;
use wasmart_service::http::{Conditions, Id, Problem};
use wasmart_service::internal;

/// `DELETE /users/me`.
pub async fn delete_own(caller: Caller, conditions: Conditions) -> Result<StatusCode, Problem> {
    end(&caller, &caller.id, &conditions).await
}

/// `DELETE /users/{id}`.
pub async fn delete(
    caller: Caller,
    Id(id): Id,
    conditions: Conditions,
) -> Result<StatusCode, Problem> {
    allow(&caller, &id)?;
    end(&caller, &id, &conditions).await
}

/// Auth first: when that fails, nothing has changed and the owner, still logged in, can try again.
/// If auth has deleted the account and this request stops there, auth's event empties the profile.
/// `If-Match` is compared before that, because no transaction spans both services.
async fn end(caller: &Caller, id: &str, conditions: &Conditions) -> Result<StatusCode, Problem> {
    if !conditions.is_empty() {
        conditions.check(&get(caller, id).await?)?;
    }
    let status = end_account(id, &caller.id).await?;
    let db = Db::open(&SERVICE).await?;
    match status {
        StatusCode::NO_CONTENT => {}
        StatusCode::NOT_FOUND if store::find(&db, id).await?.is_some() => {}
        StatusCode::NOT_FOUND => return Err(no_user()),
        StatusCode::CONFLICT => {
            return Err(Problem::conflict(
                "last-admin",
                "The shop would be left without an administrator",
            ));
        }
        other => {
            return Err(Problem::unavailable(format!(
                "auth answered {other} to a deletion"
            )));
        }
    }
    store::delete(&db, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end_account(id: &str, by: &str) -> Result<StatusCode, Problem> {
    let path = format!("/internal/auth/users/{id}?by={by}");
    let answer = internal::request(Method::DELETE, "auth", &path).await;
    answer
        .map(|answer| answer.status())
        .map_err(|error| Problem::unavailable(error.to_string()))
}
