//! Accounts as an administrator sees them: the list, who may do what, who is kept out.

use crate::audit::{Entry, Kind, Written};
use crate::store::{self, Account, AccountFilter, AccountView};
use crate::{SERVICE, identities, resets, revocation};
use axum::Json;
use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::Deserialize;
use serde_json::json;
use wasmart_domain::account::Role;
use wasmart_domain::text::SEARCH;
use wasmart_service::db::{Db, Tx};
use wasmart_service::guard::Caller;
use wasmart_service::http::{
    Client, Conditions, Id, Input, Page, PageQuery, Params, Problem, Tagged,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    role: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    limit: Option<i64>,
    cursor: Option<String>,
    role: Option<String>,
    /// `active` or `disabled`
    status: Option<String>,
    /// Part of an email or a username.
    search: Option<String>,
}

/// `PUT /auth/users/{id}/role`. The account's access tokens say the old role, so they end here; a
/// refresh gives one with the new role.
pub async fn set_role(
    Admin { caller, client }: Admin,
    Id(id): Id,
    conditions: Conditions,
    Input(input): Input<SetRole>,
) -> Result<Tagged<AccountView>, Problem> {
    let role = read_role(&input.role)?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    let account = existing(&tx, &id).await?;
    conditions.check(&AccountView::from(account.clone()))?;
    if account.role == role {
        tx.rollback().await?;
        return Ok(Tagged(account.into()));
    }
    keep_an_admin(&tx, &account).await?;
    let before = account.role.as_str();
    let account = store::set_role(&tx, &id, role).await?;
    let account = account.ok_or_else(no_account)?;
    revocation::revoke_access(&tx, &id).await?;
    identities::changed(&tx, &id).await?;
    let record = Entry::new(Kind::RoleChanged)
        .about(Some(&id))
        .by(Some(&caller.id))
        .with(json!({"from": before, "to": role.as_str()}));
    let record = record.from(client).write(&tx).await?;
    done(tx, record).await?;
    Ok(Tagged(account.into()))
}

/// `POST /auth/users/{id}/disable`: all its tokens end, and it can't log in. As often as it is asked.
pub async fn disable(
    Admin { caller, client }: Admin,
    Id(id): Id,
    conditions: Conditions,
) -> Result<Tagged<AccountView>, Problem> {
    set_disabled(&caller, client, (&id, &conditions), true).await
}

/// `POST /auth/users/{id}/enable`: it can log in again; its old tokens stay dead.
pub async fn enable(
    Admin { caller, client }: Admin,
    Id(id): Id,
    conditions: Conditions,
) -> Result<Tagged<AccountView>, Problem> {
    set_disabled(&caller, client, (&id, &conditions), false).await
}

async fn set_disabled(
    caller: &Caller,
    client: Client,
    (id, conditions): (&str, &Conditions),
    disabled: bool,
) -> Result<Tagged<AccountView>, Problem> {
    let tx = Db::open(&SERVICE).await?.begin().await?;
    let account = existing(&tx, id).await?;
    conditions.check(&AccountView::from(account.clone()))?;
    if account.disabled_at.is_some() == disabled {
        tx.rollback().await?;
        return Ok(Tagged(account.into()));
    }
    if disabled {
        keep_an_admin(&tx, &account).await?;
        revocation::revoke_account(&tx, id).await?;
        resets::forget(&tx, id).await?;
    }
    let account = store::set_disabled(&tx, id, disabled).await?;
    let account = account.ok_or_else(no_account)?;
    identities::changed(&tx, id).await?;
    let kind = if disabled {
        Kind::Disabled
    } else {
        Kind::Enabled
    };
    let record = Entry::new(kind).about(Some(id)).by(Some(&caller.id));
    let record = record.from(client).write(&tx).await?;
    done(tx, record).await?;
    Ok(Tagged(account.into()))
}

/// `GET /auth/users/{id}`
pub async fn read(_: Admin, Id(id): Id) -> Result<Json<AccountView>, Problem> {
    let account = existing(&Db::open(&SERVICE).await?, &id).await?;
    Ok(Json(account.into()))
}

/// `GET /auth/users`, newest first.
pub async fn list(
    _: Admin,
    Params(query): Params<ListQuery>,
) -> Result<Json<Page<AccountView>>, Problem> {
    let page = PageQuery::new(query.limit, query.cursor);
    let disabled = match query.status.as_deref() {
        None => None,
        Some("active") => Some(false),
        Some("disabled") => Some(true),
        Some(_) => return Err(Problem::field("status", "must be active or disabled")),
    };
    let search = query.search.map(|search| SEARCH.clean(&search));
    let search = search.transpose();
    let search = search.map_err(|error| Problem::field("search", error))?;
    let filter = AccountFilter {
        role: query.role.as_deref().map(read_role).transpose()?,
        disabled,
        search: search.filter(|search| !search.is_empty()),
    };
    let (before, limit) = (page.before()?, page.fetch()?);
    let db = Db::open(&SERVICE).await?;
    let accounts = store::list(&db, &filter, &before, limit).await?;
    let views: Vec<AccountView> = accounts.into_iter().map(AccountView::from).collect();
    page.page(views, |account| account.id.clone()).map(Json)
}

/// An administrator and where the request comes from. A caller who is not an administrator is
/// refused (403) and audited, before ids, queries and bodies are read.
pub struct Admin {
    pub caller: Caller,
    pub client: Client,
}

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Admin, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let client = Client::from_request_parts(parts, state).await?;
        require_admin(&caller, client, wanted(parts.uri.path())).await?;
        Ok(Admin { caller, client })
    }
}

/// What a path below `/api/v1/auth` is about, as the record of a refusal names it.
fn wanted(path: &str) -> &'static str {
    match path.ends_with("/audit") {
        true => "audit",
        false => "users",
    }
}

async fn require_admin(caller: &Caller, client: Client, what: &str) -> Result<(), Problem> {
    let allowed = caller.require_any(&["admin"]);
    if allowed.is_err() {
        let record = Entry::new(Kind::AccessRefused)
            .by(Some(&caller.id))
            .from(client)
            .with(json!({"to": what}));
        // Under the lock, so that simultaneous requests are counted one by one.
        let tx = Db::open(&SERVICE).await?.begin().await?;
        let record = record.write(&tx).await?;
        tx.commit().await?;
        record.log();
    }
    allowed
}

/// Refuses (409) what would leave nobody to administer the shop.
pub async fn keep_an_admin(tx: &Tx, account: &Account) -> Result<(), Problem> {
    if account.role == Role::Admin
        && account.disabled_at.is_none()
        && !store::has_another_admin(tx, &account.id).await?
    {
        return Err(Problem::conflict(
            "last-admin",
            "The shop would be left without an administrator",
        ));
    }
    Ok(())
}

async fn done(tx: Tx, record: Written) -> Result<(), Problem> {
    tx.commit().await?;
    record.log();
    identities::apply_with_tokens(&Db::open(&SERVICE).await?).await
}

async fn existing(db: &Db, id: &str) -> Result<Account, Problem> {
    store::by_id(db, id).await?.ok_or_else(no_account)
}

fn read_role(role: &str) -> Result<Role, Problem> {
    Role::parse(role).ok_or_else(|| Problem::field("role", "must be customer, manager or admin"))
}

fn no_account() -> Problem {
    Problem::not_found("account")
}
