//! Accounts as an administrator sees them: the list, and who may do what.

use crate::store::{self, AccountView};
use crate::{SERVICE, identities, revocation};
use axum::Json;
use serde::Deserialize;
use wasmart_domain::account::Role;
use wasmart_service::db::Db;
use wasmart_service::guard::Caller;
use wasmart_service::http::{Id, Input, Page, PageQuery, Params, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    role: String,
}

/// `PUT /auth/users/{id}/role`. The account's access tokens say the old role, so they end here; a
/// refresh gives one with the new role.
pub async fn set_role(
    caller: Caller,
    Id(id): Id,
    Input(input): Input<SetRole>,
) -> Result<Json<AccountView>, Problem> {
    caller.require_any(&["admin"])?;
    let role = Role::parse(&input.role)
        .ok_or_else(|| Problem::field("role", "must be customer, manager or admin"))?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    let account = store::by_id(&tx, &id)
        .await?
        .ok_or_else(|| Problem::not_found("account"))?;
    if account.role == role {
        tx.rollback().await?;
        return Ok(Json(account.into()));
    }
    let account = store::set_role(&tx, &id, role)
        .await?
        .ok_or_else(|| Problem::not_found("account"))?;
    revocation::revoke_access(&tx, &id).await?;
    identities::changed(&tx, &id).await?;
    tx.commit().await?;
    let db = Db::open(&SERVICE).await?;
    identities::apply(&db).await?;
    revocation::apply(&db).await?;
    Ok(Json(account.into()))
}

/// `GET /auth/users`, newest first.
pub async fn list(
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<AccountView>>, Problem> {
    caller.require_any(&["admin"])?;
    let db = Db::open(&SERVICE).await?;
    let accounts = store::list(&db, query.before(), query.fetch()?).await?;
    let views: Vec<AccountView> = accounts.into_iter().map(AccountView::from).collect();
    query.page(views, |account| &account.id).map(Json)
}
