//! What the shop tells its users.

#![allow(
    unsafe_code,
    reason = "the trigger macros generate the component's exports"
)]

mod list;
mod mails;
mod messages;
mod store;
mod text;

use axum::Router;
use axum::routing::{get, post};
use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_service, redis_subscriber};
use wasmart_service::db::{DbError, Migration, OUTBOX_RATE};
use wasmart_service::{Service, dead_letters, http, inbox};

static SERVICE: Service = Service {
    name: "notifications",
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
            version: 3,
            sql: include_str!("../migrations/0003_mails.sql"),
        },
        Migration {
            version: 4,
            sql: include_str!("../migrations/0004_gone.sql"),
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
    inbox::receive(&SERVICE, &message, &messages::Notices).await
}

fn routes() -> Router {
    Router::new()
        .route("/api/v1/notifications", get(list::list))
        .route("/api/v1/notifications/{id}/read", post(list::read))
        .route("/internal/notifications/mails", get(mails::list))
        .route("/internal/notifications/mails/{id}", get(mails::show))
        .route("/internal/notifications/tick", post(mails::tick))
        .merge(dead_letters::routes(&SERVICE, &messages::Notices))
        .merge(http::probes(&SERVICE))
}
