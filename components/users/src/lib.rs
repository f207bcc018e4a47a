//! Profiles: read, change, delete.

#![allow(
    unsafe_code,
    reason = "the trigger macros generate the component's exports"
)]

mod accounts;
mod deletion;
mod input;
mod profiles;
mod store;

use axum::Router;
use axum::routing::{get, post};
use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_service, redis_subscriber};
use wasmart_service::db::{DbError, Migration, OUTBOX_RATE};
use wasmart_service::{Service, dead_letters, http, inbox};

static SERVICE: Service = Service {
    name: "users",
    migrations: &[
        Migration {
            version: 1,
            sql: include_str!("../migrations/0001_init.sql"),
        },
        Migration {
            version: 2,
            sql: OUTBOX_RATE,
        },
        Migration {
            version: 5,
            sql: include_str!("../migrations/0005_gone.sql"),
        },
    ],
    commands: &[],
};

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    http::serve(routes, request).await
}

#[redis_subscriber]
async fn on_message(message: Vec<u8>) -> Result<(), DbError> {
    inbox::receive(&SERVICE, &message, &accounts::Accounts).await
}

/// `/profiles` is seed 1's spelling.
fn routes() -> Router {
    let own = get(profiles::read_own)
        .patch(profiles::change_own)
        .delete(deletion::delete_own);
    let by_id = get(profiles::read)
        .put(profiles::replace)
        .patch(profiles::change)
        .delete(deletion::delete);
    let alias = get(profiles::read).patch(profiles::change);
    Router::new()
        .route("/api/v1/users/me", own)
        .route("/api/v1/users/{id}", by_id)
        .route("/api/v1/profiles", post(profiles::create))
        .route("/api/v1/profiles/{id}", alias)
        .merge(dead_letters::routes(&SERVICE, &accounts::Accounts))
        .merge(http::probes(&SERVICE))
}
