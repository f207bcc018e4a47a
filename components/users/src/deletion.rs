//! Deleting an account: auth ends it and tells everyone; the profile is emptied here and now.

use crate::profiles::{allow, no_user};
use crate::{SERVICE, store};
use http::{Request, StatusCode};
use spin_sdk::http::{EmptyBody, send};
use wasmart_service::config;
use wasmart_service::db::Db;
use wasmart_service::guard::Caller;
use wasmart_service::http::{Id, Problem};

/// `DELETE /users/me`.
pub async fn delete_own(caller: Caller) -> Result<StatusCode, Problem> {
    end(&caller.id).await
}

/// `DELETE /users/{id}`.
pub async fn delete(caller: Caller, Id(id): Id) -> Result<StatusCode, Problem> {
    allow(&caller, &id)?;
    end(&id).await
}

/// Auth first: when that fails, nothing has changed and the owner, still logged in, can try again.
/// When it has happened and this stops, auth's event empties the profile.
async fn end(id: &str) -> Result<StatusCode, Problem> {
    let status = end_account(id).await?;
    let db = Db::open(&SERVICE).await?;
    match status {
        StatusCode::NO_CONTENT => {}
        StatusCode::NOT_FOUND if store::find(&db, id).await?.is_some() => {}
        StatusCode::NOT_FOUND => return Err(no_user()),
        other => {
            return Err(Problem::unavailable(format!(
                "auth answered {other} to a deletion"
            )));
        }
    }
    store::delete(&db, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end_account(id: &str) -> Result<StatusCode, Problem> {
    let secret = config::get("internal_secret")
        .await
        .map_err(|error| Problem::unavailable(format!("variable internal_secret: {error}")))?;
    let request = Request::delete(format!(
        "http://auth.spin.internal/internal/auth/users/{id}"
    ))
    .header("x-internal-secret", secret)
    .body(EmptyBody::new())
    .map_err(|error| Problem::internal(format!("the request to auth: {error}")))?;
    let response = send(request)
        .await
        .map_err(|error| Problem::unavailable(format!("auth can't be reached: {error}")))?;
    Ok(response.status())
}
