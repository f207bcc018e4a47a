//! A user's own notifications: the list, and marking one as read.

use crate::SERVICE;
use crate::store::{self, Filter, Notification};
use axum::Json;
use serde::Deserialize;
use wasmart_domain::text::clean_word;
use wasmart_service::db::Db;
use wasmart_service::guard::Caller;
use wasmart_service::http::{Id, Page, PageQuery, Params, Problem};

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
    let limit = page.fetch()?;
    let db = Db::open(&SERVICE).await?;
    let notifications = store::list(&db, &caller.id, filter, page.before(), limit).await?;
    page.page(notifications, |notification| &notification.id)
        .map(Json)
}

/// `POST /notifications/{id}/read`.
pub async fn read(caller: Caller, Id(id): Id) -> Result<Json<Notification>, Problem> {
    let db = Db::open(&SERVICE).await?;
    let read = store::read(&db, &caller.id, &id).await?;
    read.map(Json)
        .ok_or_else(|| Problem::not_found("notification"))
}
