//! Wallets on a double-entry ledger; the charging side of the saga.

#![allow(
    unsafe_code,
    reason = "the trigger macros generate the component's exports"
)]

mod saga;
mod store;
mod wallet;

use axum::Router;
use axum::routing::{get, post};
use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_service, redis_subscriber};
use wasmart_service::db::{DbError, Migration, OUTBOX_RATE};
use wasmart_service::{Service, dead_letters, http, inbox};

static SERVICE: Service = Service {
    name: "billing",
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
            sql: include_str!("../migrations/0003_payout.sql"),
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
    inbox::receive(&SERVICE, &message, &saga::Participant).await
}

fn routes() -> Router {
    Router::new()
        .route(
            "/api/v1/billing/account",
            get(wallet::read).post(wallet::open),
        )
        .route("/api/v1/billing/account/my", get(wallet::read))
        .route("/api/v1/billing/account/deposit", post(wallet::deposit))
        .route("/api/v1/billing/account/withdraw", post(wallet::withdraw))
        .route("/api/v1/billing/transactions", get(wallet::transactions))
        .route("/internal/billing/tick", post(wallet::tick))
        .merge(dead_letters::routes(&SERVICE, &saga::Participant))
        .merge(http::probes(&SERVICE))
}
