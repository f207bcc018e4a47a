//! A user's own notifications: the list, and marking one as read.

use crate::SERVICE;
use crate::store::{self, Filter, Notification};
use axum::Json;
use serde::Deserialize;
use wasmart_domain::text::clean_word;
use wasmart_service::db::Db;
use wasmart_service::guard::Caller;
use wasmart_service::http::{Conditions, Id, Page, PageQuery, Params, Problem, Tagged};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    limit: Option<i64>,
    cursor: Option<String>,
    #[serde(default)]
    unread: bool,
    kind: Option<String>,
}

/// `GET /notifications`, newest first.
pub async fn list(
    caller: Caller,
    Params(query): Params<ListQuery>,
) -> Result<Json<Page<Notification>>, Problem> {
    let page = PageQuery::new(query.limit, query.cursor);
    let kind = query.kind.as_deref().map(clean_word).transpose();
    let kind = kind.map_err(|error| Problem::field("kind", error))?;
    let filter = Filter {
        unread: query.unread,
        kind: kind.as_deref(),
    };
    let (before, limit) = (page.before()?, page.fetch()?);
    let db = Db::open(&SERVICE).await?;
    let notifications = store::list(&db, &caller.id, filter, &before, limit).await?;
    page.page(notifications, |notification| notification.id.clone())
        .map(Json)
}

/// `POST /notifications/{id}/read`.
pub async fn read(
    caller: Caller,
    Id(id): Id,
    conditions: Conditions,
) -> Result<Tagged<Notification>, Problem> {
    let none = || Problem::not_found("notification");
    let tx = Db::open(&SERVICE).await?.begin().await?;
    let before = store::find(&tx, &caller.id, &id).await?.ok_or_else(none)?;
    conditions.check(&before)?;
    let read = store::read(&tx, &caller.id, &id).await?.ok_or_else(none)?;
    tx.commit().await?;
    Ok(Tagged(read))
}
