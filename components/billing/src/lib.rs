//! Wallets on a double-entry ledger; the charging side of the saga.

#![allow(
    unsafe_code,
    reason = "the trigger macros generate the component's exports"
)]

mod saga;
mod store;
mod wallet;

use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_service, redis_subscriber};
use wasmart_service::db::{DbError, Migration, OUTBOX_RATE};
use wasmart_service::http::{self, Routes};
use wasmart_service::operators::OPERATOR_ACTIONS;
use wasmart_service::{Service, dead_letters, inbox};

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
            version: 4,
            sql: include_str!("../migrations/0004_actors.sql"),
        },
        Migration {
            version: 5,
            sql: OPERATOR_ACTIONS,
        },
        Migration {
            version: 6,
            sql: include_str!("../migrations/0006_gone.sql"),
        },
    ],
    commands: &[],
    channels: &["payments", "accounts", "acks"],
};

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    http::serve(routes, request).await
}

#[redis_subscriber]
async fn on_message(message: Vec<u8>) -> Result<(), DbError> {
    inbox::receive(&SERVICE, &message, &saga::Participant).await
}

fn routes() -> Routes {
    Routes::of(&SERVICE)
        .get("/api/v1/billing/account", wallet::read)
        .post("/api/v1/billing/account", wallet::open)
        .get("/api/v1/billing/account/my", wallet::read)
        .post("/api/v1/billing/account/deposit", wallet::deposit)
        .post("/api/v1/billing/account/withdraw", wallet::withdraw)
        .get("/api/v1/billing/transactions", wallet::transactions)
        .post("/internal/billing/tick", wallet::tick)
        .merge(dead_letters::routes(&SERVICE, &saga::Participant))
        .merge(http::probes(&SERVICE))
}
