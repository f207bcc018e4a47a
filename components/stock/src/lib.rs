//! Items, what is on hand, reserved and sold; the reserving side of the saga.

#![allow(
    unsafe_code,
    reason = "the trigger macros generate the component's exports"
)]

mod items;
mod saga;
mod store;

use axum::Router;
use axum::routing::{get, post};
use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_service, redis_subscriber};
use wasmart_service::db::{DbError, Migration, OUTBOX_RATE};
use wasmart_service::{Service, dead_letters, http, inbox};

static SERVICE: Service = Service {
    name: "stock",
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
            version: 4,
            sql: include_str!("../migrations/0004_folded_name.sql"),
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
    inbox::receive(&SERVICE, &message, &saga::Participant).await
}

fn routes() -> Router {
    Router::new()
        .route("/api/v1/items", get(items::list).post(items::create))
        .route("/api/v1/items/{id}", get(items::read).patch(items::change))
        .route("/api/v1/items/{id}/adjustments", post(items::adjust))
        .route("/api/v1/items/{id}/movements", get(items::movements))
        .route("/internal/stock/items", get(items::known))
        .route("/internal/stock/tick", post(items::tick))
        .merge(dead_letters::routes(&SERVICE, &saga::Participant))
        .merge(http::probes(&SERVICE))
}
